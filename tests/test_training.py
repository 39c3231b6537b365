import io

import conftest
import keras
import numpy as np
import pytest
import tensorflow as tf

from tfdvae import data
from tfdvae.build import build_model
from tfdvae.errors import NonFiniteLoss
from tfdvae.runs import Run, checkpoint
from tfdvae.runs import folder as runs
from tfdvae.training import callbacks
from tfdvae.training import fit as training
from tfdvae.training import run as training_run

SMALL = {"channels": (4,), "hidden_units": (10,), "latent_dim": 3}
FIT = conftest.FIT | {"epochs": 4}


@pytest.fixture(scope="module")
def digits():
    return data.load_dataset("digits")


def test_staircase_falls_to_a_tenth_at_each_fifth_and_not_below_its_floor():
    rates = training.learning_rates("staircase", 0.01, epochs=10, steps_per_epoch=4)
    assert [float(rates(step)) for step in (0, 8, 9, 17, 25, 33, 39)] == pytest.approx([1e-2, 1e-2, 1e-3, 1e-4, 1e-5, 1e-5, 1e-5])
    assert training.learning_rates("constant", 0.3, 1, 1) == 0.3
    cosine = training.learning_rates("cosine", 1.0, epochs=2, steps_per_epoch=10)
    assert [float(cosine(step)) for step in (0, 10, 20)] == pytest.approx([1.0, 0.5, 0.0], abs=1e-6)
    linear = training.learning_rates("linear", 1.0, epochs=2, steps_per_epoch=10)
    assert [float(linear(step)) for step in (0, 5, 19, 20)] == pytest.approx([1.0, 0.75, 0.05, 0.0], abs=1e-6)
    held = training.learning_rates("cosine_hold", 1.0, epochs=2, steps_per_epoch=10)
    assert [float(held(step)) for step in (0, 8, 16, 19)] == pytest.approx([1.0, 0.505, 0.01, 0.01], abs=1e-6)


def test_a_plateau_lowers_the_rate_after_ten_epochs_that_were_no_better():
    """As PyTorch's ReduceLROnPlateau: the eleventh in a row reduces, and the count begins again."""
    assert callbacks.plateau_rate([], 0.1) == 0.1
    assert callbacks.plateau_rate([5.0, 4.0] + [4.0] * 10, 0.1) == 0.1
    assert callbacks.plateau_rate([5.0, 4.0] + [4.0] * 11, 0.1) == pytest.approx(0.01)
    assert callbacks.plateau_rate([5.0, 4.0] + [4.0] * 10 + [3.0] * 11, 0.1) == 0.1
    assert callbacks.plateau_rate([-4.0] + [-4.0003] * 11, 0.1) == pytest.approx(0.01)  # lower, but by less than a ten-thousandth
    assert callbacks.plateau_rate([4.0] * 23, 0.1) == pytest.approx(0.001)


def test_weight_decay_takes_its_share_off_kernels_alone():
    """Without a gradient Adam does not move, so a step at rate 0.1 with a decay of 0.5 leaves 95 % of a kernel."""
    model = build_model(image_shape=(8, 8, 1), model="vae", prior="mixture", prior_components=3, **SMALL)
    training.compile_model(model, 0.1, beta_2=0.9, weight_decay=0.5)
    before = {weight.path: weight.numpy() for weight in model.trainable_variables}
    model.optimizer.apply_gradients([(tf.zeros_like(weight), weight) for weight in model.trainable_variables])
    names = set()
    for weight in model.trainable_variables:
        names.add(weight.name)
        np.testing.assert_allclose(weight, before[weight.path] * (0.95 if weight.name == "kernel" else 1.0), rtol=1e-6)
    assert model.optimizer.beta_2 == 0.9 and {"kernel", "bias", "scale", "offset"} < names


VARIED = {"model": "im_dvae", "prior": "vampprior", "prior_components": 3}


DECAYED = {"learning_rate_schedule": "linear", "beta_2": 0.9, "weight_decay": 0.5}


@pytest.mark.parametrize(
    "parameters, changed",
    [
        ({"model": "dvae", "kl_schedule": "linear:9"}, {}),
        (VARIED, {"learning_rate_schedule": "plateau"}),
        ({"model": "vae"}, DECAYED),
    ],
)
def test_a_resumed_run_ends_as_an_uninterrupted_one(parameters, changed, digits, tmp_path, monkeypatch):
    monkeypatch.setattr(callbacks, "PATIENCE", -1)  # so that every epoch reduces
    finals = []
    for stops in ((4,), (1, 3, 4)):
        run = Run(tmp_path / str(len(stops)))
        run.path.mkdir()
        for i, stop in enumerate(stops):
            model = build_model(image_shape=(8, 8, 1), seed=3, **parameters, **SMALL)
            callback = keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs, m=model, s=stop: setattr(m, "stop_training", epoch + 1 == s)
            )
            training.fit(model, digits, run, FIT | changed, resume=i > 0, callbacks=[callback])
        assert sorted(run.frames()) == [1, 2, 3, 4]
        finals.append((run.read_weights(runs.LAST)[0], run.read_history()))
    assert finals[0][1] == finals[1][1] and len(finals[0][1]) == 4
    assert finals[0][1][3]["learning_rate"] < 0.5 * finals[0][1][0]["learning_rate"]
    for name, value in finals[0][0].items():
        np.testing.assert_array_equal(value, finals[1][0][name])


