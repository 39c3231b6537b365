"""Defaults for datasets that no preset names, and when they apply."""

import dataclasses
import itertools
import subprocess
import sys

import pytest
from conftest import ROOT

import params
import train
from tfdvae import rules
from tfdvae.errors import InputError
from tfdvae.runs import Run
from tfdvae.training.defaults import as_flags, completed, fitting

SHAPES = ((3, 3, 1), (8, 8, 1), (16, 16, 3), (28, 28, 1), (64, 64, 3), (80, 400, 1), (256, 256, 3))
COUNTS = (1, 2, 3, 9, 17, 33, 243, 257, 273, 1025, 5001, 54_000, 60_001)
MODELS = ("ae", "dae", "vae", "dvae", "im_dvae", "classifier")


@pytest.mark.parametrize("shape", SHAPES)
def test_defaults_are_valid_for_every_number_of_images_and_model(shape):
    for images, model in itertools.product(COUNTS, MODELS):
        if images == 1 and model == "classifier":  # which cannot go without batch norm
            continue
        values, report = completed(dataclasses.asdict(params.Params(model=model)), (), shape, images)
        rules.check(values)
        size = values["batch_size"]
        assert size <= images
        assert images % size != 1 or not values["batch_norm"]
        assert (size > 1) or not values["batch_norm"]
        assert max(map(len, report.splitlines())) < 140
        assert not values["flip"] and values["pixel_range"] == "unit"


def test_defaults_for_300_photos_are_those_that_were_measured():
    assert fitting((64, 64, 3), 243, "dvae") == {
        "network": "mlp", "hidden_units": (256,), "latent_dim": 128, "batch_size": 16, "epochs": 80, "learning_rate": 1e-3,
    }  # fmt: skip


def test_larger_or_grey_or_more_images_get_convolutions():
    assert "network" not in fitting((64, 64, 3), 2000, "vae")
    assert "network" not in fitting((64, 64, 1), 243, "vae")
    assert fitting((128, 128, 3), 243, "vae")["channels"] == (32, 64, 64, 64)


def test_images_that_are_too_small_for_convolutions_get_dense_layers():
    assert fitting((3, 9, 1), 9000, "vae")["network"] == "mlp"
    assert "network" not in fitting((4, 4, 1), 100, "vae")


def test_a_classifier_trains_shorter_on_shifted_images():
    values, vae = (fitting((28, 28, 1), 9000, model) for model in ("classifier", "vae"))
    assert values["shift"] == 0.1 and values["epochs"] < vae["epochs"]
    assert not {"channels", "hidden_units", "latent_dim"} & set(values)


@pytest.mark.parametrize(
    "shape, given",
    [
        ((64, 64, 3), {"network": "mlp"}),
        ((64, 64, 3), {"network": "linear", "model": "ae"}),
        ((64, 64, 3), {"network": "r0"}),
        ((64, 64, 3), {"channels": (4,), "batch_size": 7}),
        ((3, 3, 1), {"channels": (4,)}),
        ((3, 3, 1), {"network": "conv"}),
        ((28, 28, 1), {"binarize": "sample"}),
        ((28, 28, 1), {"pixel_range": "signed", "likelihood": "gaussian"}),
        ((28, 28, 1), {"dataset": "variance_mnist", "pixel_range": "real", "likelihood": "gaussian"}),
    ],
)
def test_given_parameters_stay_and_the_others_fit_them(shape, given):
    values, _ = completed(dataclasses.asdict(params.Params()) | given, given, shape, 300)
    rules.check(values)
    assert {name: values[name] for name in given} == given


@pytest.mark.parametrize("shape, images, model", [((64, 64, 3), 243, "dvae"), ((3, 3, 1), 50, "vae"), ((9, 7, 3), 1, "classifier")])
def test_the_printed_options_give_the_same_parameters(shape, images, model):
    before = dataclasses.asdict(params.Params(model=model))
    values, report = completed(before, {"model"}, shape, images)
    _, given = train.parse(report.splitlines()[1].split())
    assert given == fitting(shape, images, model)
    assert completed(before | given, {"model", *given}, shape, images) == (values, "")
    assert dataclasses.asdict(dataclasses.replace(params.Params(model=model), **given)) == values


def test_options_of_every_type():
    assert (
        as_flags({"hidden_units": (5, 6), "batch_norm": False, "flip": True, "epochs": 3})
        == "--hidden-units 5 6 --no-batch-norm --flip --epochs 3"
    )


def test_a_dataset_with_a_preset_gets_it():
    assert train.preset_for() == "mnist_5k"
    assert train.preset_for(model="classifier") == "mnist_5k_classifier"
    assert train.preset_for(dataset="cifar10", model="classifier", epochs=3) == "cifar10_classifier"
    for dataset in ("mnist_classifier", "mnist_r2", "folder:mnist", "variance_digits", ["mnist"]):
        assert train.preset_for(dataset=dataset) is None


TINY = {"channels": (4,), "hidden_units": (8,), "epochs": 1}


def test_a_folder_is_trained_with_fitting_defaults(folder_of_classes, tmp_path, capsys):
    dataset, run_dir = f"folder:{folder_of_classes}", str(tmp_path / "run")
    run = Run(train.main(dataset=dataset, model="vae", run_dir=run_dir, **TINY))
    out = capsys.readouterr().out
    assert "Defaults for 33 training images of 9x7x3:\n  --latent-dim 32 --batch-size 17 --learning-rate 0.001\n" in out
    record = run.read_record()
    assert record["preset"] is None
    expected = {"latent_dim": 32, "batch_size": 17, "channels": [4], "learning_rate": 1e-3, "flip": False}
    assert {name: record["params"][name] for name in expected} == expected
    train.main(resume=True, run_dir=run_dir, dataset=dataset)
    with pytest.raises(InputError, match=r"preset: received mnist, but .* was started without one"):
        train.main("mnist", resume=True, run_dir=run_dir)
    assert "Defaults" not in capsys.readouterr().out


def test_a_preset_that_is_given_keeps_its_values(folder_of_classes, tmp_path, capsys):
    path = train.main("digits", dataset=f"folder:{folder_of_classes}", model="ae", run_dir=str(tmp_path / "run"), batch_size=8, **TINY)
    record, out = Run(path).read_record(), capsys.readouterr().out
    assert record["preset"] == "digits" and record["params"]["latent_dim"] == 16 and record["params"]["learning_rate"] == 2e-3
    assert "Defaults for" not in out and "No preset" not in out


def test_a_classifier_of_digits_gets_their_classifiers_preset(tmp_path, capsys):
    record = Run(train.main(dataset="digits", model="classifier", run_dir=str(tmp_path / "run"), epochs=1, batch_size=700)).read_record()
    assert record["preset"] == "digits_classifier" and record["params"]["shift"] == 0.1
    assert capsys.readouterr().out.startswith("No preset is given: taking digits_classifier.\n")


def test_refused_data_leave_nothing(tmp_path):
    with pytest.raises(InputError, match="is not a folder"):
        train.main(dataset=f"folder:{tmp_path}/none", run_dir=str(tmp_path / "run"))
    assert list(tmp_path.iterdir()) == []


def test_defaults_need_no_tensorflow():
    code = "import sys, tfdvae.training.defaults; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
