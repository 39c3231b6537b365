"""The lines that a training prints."""

import re

import conftest
import numpy as np
import pytest
from test_terminal import in_a_terminal, screen

from tfdvae import data
from tfdvae.build import build_model
from tfdvae.models import VAE
from tfdvae.runs import Run
from tfdvae.training import epochs
from tfdvae.training import fit as training

SMALL = {"image_shape": (8, 8, 1), "num_classes": 10, "channels": (4,), "hidden_units": (10,), "latent_dim": 3, "seed": 3}
FIT = conftest.FIT | {"learning_rate_schedule": "constant"}
MODELS = {
    "ae": {"model": "ae"},
    "dae": {"model": "dae"},
    "vae": {"model": "vae"},
    "im_dvae": {"model": "im_dvae"},
    "dvae": {"model": "dvae"},
    "everything": {"model": "dvae", "label_weight": 0.5, "kl_weight": 0.7, "kl_schedule": "linear:9", "vae_weight": 2.0},
    "classifier": {"model": "classifier"},
}


def row_of(model, value, epoch=1):
    return {"epoch": epoch, "learning_rate": 1e-3} | {prefix + term: value for term in model.term_names for prefix in ("", "val_")}


@pytest.mark.parametrize("parameters", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, 1e-7, -123.456, 1234567.891, -98765432.1, 1e300, -1e300, -1.23456e-300])
def test_every_line_fits_100_columns_and_its_columns_stand_below_their_headings(parameters, value):
    model = build_model(**SMALL, **parameters)
    for last, seconds in ((1, 0.01), (60, 59.99), (99999, 86399), (2**31 - 1, 1e6)):
        table = epochs.Table(model.term_names, last, epochs.is_neg_elbo(model))
        rows = [row_of(model, value, epoch) | {"val_error": 1.0} for epoch in (1, last)]
        lines = [*table.header().splitlines(), *(table.line(row, seconds, seconds * last) for row in rows)]
        assert max(map(len, lines)) <= 100 and len(set(map(len, lines))) == 1, lines
        assert max(map(len, table.every_term(rows[0]).splitlines())) <= 100


@pytest.mark.parametrize(
    "value, text",
    [
        *((0, "0.00"), (43.2129, "43.21"), (-7.5, "-7.50"), (0.0123, "0.01"), (0.00123, "1.23e-03"), (-0.004, "-4.00e-03")),
        *((9999999.99, "9999999.99"), (99999999.9, "99999999.9"), (-1234567.89, "-1234567.9"), (1234567890.4, "1234567890")),
        *((-12345678901.0, "-1.23e+10"), (1e300, "1.00e+300")),
    ],
)
def test_numbers(value, text):
    assert epochs.number(value) == text and len(text) <= epochs.NUMBER


def test_a_line_has_the_terms_that_matter():
    def line(name, **values):
        model = build_model(**SMALL, **MODELS[name])
        table = epochs.Table(model.term_names, 60, epochs.is_neg_elbo(model))
        row = row_of(model, 9.0, 7) | values
        return table.header().splitlines()[1].split(), table.line(row, 1.25, 75).split()

    dvae = {"loss": 43.1, "val_loss": 42.2, "val_neg_elbo": 24.3, "val_vae_reconstruction": 18.4, "val_reconstruction": 18.6, "val_kl": 5.7}
    heading, values = line("dvae", **dvae)
    assert heading == ["epoch", "loss", "loss", "−ELBO", "VAE", "recon.", "DAE", "recon.", "KL", "time", "left"]
    assert values == ["7/60", "43.10", "42.20", "24.30", "18.40", "18.60", "5.70", "1.2", "s", "1:15"]
    heading, values = line("vae", loss=3, val_loss=2, val_reconstruction=1.5, val_kl=0.5)
    assert heading == ["epoch", "loss", "loss=−ELBO", "recon.", "KL", "time", "left"] and values[1:5] == ["3.00", "2.00", "1.50", "0.50"]
    assert line("dae")[0] == ["epoch", "loss", "loss", "time", "left"]
    heading, values = line("classifier", loss=0.3, val_loss=0.25, val_error=0.031)
    assert heading == ["epoch", "loss", "loss", "error", "time", "left"] and values[1:5] == ["0.30", "0.25", "3.10", "%"]


