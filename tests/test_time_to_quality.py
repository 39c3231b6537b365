"""The comparison of recipes measures the same -ELBO of all, of the networks that it names, and goes on where it was stopped."""

import csv
import importlib.util
import json
import pathlib
import subprocess
import sys
import types

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT

import tfdvae.data
from tfdvae.build import build_model
from tfdvae.runs import Run

sys.path.append(str(ROOT / "benchmarks"))

import peers
import peers_keras
import quality_results
import time_to_quality
from peers import Progress, elbo_terms, neg_elbo

TINY = {"preset": "digits", "channels": (2, 2), "hidden_units": (4,), "latent_dim": 2, "batch_size": 500, "epochs": 3}


@pytest.fixture
def digits(tmp_path):
    """The images of digits, as the benchmark hands them over."""
    time_to_quality.save_images(tmp_path / "images.npz", "digits")
    return time_to_quality.read_images(tmp_path / "images.npz")


@pytest.fixture
def pictures():
    """A few dark images of MNIST's size."""
    images = 0.2 * np.random.default_rng(0).random((50, 28, 28, 1)).astype(np.float32)
    return {"train": images[:40], "validation": images[40:]}


def test_the_elbo_of_an_image():
    found = elbo_terms(np.array([[0.25, 1.0]]), np.array([[0.0, np.log(3)]]), np.array([[1.0, 0.0]]), np.array([[0.0, np.log(4)]]))
    # log(1 + e^0) + log(1 + 3) - log 3, then 1/2 for the mean of 1 and (4 - 1 - log 4) / 2 for the variance of 4
    assert found == pytest.approx([np.log(2) + np.log(4) - np.log(3) + 0.5 + 0.5 * (3 - np.log(4))])


def test_the_elbo_is_the_one_of_the_package():
    model = build_model(model="vae", image_shape=(8, 8, 1), channels=(4, 6), hidden_units=(10,), latent_dim=3)
    images = np.random.default_rng(0).random((6, 8, 8, 1)).astype(np.float32)
    mean, log_variance = model.encode(images)
    z, _ = model.draw_latent(mean, log_variance, [5, 0])
    ours = elbo_terms(images, model.output_of_latents(z), mean, log_variance)
    assert ours == pytest.approx(model.loss_terms(tf.constant(images), seed=[5, 0])["neg_elbo"].numpy(), rel=1e-5)


def test_every_image_has_one_draw_of_one_seed():
    images, seen = np.zeros((peers.BATCH + 7, 4), np.float32), []

    def encode(batch):
        return np.full((len(batch), 2), 3.0), np.full((len(batch), 2), np.log(4))

    def decode(z):
        seen.append(z)
        return np.zeros((len(z), 4))

    values = [neg_elbo(images, encode, decode) for _ in range(2)]
    draws = 3 + 2 * np.random.default_rng(0).standard_normal((len(images), 2))
    np.testing.assert_allclose(np.concatenate(seen), np.concatenate([draws, draws]), rtol=1e-6)
    assert values == pytest.approx([4 * np.log(2) + (4 + 9 - 1 - np.log(4))] * 2)


def test_all_have_the_images_of_the_package(digits):
    dataset = tfdvae.data.load_dataset("digits")
    for name, part in (("train", tfdvae.data.TRAIN), ("validation", tfdvae.data.VALIDATION)):
        theirs = np.concatenate([tfdvae.data.images_of(batch) for batch in dataset.in_order(part, 500).as_numpy_iterator()])
        np.testing.assert_allclose(digits[name], theirs, rtol=1e-6)
    assert digits["train"].dtype == np.float32


def test_progress_is_kept_and_ends_at_the_target_or_the_limit(tmp_path):
    progress = Progress(tmp_path / "one", 2.0)
    assert not progress.ended
    progress.record(60, 100.0)
    assert not progress.ended
    again = Progress(tmp_path / "one", 2.0)
    again.record(90, 99.0)
    assert again.ended and again.minutes == 2.5
    assert not Progress(tmp_path / "one", 3.0).ended  # a higher limit
    again.keep(1)
    again.record(30, peers.TARGET)
    assert again.ended and again.rows[1:] == [(2, 1.5, peers.TARGET)]
    with pytest.raises(RuntimeError, match="state of epoch 3, but the time of 2 epochs"):
        again.keep(3)


