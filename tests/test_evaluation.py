import math
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tfdvae import curves, image_grids
from tfdvae.build import build_model
from tfdvae.evaluation import table, terms
from tfdvae.evaluation.run import file_prefixes
from tfdvae.models.base import TEST_SEED

SMALL = {"channels": (4,), "hidden_units": (10,), "latent_dim": 3, "image_shape": (6, 6, 1), "num_classes": 2}


@pytest.fixture(scope="module")
def labelled():
    rng = np.random.default_rng(0)
    return rng.random((1203, 6, 6, 1)).astype(np.float32), rng.integers(0, 2, 1203)


def test_per_image_values_over_a_ragged_last_batch_equal_a_plain_computation(labelled):
    images, labels = labelled
    model, judge = build_model(model="dvae", **SMALL), build_model(model="classifier", **SMALL)
    batches = tf.data.Dataset.from_tensor_slices((images, labels)).batch(terms.BATCH)
    found = terms.evaluate_model(model, batches, judge)
    again = terms.evaluate_model(model, batches, judge)
    start = 0
    for index, stop in enumerate((500, 1000, 1203)):
        seed = [TEST_SEED, index]
        for name, values in model.loss_terms(images[start:stop], seed=seed).items():
            np.testing.assert_allclose(found[name][start:stop], values, rtol=1e-4)
        outputs = model.reconstruct(images[start:stop], seed=seed)
        assert (found["class_of_output"][start:stop] == judge.classify(outputs).numpy()).mean() > 0.99  # ties aside
        start = stop
    for name in found:
        np.testing.assert_array_equal(found[name], again[name])
    summary = terms.summarize(found)
    assert summary["n"] == 1203
    assert summary["kl"]["mean"] == pytest.approx(found["kl"].mean(dtype=np.float64))
    assert summary["error_of_output"]["mean"] == np.mean(found["class_of_output"] != labels)


def test_the_classified_output_is_the_one_whose_loss_is_reported(labelled):
    model = build_model(model="vae", **SMALL)
    images = labelled[0][:50]
    seed = [TEST_SEED, 0]
    from_output = tf.keras.losses.binary_crossentropy(images, model.reconstruct(images, seed=seed))
    np.testing.assert_allclose(model.loss_terms(images, seed=seed)["reconstruction"], tf.reduce_sum(from_output, (1, 2)), rtol=1e-3)


def test_summary_of_hand_made_values():
    values = {
        "kl": np.array([1.0, 2.0, 3.0], np.float32),
        "true_class": np.array([0, 1, 1]),
        "class_of_output": np.array([0, 0, 1]),
    }
    summary = terms.summarize(values)
    assert summary["kl"] == {"mean": 2.0, "standard_error": pytest.approx(1 / math.sqrt(3))}
    assert summary["error_of_output"]["mean"] == pytest.approx(1 / 3)
    assert "error_of_original" not in summary


def test_a_single_image_has_no_standard_error():
    assert terms.summarize({"kl": np.array([2.0])}) == {"n": 1, "kl": {"mean": 2.0, "standard_error": None}}
    assert table._cell((2.0, None), 1, 2, "") == "2.00"


def test_runs_are_told_apart():
    runs = [SimpleNamespace(run=f"runs/{i}", params_dict={"model": "vae", "seed": 0}) for i in range(2)]
    assert table.labels(runs) == ["runs/0", "runs/1"] and table.labels(runs[:1]) == ["vae"]


def test_unlabelled_images_are_evaluated_without_classes(labelled):
    found = terms.evaluate_model(build_model(model="dae", **SMALL), tf.data.Dataset.from_tensor_slices(labelled[0][:20]).batch(9))
    assert set(found) == {"loss", "reconstruction", "mse"} and len(found["loss"]) == 20


def evaluated():
    def value(mean):
        return {"mean": mean, "standard_error": 0.5}

    vae = {"n": 10, "reconstruction": value(74.248), "kl": value(20.9), "neg_elbo": value(95.148), "error_of_output": value(0.0385)}
    classifier = {"n": 10, "loss": value(0.03), "error": value(0.0101)}
    common = {"run": "r", "record": {"data": {"note": "a note"}}, "notes": ["another", ""]}
    return [
        SimpleNamespace(params_dict={"model": "vae", "dataset": "mnist", "seed": 1}, summary=vae, **common),
        SimpleNamespace(params_dict={"model": "classifier", "dataset": "mnist", "seed": 0}, summary=classifier, **common),
    ]


def test_tables_in_the_published_form():
    assert table.table_csv(evaluated()) == (
        "model,dataset,seed,n,reconstruction,kl,neg_elbo,classifier_error,run\n"
        "vae,mnist,1,10,74.248,20.9,95.148,0.0385,r\n"
        "classifier,mnist,0,10,,,,0.0101,r\n"
    )
    lines = table.table_markdown(evaluated()).splitlines()
    assert lines[0] == "| model | dataset | test loss | test KLD | −ELBO | classifier error |"
    assert lines[2] == "| vae, seed 1 | mnist | 74.25 ± 0.50 | 20.90 ± 0.50 | 95.15 ± 0.50 | 3.85 ± 50.00 % |"
    assert lines[3] == "| classifier, seed 0 | mnist |  |  |  | 1.01 ± 50.00 % |"
    assert lines[5:] == [
        "Nats per image, squared errors per pixel; mean ± standard error over 10 test images.",
        "Note: a note.",
        "Note: another.",
    ]


