"""A run folder of every format that was ever written, two of four epochs trained: it loads, evaluates and goes on."""

import pathlib
import shutil
import subprocess

import numpy as np
import pytest
from conftest import ROOT

import evaluate
import tfdvae
import train
from tfdvae.runs import Run, checkpoint, folder
from tfdvae.version import FORMAT

FORMATS = pathlib.Path(__file__).parent / "formats"


@pytest.fixture(params=range(1, FORMAT + 1))
def run(request, tmp_path):
    """A copy of the folder of a format."""
    shutil.copytree(FORMATS / str(request.param), tmp_path / "run")
    run = Run(tmp_path / "run")
    assert run.read_record().get("format", 1) == request.param
    return run


def test_the_best_and_the_last_weights_load(run):
    saved = {"best": run.read_best()[0], "last": run.read_state()[0]}
    for which, prefix in (("best", ""), ("last", "model/")):
        model = tfdvae.load(run, which)
        for path, variable in checkpoint.weights(model).items():
            np.testing.assert_array_equal(variable, saved[which][prefix + path])
        assert model.reconstruct(np.zeros((2, 8, 8, 1), np.float32)).shape == (2, 8, 8, 1) and model.prior.means.shape == (3, 2)


def test_it_evaluates_to_the_numbers_of_its_time(run):
    _, before = run.read_evaluation()
    (evaluation,) = evaluate.main([str(run)])
    assert set(before) == set(evaluation.per_image)
    for name, values in before.items():
        np.testing.assert_allclose(evaluation.per_image[name], values, rtol=1e-3, atol=1e-3, err_msg=name)  # machines round differently


def test_it_goes_on_where_it_was(run):
    before = run.read_history()
    train.main(resume=True, run_dir=str(run))
    after = run.read_history()
    assert len(before) == 2 and len(after) == 4 and after[:2] == before
    assert after[3]["val_loss"] < before[1]["val_loss"] and after[3]["learning_rate"] < before[1]["learning_rate"]
    assert run.read_best()[1] == min(after, key=lambda row: row["val_loss"])["epoch"]
    assert sorted(run.frames()) == [1, 2, 3, 4]


@pytest.mark.parametrize("number", range(1, FORMAT + 1))
def test_every_format_has_a_small_folder_that_is_not_ignored(number):
    paths = [path for path in (FORMATS / str(number)).rglob("*") if path.is_file()]
    assert {folder.RECORD, folder.BEST, folder.LAST, folder.PREVIOUS} <= {path.name for path in paths}
    assert sum(path.stat().st_size for path in paths) < 200_000
    asked = subprocess.run(["git", "check-ignore", "--no-index", "-q", *map(str, paths)], cwd=ROOT)
    assert asked.returncode in (1, 128)  # 128: no checkout