def test_an_orphan_writes_nothing(tmp_path, monkeypatch):
    progress = Progress(tmp_path, 2.0)
    monkeypatch.setattr(peers.os, "getppid", lambda: 1)
    with pytest.raises(SystemExit):
        progress.record(60, 100.0)
    assert not progress.path.exists()


def test_first_step_validation_and_saving_take_no_time(tmp_path, monkeypatch):
    now = [0.0]

    def slow_validation(*_):
        now[0] += 1000
        return 100.0

    monkeypatch.setattr(peers_keras, "time", types.SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(peers_keras, "neg_elbo", slow_validation)
    progress = Progress(tmp_path, 60.0)
    follow = peers_keras.Follow(progress, None, None, None)
    follow.set_model(tf.Module())
    for epoch, validates in enumerate((True, False)):
        now[0] += 200
        follow.on_epoch_begin(epoch)
        for step in range(3):
            now[0] += 10
            follow.on_train_batch_end(step)
        if validates:
            follow.on_test_begin()
            now[0] += 500
        follow.on_epoch_end(epoch)
    assert np.array(progress.rows) == pytest.approx(np.array([(1, 20 / 60, 100.0), (2, 50 / 60, 100.0)]))
    assert follow.model.stop_training is False


def test_the_package_ends_at_the_target_or_the_limit_and_goes_on_exactly(digits, tmp_path, monkeypatch):
    def rows(name, limit):
        progress = Progress(tmp_path / name, limit)
        peers_keras.train_package(progress, digits, 0, **TINY)
        return [tuple(row) for row in progress.rows]

    monkeypatch.setattr(peers, "TARGET", 0.0)
    whole = rows("whole", 1e9)
    assert [epoch for epoch, _, _ in whole] == [1, 2, 3]
    assert 0 < whole[0][1] < whole[1][1] < whole[2][1]
    history = Run(tmp_path / "whole" / "run").read_history()
    # one draw each of 143 images: their mean differs by about 0.1 nats from that of other draws
    assert [value for _, _, value in whole] == pytest.approx([row["val_neg_elbo"] for row in history], abs=0.5)
    assert rows("whole", 1e9) == whole
    first = rows("parts", 0.0)
    assert len(first) == 1
    both = rows("parts", 1e9)
    assert both[:1] == first and [value for _, _, value in both] == pytest.approx([value for _, _, value in whole], rel=1e-6)
    monkeypatch.setattr(peers, "TARGET", whole[0][2] + 1e-3)
    assert len(rows("passed", 1e9)) == 1


def test_the_keras_example_is_the_published_one(pictures):
    published = peers_keras.KerasExample(2)
    assert (published.encoder.count_params(), published.decoder.count_params()) == (69_076, 65_089)  # as its page prints them
    model = peers_keras.KerasExample()
    # convolutions, dense layers of 16 and 2 x 50 units; dense layer, transposed convolutions
    encoder = 32 * (9 + 1) + 64 * (9 * 32 + 1) + 16 * (49 * 64 + 1) + 2 * 50 * (16 + 1)
    decoder = 49 * 64 * (50 + 1) + 64 * (9 * 64 + 1) + 32 * (9 * 64 + 1) + (9 * 32 + 1)
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == encoder + decoder
    mean, log_variance, z = model.encoder(pictures["train"])
    np.testing.assert_allclose(model.posterior(pictures["train"])[0], mean, rtol=1e-6)
    model.encoder = lambda _: (mean, log_variance, z)
    terms = elbo_terms(pictures["train"], model.logits(z), mean, log_variance)
    assert float(model.losses_of(pictures["train"])[0]) == pytest.approx(terms.mean(), rel=1e-5)


def test_the_keras_example_learns_and_goes_on(pictures, tmp_path, monkeypatch):
    def trained(epochs):
        progress = Progress(tmp_path, 1e9)
        monkeypatch.setattr(Progress, "ended", property(lambda self: len(self.rows) >= epochs))
        peers_keras.train_keras_example(progress, pictures, 0, batch_size=10)
        with np.load(tmp_path / "state.npz") as state:
            return progress.rows, dict(state)

    first, begun = trained(2)
    assert [row[0] for row in first] == [1, 2] and begun["epochs"] == 2
    both, state = trained(6)
    assert list(map(tuple, both[:2])) == list(map(tuple, first)) and [row[0] for row in both] == [1, 2, 3, 4, 5, 6]
    assert both[1][2] > both[2][2] > both[5][2] and both[5][2] < first[0][2] - 50  # it goes on learning, rather than anew
    steps = [name for name in state if name != "epochs" and begun[name].shape == () and (begun[name], state[name]) == (8, 24)]
    assert len(steps) == 1, "the optimizer counts four steps an epoch, and counts on"


def test_recipes_in_the_package_have_their_parameters(monkeypatch):
    calls = []
    monkeypatch.setattr(peers_keras, "train_package", lambda progress, images, seed, **parameters: calls.append((seed, parameters)))
    for recipe in ("tfdvae", "dojoteef/dvae"):
        time_to_quality.train_recipe(recipe, 2, None, None)
    published = {"network": "r0", "epochs": 250, "batch_size": 64, "learning_rate": 0.01, "learning_rate_schedule": "staircase"}
    published |= {"beta_2": 0.999, "weight_decay": 0.0}
    assert calls == [(2, {"preset": "mnist_fast"}), (2, {"preset": "mnist", **published})]


@pytest.mark.parametrize("which", ["pytorch_example", pytest.param("pythae", marks=pytest.mark.slow)])
def test_the_recipes_in_pytorch(which):
    """PyTorch with Triton and TensorFlow crash in one process, so these tests have one of their own."""
    missing = [name for name in time_to_quality.MODULES[which] if not importlib.util.find_spec(name)]
    if missing:
        pytest.skip(f"{missing[0]} is not installed; it comes with the extra bench")
    command = [sys.executable, "-m", "pytest", "-q", "-o", "addopts=", "-k", which, str(ROOT / "tests" / "torch_peers.py")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout + done.stderr


def test_a_training_has_a_process_of_its_own(pictures, tmp_path):
    images = {name: np.round(255 * each).astype(np.uint8) for name, each in pictures.items()}
    np.savez(tmp_path / "images.npz", **images)
    words = ("--train", "keras_example", 0, 0.0, tmp_path / "images.npz", tmp_path / "own")
    epochs = time_to_quality.measured(time_to_quality.__file__, *words)
    assert [epoch for epoch, _, _ in epochs] == [1] and epochs == json.loads((tmp_path / "own" / "epochs.json").read_text())
    assert 500 < epochs[0][2] < 560  # 784 log 2 = 543 nats of an untrained network


EPOCHS = {
    ("tfdvae", 0): [[1, 1.0, 100.0], [2, 2.0, 95.15]],
    ("tfdvae", 1): [[1, 1.1, 100.0], [2, 2.25, 95.0]],
    ("tfdvae", 2): [[1, 1.5, 94.5]],
    ("dojoteef/dvae", 0): [[1, 60.0, 97.5], [2, 110.0, 98.0]],
    ("pythae", 0): [[1, 5.0, 120.0], [2, 10.0, 95.1234]],
    ("pytorch_example", 0): [[1, 20.0, 104.0], [2, 40.5, 103.0]],
    ("keras_example", 0): [[1, 30.0, 130.0]],  # ended by itself
}
TABLE = """| recipe | minutes to 95.15 nats | times tfdvae's | lowest −ELBO, nats |
|---|---|---|---|
| tfdvae | 2.0 (1.5 to 2.2) | 1.0 | 94.50 to 95.15 |
| dojoteef/dvae | > 100.0 | > 50.0 | 97.50 |
| pythae | 10.0 | 5.0 | 95.12 |
| pytorch_example | > 40.0 | > 20.0 | 103.00 |
| keras_example | > 30.0 | > 15.0 | 130.00 |"""


@pytest.fixture
def trainings(monkeypatch):
    """The trainings that were asked for, as (recipe, seed, limit); each is over at once."""
    asked, stop = [], [None]  # stop: how many are done before it is stopped

    def measured(script, kind, *words):
        if kind == "--images":
            pathlib.Path(words[0]).touch()
            return {}
        recipe, seed, limit, images, folder = words
        assert kind == "--train" and script == time_to_quality.__file__ and images.exists()
        if len(asked) == stop[0]:
            raise KeyboardInterrupt
        folder.mkdir()
        asked.append((recipe, seed, limit))
        return EPOCHS[recipe, seed]

    monkeypatch.setattr(time_to_quality, "measured", measured)
    return asked, stop


def test_the_results(trainings, tmp_path, capsys):
    time_to_quality.run(tuple(peers.RECIPES), 1.0, tmp_path)
    assert trainings[0] == [(recipe, seed, peers.RECIPES[recipe].limit) for recipe, seed in EPOCHS]
    assert {path.name for path in tmp_path.iterdir()} == {f"time_to_quality{end}" for end in (".csv", "_curves.csv", ".json", ".png")}
    rows = (tmp_path / "time_to_quality.csv").read_text().splitlines()
    assert rows[0] == "recipe,seed,minutes,limit,best"
    assert rows[1:] == [
        "tfdvae,0,2.0,40.0,95.15",
        "tfdvae,1,2.25,40.0,95.0",
        "tfdvae,2,1.5,40.0,94.5",
        "dojoteef/dvae,0,,100.0,97.5",
        "pythae,0,10.0,40.0,95.123",
        "pytorch_example,0,,40.0,103.0",
        "keras_example,0,,40.0,130.0",
    ]
    curves = list(csv.reader((tmp_path / "time_to_quality_curves.csv").open()))
    assert curves[0] == ["recipe", "seed", "epoch", "minutes", "neg_elbo"]
    assert curves[1:3] == [["tfdvae", "0", "1", "1.0", "100.0"], ["tfdvae", "0", "2", "2.0", "95.15"]]
    assert len(curves) == 1 + sum(map(len, EPOCHS.values()))
    assert json.loads((tmp_path / "time_to_quality.json").read_text())["cores_used"] == 2
    told = capsys.readouterr().out
    assert told.rstrip().endswith(TABLE)
    assert "2 epochs, 2.25 minutes, lowest −ELBO 95.00 nats; an epoch took 66.0 to 69.0 s" in told
    assert quality_results.table(quality_results.Results(tmp_path)) == TABLE


def test_a_stopped_benchmark_goes_on(trainings, tmp_path):
    asked, stop = trainings
    stop[0] = 2
    with pytest.raises(KeyboardInterrupt):
        time_to_quality.run(("tfdvae", "pythae"), 1.0, tmp_path)
    kept = tmp_path / "time_to_quality" / "dojoteef-dvae-0"  # another's, to go on
    kept.mkdir()
    stop[0] = None
    time_to_quality.run(("tfdvae", "pythae"), 1.0, tmp_path)
    assert [training[:2] for training in asked] == [("tfdvae", 0), ("tfdvae", 1), ("tfdvae", 2), ("pythae", 0)]
    assert [path.name for path in (tmp_path / "time_to_quality").iterdir()] == [kept.name]
    time_to_quality.run(("tfdvae", "pythae"), 1.0, tmp_path)
    assert len(asked) == 4


def test_only_a_higher_limit_trains_again(trainings, tmp_path):
    asked, _ = trainings
    for scale in (0.5, 0.25, 1.0):
        time_to_quality.run(("pytorch_example", "pythae"), scale, tmp_path)
    assert asked == [("pytorch_example", 0, 20.0), ("pythae", 0, 20.0), ("pytorch_example", 0, 40.0)]  # pythae passed
    rows = list(csv.DictReader((tmp_path / "time_to_quality.csv").open()))
    assert [(row["recipe"], row["limit"]) for row in rows] == [("pythae", "20.0"), ("pytorch_example", "40.0")]


def test_without_a_passing_tfdvae_there_is_no_ratio(trainings, tmp_path):
    time_to_quality.run(("pythae",), 1.0, tmp_path)
    assert quality_results.table(quality_results.Results(tmp_path)).splitlines()[-1] == "| pythae | 10.0 |  | 95.12 |"


def test_other_columns_are_refused(tmp_path):
    (tmp_path / "time_to_quality.csv").write_text("recipe,minutes,epoch,val_neg_elbo\npreset,0.6,1,112.5\n")
    with pytest.raises(SystemExit, match="expected recipe,seed,minutes,limit,best"):
        quality_results.Results(tmp_path)


def test_a_missing_package_is_named(monkeypatch, capsys):
    monkeypatch.setattr(time_to_quality.importlib.util, "find_spec", lambda name: None if name == "pythae" else name)
    monkeypatch.setattr(sys, "argv", ["time_to_quality.py", "--recipes", "pytorch_example", "pythae"])
    with pytest.raises(SystemExit):
        time_to_quality.main()
    assert "pythae is not installed" in capsys.readouterr().err
