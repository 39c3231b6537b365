import json

import numpy as np
import pytest

import tfdvae
from tfdvae import runs, training
from tfdvae.build import build_model
from tfdvae.errors import InputError
from tfdvae.runs import Run

SMALL = {"model": "dvae", "channels": [4], "hidden_units": [10], "latent_dim": 3, "seed": 0}
DATA = {"image_shape": (6, 6, 1), "class_names": ["a", "b"], "sizes": [3, 2, 1], "note": ""}


@pytest.fixture
def run(tmp_path):
    """A run folder with a record and the best weights of a model whose batch norm has seen images."""
    run = Run(tmp_path / "run")
    run.start(params=SMALL, preset="digits", precision="float32", data=DATA, command="python train.py")
    model = build_model(image_shape=(6, 6, 1), **SMALL)
    images = np.random.default_rng(0).random((9, 6, 6, 1)).astype(np.float32)
    model.loss_terms(images, training=True)
    run.write_weights(runs.BEST, training.arrays(training.weights(model)), epoch=1, val_loss=1.0)
    run.model, run.images = model, images
    return run


def test_a_loaded_model_gives_identical_outputs(run):
    loaded = tfdvae.load(run.path)
    np.testing.assert_array_equal(loaded.reconstruct(run.images, seed=[1, 2]), run.model.reconstruct(run.images, seed=[1, 2]))
    np.testing.assert_array_equal(loaded.sample(3), run.model.sample(3))
    for one, two in zip(loaded.encode(run.images), run.model.encode(run.images)):
        np.testing.assert_array_equal(one, two)


def test_the_record_tells_where_a_run_came_from(run):
    record = run.read_record()
    assert record["params"] == SMALL and record["versions"]["tfdvae"] == tfdvae.__version__
    assert {"git", "command", "started", "precision", "preset"} <= set(record)


def test_a_run_is_never_overwritten_unasked(run):
    with pytest.raises(InputError, match=r"--resume.*--overwrite"):
        run.refuse_to_overwrite()
    (run.path / "notes.txt").write_text("mine")
    run.clear()
    assert [p.name for p in run.path.iterdir()] == ["notes.txt"]
    run.refuse_to_overwrite()


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "taken").write_text("")
    for path in (tmp_path / "taken", tmp_path / "taken" / "below"):
        with pytest.raises(InputError, match="is a file"):
            Run(path).refuse_to_overwrite()


def test_paths_without_a_run(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        tfdvae.load(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"no run\.json"):
        tfdvae.load(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"params": {}}', '{"params": 3, "precision": "float32", "data": []}'])
def test_a_damaged_record_is_refused(run, content):
    run.file(runs.RECORD).write_text(content)
    with pytest.raises(InputError, match="damaged"):
        tfdvae.load(run.path)


@pytest.mark.parametrize("keep", [0, 5, 1000, -4])
def test_truncated_weights_are_refused(run, keep):
    path = run.file(runs.BEST)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match="truncated or damaged"):
        tfdvae.load(run.path)


def test_weights_of_another_shape_or_model_or_not_finite_are_refused(run):
    arrays, _ = run.read_weights(runs.BEST)
    name = "dvae/posterior/bias"
    for changed, message in (
        ({**arrays, name: np.zeros(99, np.float32)}, r"posterior/bias of shape \(99,\); expected \(6,\)"),
        ({**arrays, name: np.full(6, np.nan, np.float32)}, "not finite"),
        ({k: v for k, v in arrays.items() if k != name}, "another model"),
    ):
        run.write_weights(runs.BEST, changed)
        with pytest.raises(InputError, match=message):
            tfdvae.load(run.path)


def test_a_run_without_a_finished_epoch_says_so(run):
    run.file(runs.BEST).unlink()
    with pytest.raises(InputError, match="had not finished an epoch"):
        tfdvae.load(run.path)


def test_history_round_trip(run):
    rows = [{"epoch": 1.0, "loss": 0.5}, {"epoch": 2.0, "loss": 1 / 3}]
    run.write_history(rows)
    assert run.read_history() == rows
    run.file(runs.HISTORY).write_text("epoch,loss\n1,oops\n")
    with pytest.raises(InputError, match="damaged"):
        run.read_history()


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    runs.write(path, json.dumps({"old": 1}))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runs.os, "fsync", full)
    with pytest.raises(OSError):
        runs.write(path, json.dumps({"new": 2}))
    assert json.loads(path.read_text()) == {"old": 1}


def test_new_runs_count_up(tmp_path, monkeypatch):
    import params

    monkeypatch.chdir(tmp_path)
    for expected in ("runs/mnist-dvae-seed1", "runs/mnist-dvae-seed1-2", "runs/mnist-dvae-seed1-3"):
        run = runs.new_run(params.override(params.preset("mnist"), seed=1))
        assert str(run) == expected
        run.path.mkdir(parents=True)
    for dataset, expected in (("folder:../my/cats/", "cats"), ("emnist/letters:3.0.0", "emnist-letters-3.0.0")):
        assert str(runs.new_run(params.override(params.Params(), dataset=dataset))) == f"runs/{expected}-dvae-seed0"