def test_runs_that_differ_in_their_seed_get_a_row_of_mean_and_standard_deviation():
    vaes = [evaluated()[0] for _ in range(3)]
    for seed, (vae, loss) in enumerate(zip(vaes, (74.0, 75.0, 79.0))):
        vae.params_dict = vae.params_dict | {"seed": seed, "kl_weight": 1.0, "run_dir": f"runs/{seed}"}
        vae.summary = vae.summary | {"reconstruction": {"mean": loss, "standard_error": 0.5}}
    other = evaluated()[0]
    other.params_dict = other.params_dict | {"seed": 3, "kl_weight": 0.5}
    lines = table.table_markdown([*vaes, other]).splitlines()
    # mean 76, squared deviations 4 + 1 + 9 over 2
    assert lines[6] == "| vae, 3 seeds | mnist | 76.00 ± 2.65 | 20.90 ± 0.00 | 95.15 ± 0.00 | 3.85 ± 0.00 % |"
    assert len([line for line in lines if line.startswith("|")]) == 2 + 4 + 1
    assert "Rows of several seeds: mean ± standard deviation over the seeds." in lines
    assert table.table_csv([*vaes, other]).count("\n") == 1 + 4
    another = evaluated()[0]
    another.params_dict = other.params_dict | {"seed": 4}
    labels = [line.split("|")[1].strip() for line in table.table_markdown([*vaes, other, another]).splitlines() if "seeds |" in line]
    assert labels == ["vae, kl_weight 1.0, 3 seeds", "vae, kl_weight 0.5, 2 seeds"]
    assert "seeds" not in table.table_markdown([vaes[0], other]) and "seeds" not in table.table_markdown([vaes[0], vaes[0]])


def test_a_further_column_stands_where_any_run_has_it():
    vae, classifier = evaluated()
    vae.summary["probe_error"] = {"mean": 0.1018, "standard_error": 0.003}
    vae.summary["mse"] = {"mean": 0.0614, "standard_error": None}
    assert table.table_csv([vae, classifier]).splitlines()[0].endswith(",classifier_error,mse,probe_error,run")
    lines = table.table_markdown([vae, classifier]).splitlines()
    assert lines[0].endswith("| classifier error | squared error | linear probe's error |")
    assert lines[2].endswith("| 0.06140 | 10.18 ± 0.30 % |") and lines[3].endswith("|  |  |")


def test_names_break_no_table():
    vae, classifier = evaluated()
    vae.run, classifier.run = "a|b", "two\nlines\udce9"
    for evaluation in (vae, classifier):
        evaluation.params_dict = {"model": "vae", "dataset": "folder:<b>|`\n", "seed": 1}
        evaluation.record = {"data": {"note": "folder:<b>|`\n has no test split"}}
    lines = table.table_markdown([vae, classifier]).splitlines()
    assert lines[2].startswith(r"| a\|b | folder:&lt;b>\|\`\n | ") and lines[3].startswith(r"| two\nlines\xe9 | folder:&lt;b>\|\`\n | ")
    assert r"Note: folder:&lt;b>\|\`\n has no test split." in lines
    assert table.table_csv([vae, classifier]).splitlines()[2].endswith(r",two\nlines\xe9")


def test_figures_of_several_datasets_have_different_names():
    assert file_prefixes(["mnist"]) == [""]
    assert file_prefixes(["mnist", "folder:/a b", "folder:/a|b"]) == ["mnist_", "folder-a-b-2_", "folder-a-b-3_"]
    assert len(file_prefixes(["mnist", "猫" * 300])[1].encode()) < 200


def test_mosaic_keeps_images_in_reading_order():
    tiles = image_grids.mosaic(np.arange(5, dtype=np.float32)[:, None, None, None] * np.ones((1, 2, 3, 1), np.float32), high=4.0, side=3)
    assert tiles.shape == (2 * 3 - 1, 3 * 4 - 1)
    assert [tiles[0, 0], tiles[0, 4], tiles[0, 8], tiles[3, 0], tiles[3, 4]] == [0, 0.25, 0.5, 0.75, 1]
    assert np.isnan(tiles[2, 0]) and np.isnan(tiles[0, 3])  # the lines between


def test_pictures_are_drawn():
    history = [{"epoch": float(e), **{p + k: 100.0 / e for k in ("loss", "kl") for p in ("", "val_")}} for e in range(1, 6)]
    for picture in (
        curves.run_curves(history, "title"),
        curves.compared_curves({"vae": history, "dvae": history}, "kl"),
        image_grids.grids({"grey": np.zeros((5, 4, 4, 1)), "colour": np.ones((64, 4, 4, 3))}, "title"),
    ):
        assert picture.startswith(b"\x89PNG") and len(picture) > 2000