@pytest.mark.parametrize(
    "parameters",
    [
        *MODELS.values(),
        {"model": "vae", "kl_weight": 0.0},
        {"model": "dvae", "denoise_weight": 0.0},
        {"model": "dvae", "vae_weight": 0.0, "denoise_weight": 0.25},
        {"model": "im_dvae", "label_weight": 3.0, "prior": "mixture", "prior_components": 3},
    ],
    ids=str,
)
def test_the_loss_is_composed_as_it_is_said(parameters):
    model = build_model(**SMALL, **parameters)
    if not model.generates:
        assert epochs.explanation(model) == "" and not epochs.is_neg_elbo(model)
        return
    rng = np.random.default_rng(0)
    images, labels = rng.random((5, 8, 8, 1)).astype(np.float32), rng.integers(0, 10, 5)
    terms = {name: values.numpy() for name, values in model.loss_terms(images, labels, seed=[1, 2]).items()}
    expected = sum(weight * terms[name] for name, weight in epochs.composition(model).items())
    np.testing.assert_allclose(terms["loss"], expected, rtol=1e-5)
    assert epochs.is_neg_elbo(model) == np.allclose(terms["loss"], terms["neg_elbo"])
    text = epochs.explanation(model)
    if not text:
        assert epochs.is_neg_elbo(model)
        return
    names = {epochs.heading(name, model.term_names): values for name, values in terms.items() if name in epochs.HEADINGS}
    for quantity, term in (("loss", "loss"), ("−ELBO", "neg_elbo")):  # the formula itself, as a reader would compute it
        (formula,) = re.findall(rf"^  {quantity} *= (.+)$", text, re.MULTILINE)
        parts = [part.rpartition(" × ") for part in formula.split(" + ")]
        np.testing.assert_allclose(terms[term], sum(float(weight or 1) * names[name] for weight, _, name in parts), rtol=1e-5)
    assert max(map(len, text.splitlines())) <= 100


def test_why_a_loss_is_not_the_neg_elbo():
    def said(**parameters):
        return epochs.explanation(build_model(**SMALL, **parameters)).splitlines()

    assert said(model="dvae")[:3] == [
        "Training lowers the loss, which is not the −ELBO:",
        "  loss  = VAE recon. + DAE recon. + KL",
        "  −ELBO = DAE recon. + KL",
    ]
    assert "two reconstruction terms" in said(model="dvae")[3]
    assert said(model="vae", kl_weight=0.5)[1:] == ["  loss  = recon. + 0.5 × KL", "  −ELBO = recon. + KL"]
    annealed = said(model="vae", kl_schedule="linear:9")
    assert annealed[0] == "In training, the loss is not the −ELBO from the first step on:"
    assert annealed[-1] == "In training the weight of the KL begins at 0 and rises to 1. Validation always uses 1."


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self):
        return self.now


def test_the_time_left_comes_from_the_epochs_so_far():
    clock = Clock()
    pace = epochs.Pace(clock)
    pace.add_preparation(5.0)  # of training's first step
    pace.add_preparation(1.0)  # of validation's
    clock.now += 8.0
    assert pace.end_epoch() == 8.0
    assert pace.left(9) == pytest.approx(9 * 2.0)  # without the preparation, which does not come again
    clock.now += 3.0
    assert pace.end_epoch() == 3.0 and pace.left(8) == pytest.approx(8 * 3.0)  # the first epoch no longer counts
    clock.now += 4.0
    pace.end_epoch()
    assert pace.left(7) == pytest.approx(7 * 3.5) and pace.left(0) == 0