def test_the_best_epoch_is_the_one_with_the_lowest_validation_loss(tmp_path):
    run = Run(tmp_path)
    callback = callbacks.SaveEveryEpoch(run, [])
    model = build_model(image_shape=(6, 6, 1), model="vae", **SMALL)
    model.compile(optimizer="adam")
    callback.set_model(model)
    for epoch, loss in enumerate([3.0, 1.0, 2.0]):
        model.head.bias.assign([float(epoch)] * 6)
        callback.on_epoch_end(epoch, {"loss": 0.0, "val_loss": loss})
    arrays, metadata = run.read_weights(runs.BEST)
    assert metadata == {"epoch": "2", "val_loss": "1.0"}
    assert arrays["vae/posterior/bias"].tolist() == [1.0] * 6
    assert run.read_weights(runs.LAST)[1]["epochs"] == "3" and run.read_weights(runs.PREVIOUS)[1]["epochs"] == "2"
    assert [row["val_loss"] for row in run.read_history()] == [3.0, 1.0, 2.0]


def test_a_run_is_drawn_with_the_weights_of_its_best_epoch(digits, tmp_path, monkeypatch, capsys):
    run, drawn = Run(tmp_path), []
    model = build_model(image_shape=(8, 8, 1), model="vae", **SMALL)
    training.fit(model, digits, run, FIT | {"epochs": 2})
    model.head.bias.assign([9.0] * 6)  # as a last epoch that is not the best would leave them
    monkeypatch.setattr(training_run, "draw_pictures", lambda run, model, *_: drawn.append(checkpoint.arrays(checkpoint.weights(model))))
    training_run.finish(run, model, digits, SMALL)
    best, epoch, loss = run.read_best()
    assert f"(best epoch {epoch}, validation loss {loss:.3f})" in capsys.readouterr().out
    assert drawn[0].keys() == best.keys() and all(np.array_equal(drawn[0][name], best[name]) for name in best)


def test_a_loss_that_is_not_finite_names_step_and_term(digits, tmp_path):
    model = build_model(image_shape=(8, 8, 1), model="vae", **SMALL)
    model.head.bias.assign([200.0] * 6)  # exp(200) overflows float32
    with pytest.raises(NonFiniteLoss, match=r"^kl.* became (inf|nan) at step 1 of epoch 1"):
        training.fit(model, digits, Run(tmp_path), FIT)


def scalars(folder):
    """Return what a callback of TensorBoard wrote: (tag, step) -> value, of training and validation."""
    found = {}
    for path in sorted(folder.rglob("*tfevents*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            found |= {(path.parent.name, value.tag, event.step): tf.make_ndarray(value.tensor).item() for value in event.summary.value}
    return found


def test_tensorboard_has_the_terms_of_every_epoch_as_with_the_callback_of_keras(digits, tmp_path):
    (tmp_path / "run").mkdir()
    theirs = keras.callbacks.TensorBoard(tmp_path / "keras", write_graph=False)
    run = Run(tmp_path / "run")
    training.fit(build_model(image_shape=(8, 8, 1), model="vae", **SMALL), digits, run, FIT | {"epochs": 2}, callbacks=[theirs])
    found = scalars(run.file(runs.TENSORBOARD))
    assert found == scalars(tmp_path / "keras")
    for row in run.read_history():
        for part, prefix in (("train", ""), ("validation", "val_")):
            assert found[part, "epoch_loss", row["epoch"] - 1] == pytest.approx(row[f"{prefix}loss"])


def test_precision_that_is_named_is_kept():
    assert training_run.resolve_precision("float32") == "float32"
    assert training_run.resolve_precision("bfloat16") == "bfloat16"
    assert training_run.resolve_precision("auto") in ("float32", "bfloat16")


@pytest.mark.parametrize(
    "flags, expected", [("fpu avx2 avx512f avx512_bf16", "bfloat16"), ("fpu amx_bf16", "bfloat16"), ("fpu avx2", "float32")]
)
def test_auto_is_bfloat16_where_the_processor_multiplies_it(flags, expected, monkeypatch):
    monkeypatch.setattr(training_run.tf.config, "list_physical_devices", lambda kind: [])
    monkeypatch.setattr(training_run, "open", lambda path: io.StringIO(f"model name : x\nflags : {flags}\n"), raising=False)
    assert training_run.resolve_precision("auto") == expected


@pytest.mark.parametrize("capability, expected", [((8, 0), "bfloat16"), ((9, 0), "bfloat16"), ((7, 5), "float32")])
def test_auto_is_bfloat16_where_the_gpu_multiplies_it(capability, expected, monkeypatch):
    monkeypatch.setattr(training_run.tf.config, "list_physical_devices", lambda kind: ["gpu"])
    monkeypatch.setattr(training_run.tf.config.experimental, "get_device_details", lambda gpu: {"compute_capability": capability})
    assert training_run.resolve_precision("auto") == expected


def test_in_bfloat16_terms_statistics_and_optimizer_are_float32():
    model = build_model(image_shape=(6, 6, 1), model="dvae", precision="bfloat16", **SMALL)
    training.compile_model(model, 1e-3)
    images = np.random.default_rng(0).random((5, 6, 6, 1)).astype(np.float32)
    assert {value.dtype.name for value in model.loss_terms(images, training=True).values()} == {"float32"}
    assert {value.dtype.name for value in model.encode(images)} == {"float32"}
    assert {np.asarray(value).dtype.name for name, value in checkpoint.state(model).items() if name.startswith("model/")} == {"float32"}
    slots = [v for v in model.optimizer.variables if len(v.shape)]
    assert len(slots) == 2 * len(model.trainable_variables) and {v.dtype for v in slots} == {"float32"}