@pytest.fixture(scope="module")
def digits():
    return data.load_dataset("digits")


def lines_of_fit(digits, path, capsys, **options):
    run = Run(path)
    run.path.mkdir(exist_ok=True)
    training.fit(build_model(**SMALL, model="dvae"), digits, run, FIT | options.pop("changed", {}), **options)
    return capsys.readouterr().out


def test_a_training_prints_one_line_an_epoch_and_no_carriage_return(digits, tmp_path, capsys):
    out = lines_of_fit(digits, tmp_path, capsys)
    assert "\r" not in out and out.count("Training lowers the loss") == 1
    assert re.findall(r"^ *(\d/3) +[\d.]+ ", out, re.MULTILINE) == ["1/3", "2/3", "3/3"]
    third = out.splitlines()[-1]
    row = Run(tmp_path).read_history()[2]
    shown = [row["loss"], *(row[f"val_{term}"] for term in ("loss", "neg_elbo", "vae_reconstruction", "reconstruction", "kl"))]
    assert third.split()[1:7] == [f"{value:.2f}" for value in shown]
    assert third.endswith(" 0 s") and max(map(len, out.splitlines())) <= 100


def test_a_resumed_training_numbers_its_epochs_on_and_has_the_time_left(digits, tmp_path, capsys, monkeypatch):
    lines_of_fit(digits, tmp_path, capsys, changed={"epochs": 2})
    monkeypatch.setattr(epochs.Pace, "end_epoch", lambda pace: pace.durations.append(10.0) or 10.0)
    monkeypatch.setattr(epochs.Pace, "add_preparation", lambda pace, seconds: None)
    out = lines_of_fit(digits, tmp_path, capsys, changed={"epochs": 4}, resume=True)
    assert [line.split()[0] for line in out.splitlines()[-2:]] == ["3/4", "4/4"]
    assert [line.split()[-4:] for line in out.splitlines()[-2:]] == [["10.0", "s", "10", "s"], ["10.0", "s", "0", "s"]]


def test_verbose_prints_every_term_of_training_and_validation(digits, tmp_path, capsys):
    out = lines_of_fit(digits, tmp_path, capsys, verbose=True)
    for row in Run(tmp_path).read_history():
        for term in ("loss", "neg_elbo", "reconstruction", "vae_reconstruction", "kl", "mse"):
            assert f" {term}={row[term]:.6g}" in out and f" {term}={row[f'val_{term}']:.6g}" in out
    assert out.count("learning_rate=0.01") == 3 and out.count("    training: ") == out.count("    validation: ") == 3
    assert max(map(len, out.splitlines())) <= 100 and "\r" not in out


IN_A_TERMINAL = """
import sys
sys.path.insert(0, "tests")
from test_epochs import FIT, SMALL, Run, build_model, data, training
from tfdvae.training import epochs
epochs.REFRESH = 0
training.fit(build_model(**SMALL, model="vae"), data.load_dataset("digits"), Run({path!r}), FIT | {{"batch_size": 50}})
print("the next line")
"""


def test_in_a_terminal_a_bar_is_shown_within_an_epoch_and_removed(tmp_path):
    written = in_a_terminal(IN_A_TERMINAL.format(path=str(tmp_path)))
    assert re.search(r"\r *2/3 \[#+\.+\] step 7 of 30, loss [\d.]+", written) and "validation ..." in written
    lines = screen(written)
    assert not any("[" in line or "validation ..." in line for line in lines)
    assert [line.split()[0] for line in lines[-5:-2]] == ["1/3", "2/3", "3/3"] and lines[-2:] == ["the next line", ""]


def test_nothing_is_claimed_of_the_loss_of_a_model_that_a_user_added():
    class Other(VAE):
        """Its loss is not known here."""

    model = Other.__new__(Other)
    assert not epochs.is_neg_elbo(model) and epochs.explanation(model) == ""
