"""A study from nothing to its report, in miniature; stopped, damaged, deleted and gone on with."""

import csv
import dataclasses
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import ROOT

import compare
import params as parameters
from tfdvae import files, records
from tfdvae.errors import InputError, NonFiniteLoss
from tfdvae.runs import Run

TINY = {"precision": "float32", "epochs": 1, "channels": (4,), "hidden_units": (16,), "latent_dim": 4, "batch_size": 256}
STUDY = parameters.Study(
    preset="digits",
    judge="digits_classifier",
    common=TINY,
    variants={"vae": ({"model": "vae"}, 2), "dvae": ({"model": "dvae"}, 2), "vae_beta0.5": ({"model": "vae", "kl_weight": 0.5}, 2)},
    curve=("vae", "vae_beta0.5"),
    bounds=(parameters.Bound(7, 30, ("vae", "dvae"), 2),),
)
JUDGE = dataclasses.replace(parameters.GENERAL["digits_classifier"], epochs=1)


@pytest.fixture(scope="module")
def miniature():
    """The study `digits` made small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(parameters.STUDIES, "digits", STUDY)
        patch.setitem(parameters.PRESETS, "digits_classifier", JUDGE)
        patch.setattr("tfdvae.comparison.RESAMPLES", 50)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory, miniature):
    """A folder in which the study has been run."""
    folder = tmp_path_factory.mktemp("study")
    compare.main("digits", results=str(folder / "results"), runs=str(folder / "runs"))
    return folder


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of it, to be damaged."""
    shutil.copytree(finished, tmp_path / "study")
    return tmp_path / "study"


def again(folder, **options):
    return compare.main("digits", results=str(folder / "results"), runs=str(folder / "runs"), **options)


def contents(folder):
    """Return name -> digest of every file in the results."""
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in (folder / "results").rglob("*")
        if p.name != ".lock" and p.is_file()
    }


def no_training(monkeypatch):
    def refuse(*_):
        raise AssertionError("nothing was to be trained")

    monkeypatch.setattr(compare, "dispatch", refuse)


def test_a_study_ends_in_its_report(finished):
    folder = finished / "results" / "digits"
    with open(folder / "runs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["variant"], row["model"], row["seed"]) for row in rows] == [
        *(("vae", "vae", "0"), ("vae", "vae", "1"), ("dvae", "dvae", "0"), ("dvae", "dvae", "1")),
        *(("vae_beta0.5", "vae", "0"), ("vae_beta0.5", "vae", "1")),
    ]
    for row in rows:
        values = np.load(folder / "runs" / f"{row['variant']}-seed{row['seed']}" / "per_image.npz")
        assert float(row["reconstruction"]) == pytest.approx(values["reconstruction"].mean(), rel=1e-4)
        assert float(row["neg_elbo"]) == pytest.approx(float(row["reconstruction"]) + float(row["kl"]), rel=1e-4)
        assert float(row["error"]) == pytest.approx(values["error"].mean(), rel=1e-4) and len(values["error"]) == 180
        assert (row["log_p_bound_7"] == "") == (row["variant"] == "vae_beta0.5")
    assert float(rows[0]["log_p_bound_7"]) != float(rows[1]["log_p_bound_7"])
    report = (folder / "report.md").read_text()
    assert "6 of 6 runs" in report and "python compare.py digits" in report
    assert re.search(r"\| \*\*dvae\*\* \| [\d.]+ ± [\d.]+ \| [\d.]+ ± [\d.]+ \|", report)
    assert "python train.py digits --precision float32 --epochs 1" in report
    named = set(re.findall(r"\((figures/\w+\.png)\)", report))
    assert named == {f"figures/{p.name}" for p in (folder / "figures").iterdir()} and len(named) >= 6


def test_the_page_needs_nothing_from_outside(finished):
    page = (finished / "results" / "digits" / "report.html").read_text()
    assert page.count("src=") == page.count('src="data:image/png;base64,') >= 6
    rest = re.sub(r'"data:[^"]*"', "", page)
    assert "href=" not in rest and "http" not in rest and "<script" not in rest
    assert "<table>" in page and "<h1>" in page


def test_what_is_committed_is_small_and_not_ignored(finished):
    folder = finished / "results" / "digits"
    names = {p.name for p in (folder / "runs" / "vae-seed0").iterdir()}
    assert names == {"run.json", "metrics.json", "per_image.npz", "pictures.npz"}
    judge = folder / "classifier" / "best.safetensors"
    assert judge.stat().st_size < 0.6 * (finished / "runs" / "study-digits" / "classifier" / "best.safetensors").stat().st_size
    for path in ("results/digits/runs/vae-seed0/metrics.json", "results/digits/classifier/best.safetensors"):
        asked = subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT)
        assert asked.returncode in (1, 128), path  # 128: no checkout


def test_run_again_it_trains_nothing_and_changes_nothing(copy, monkeypatch):
    before = contents(copy)
    no_training(monkeypatch)
    shutil.rmtree(copy / "runs")  # as on another machine
    again(copy)
    assert contents(copy) == before


def test_a_deleted_run_comes_back_with_the_same_numbers(copy):
    before = contents(copy)
    shutil.rmtree(copy / "results" / "digits" / "runs" / "dvae-seed1")
    shutil.rmtree(copy / "runs" / "study-digits" / "dvae-seed1")
    again(copy)
    after = contents(copy)
    same = {name for name in before if before[name] == after.get(name)}
    per_run = {name for name in before if "dvae-seed1" in name}
    assert set(after) == set(before)
    assert {name for name in per_run if name.endswith(".npz")} <= same  # run.json has another date
    assert "results/digits/runs.csv" in same


def test_damaged_records_are_told_and_made_again(copy, monkeypatch, capsys):
    folder, before = copy / "results" / "digits", contents(copy)
    metrics, arrays, number, record = (
        folder / "runs" / name
        for name in ("vae-seed0/metrics.json", "vae-seed1/per_image.npz", "dvae-seed0/metrics.json", "dvae-seed1/run.json")
    )
    for path in (metrics, arrays):
        path.write_bytes(path.read_bytes()[:-40])
    number.write_text(re.sub(r'("mean": )\d', r"\g<1>9", number.read_text(), count=1))
    record.unlink()
    damaged = [path.parent for path in (metrics, arrays, number, record)]
    for path in damaged:
        with pytest.raises(files.Damaged):
            records.read(path, {}, {}, records.digest_of(Run(folder / "classifier")))
    monkeypatch.setattr(compare, "train_run", lambda *_: None)  # the runs are there, and need only be evaluated
    again(copy)
    told = re.findall(r"^(.+) is damaged \(.+\): it is made again\.$", capsys.readouterr().out, re.MULTILINE)
    assert sorted(told) == sorted(map(str, damaged))
    assert contents(copy) == before


def test_a_report_of_part_of_a_study_says_what_is_missing(copy, monkeypatch):
    no_training(monkeypatch)
    for name in ("dvae-seed0", "vae-seed1"):
        shutil.rmtree(copy / "results" / "digits" / "runs" / name)
    again(copy, report_only=True)
    report = (copy / "results" / "digits" / "report.md").read_text()
    assert "4 of 6 runs" in report and "Without a record, to be trained or diverged: dvae (seed 0), vae (seed 1)." in report
    assert "Without a distance, a VAE of the curve is missing: dvae (seed 1)." in report and "gaps.png" not in report


def test_a_run_that_diverges_is_left_out(copy, monkeypatch, capsys):
    def diverge(*_):
        raise NonFiniteLoss("kl became nan at step 1 of epoch 1.")

    shutil.rmtree(copy / "results" / "digits" / "runs" / "vae-seed0")
    monkeypatch.setattr(compare, "train_run", diverge)
    again(copy)
    assert "vae-seed0: kl became nan at step 1 of epoch 1. The study goes on without it." in capsys.readouterr().out
    assert "Without a record, to be trained or diverged: vae (seed 0)." in (copy / "results" / "digits" / "report.md").read_text()


def test_a_judge_begun_otherwise_is_refused(copy, monkeypatch):
    no_training(monkeypatch)
    for path in (copy / "results" / "digits" / "classifier", copy / "results" / "digits" / "runs"):
        shutil.rmtree(path)
    monkeypatch.setitem(parameters.PRESETS, "digits_classifier", dataclasses.replace(JUDGE, batch_size=100))
    with pytest.raises(InputError, match=r"batch_size: .*study-digits/classifier was made with \d+, and the study has 100"):
        again(copy)


@pytest.mark.parametrize("report_only", [False, True])
def test_a_judge_that_was_changed_is_refused_though_no_run_is_missing(report_only, copy, monkeypatch):
    no_training(monkeypatch)
    monkeypatch.setitem(parameters.PRESETS, "digits_classifier", dataclasses.replace(JUDGE, epochs=2))
    before = contents(copy)
    with pytest.raises(InputError, match=r"epochs: .*digits/classifier was made with 1, and the study has 2"):
        again(copy, report_only=report_only)
    assert contents(copy) == before


def test_a_study_of_an_older_version_is_still_reported(copy, monkeypatch):
    no_training(monkeypatch)
    monkeypatch.setattr("tfdvae.runs.__version__", "9.0.0")
    before = contents(copy)
    again(copy)
    assert contents(copy) == before


def test_values_that_are_not_finite_are_damage(copy):
    folder = copy / "results" / "digits" / "runs" / "vae-seed0"
    values = files.unpacked((folder / "per_image.npz").read_bytes())
    content = files.packed(values | {"kl": np.full_like(values["kl"], np.nan)})
    (folder / "per_image.npz").write_bytes(content)
    metrics = files.unsealed((folder / "metrics.json").read_bytes())
    metrics["digests"]["per_image.npz"] = hashlib.sha256(content).hexdigest()
    (folder / "metrics.json").write_text(files.sealed(metrics))
    with pytest.raises(files.Damaged, match="not finite"):
        records.read(folder, {}, {}, metrics["judge"])


def test_a_study_that_was_changed_is_not_mixed_with_what_it_was(copy, monkeypatch):
    no_training(monkeypatch)
    monkeypatch.setitem(parameters.STUDIES, "digits", dataclasses.replace(STUDY, common=TINY | {"latent_dim": 5}))
    with pytest.raises(InputError, match=r"latent_dim: .*vae-seed0 was made with 4, and the study has 5"):
        again(copy)
    monkeypatch.setitem(parameters.STUDIES, "digits", STUDY)
    judge = copy / "results" / "digits" / "classifier"
    records.write_judge(judge, Run(copy / "runs" / "study-digits" / "classifier"))
    arrays, metadata = Run(judge).read_weights("best.safetensors")
    Run(judge).write_weights("best.safetensors", {k: v * 2 for k, v in arrays.items()}, epoch=metadata["epoch"], val_loss=1)
    with pytest.raises(InputError, match="was judged by the one with digest"):
        again(copy)


def test_runs_on_different_images_are_not_averaged():
    def record(**changed):
        return records.Record({"data": {"test_fingerprint": "t", "stored_fingerprint": "s", "sizes": [3, 1, 1]} | changed}, *[None] * 6)

    compare.check_same_data({("vae", 0): record(), ("vae", 1): record()}, "results")
    for changed in ({"test_fingerprint": "x"}, {"stored_fingerprint": "x"}, {"sizes": [2, 2, 1]}):
        with pytest.raises(InputError, match="data: vae-seed0 and dvae-seed0 in results are of different images"):
            compare.check_same_data({("vae", 0): record(), ("vae", 1): record(), ("dvae", 0): record(**changed)}, "results")


def test_a_bound_that_a_record_lacks_is_asked_for(copy, monkeypatch):
    no_training(monkeypatch)
    more = dataclasses.replace(STUDY, bounds=(*STUDY.bounds, parameters.Bound(8, 10, ("vae",), 1)))
    monkeypatch.setitem(parameters.STUDIES, "digits", more)
    with pytest.raises(InputError, match=r"the record .*vae-seed0 has no bound of 8 samples on 10 images"):
        again(copy)


CODE = """
import sys
sys.path.insert(0, {root!r})
import compare, params, test_compare as small
params.STUDIES["digits"] = small.STUDY
params.PRESETS["digits_classifier"] = small.JUDGE
sys.exit(compare.command_line(["digits"]))
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_killed_it_goes_on_where_it_was(how, copy):
    before = contents(copy)
    for folder in (copy / "results" / "digits" / "runs", copy / "runs" / "study-digits"):
        shutil.rmtree(folder / "vae-seed1")
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    command = [sys.executable, "-u", "-c", CODE.format(root=str(ROOT))]
    process = subprocess.Popen(command, cwd=copy, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (copy / "runs" / "study-digits" / "vae-seed1" / "run.json").exists():
        time.sleep(0.05)
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    assert process.returncode == (-9 if how == signal.SIGKILL else 143), err
    if how == signal.SIGTERM:
        assert err.strip().splitlines()[-1] == (
            "compare.py: stopped by SIGTERM. Run it again to go on where it was; with --report-only it reports on the runs there are."
        )
    assert not (copy / "results" / "digits" / "runs" / "vae-seed1").exists()
    again(copy)
    after = contents(copy)
    assert set(after) == set(before)
    assert {name for name in before if name.endswith((".npz", ".csv")) and before[name] != after[name]} == set()


@pytest.mark.parametrize(
    "words, message",
    [
        (["mnits"], "study: received 'mnits'; expected one of digits, mnist, mnist_short, cifar10"),
        (["digits", "--result", "x"], "did you mean --results"),
        (["digits", "--report-only"], "study: digits has no recorded run"),
    ],
)
def test_compare_refuses(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert compare.command_line(words) == 2
    err = capsys.readouterr().err
    assert message in err and len(err.strip().splitlines()) == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"preset": "mnits"}, "preset: received 'mnits'"),
        ({"common": {"epochs": 0}}, "epochs: received 0"),
        (
            {"variants": STUDY.variants | {"a/b": ({"model": "vae"}, 1)}},
            r"variants of study digits: received .'vae', .*'a/b'.; expected names of letters",
        ),
        ({"variants": STUDY.variants | {"none": ({"model": "vae"}, 0)}}, "at least one seed"),
        ({"variants": STUDY.variants | {"ae": ({"model": "ae"}, 1)}}, "which have a KL"),
        ({"variants": STUDY.variants | {"other": ({"model": "vae", "dataset": "mnist"}, 1)}}, "the same dataset, .* for all"),
        ({"variants": STUDY.variants | {"other": ({"model": "vae", "likelihood": "gaussian"}, 1)}}, "likelihood for all"),
        ({"variants": {"dvae": ({"model": "dvae"}, 2)}}, "one of them named vae"),
        (
            {"judge": "digits"},
            "judge of study digits: received 'digits'; expected the preset of a classifier of .*; change it in params.py",
        ),
        ({"judge": "mnist_classifier"}, "judge of study digits: received 'mnist_classifier'"),
        ({"curve": ("vae",)}, "at least two variants"),
        ({"curve": ("vae", "vae_beta0.4")}, "at least two variants of the study, each once"),
        ({"curve": ("vae", "dvae")}, "variants of model vae"),
        ({"variants": STUDY.variants | {"vae_beta0.5": ({"model": "vae"}, 2)}}, "differ in kl_weight"),
        ({"bounds": (parameters.Bound(7, 30, ("vea",), 2),)}, "bounds of study digits: received .'vea'"),
        ({"common": {"likelihood": "gaussian"}}, "with likelihood bernoulli"),
        ({"bounds": (parameters.Bound(7, 1, ("vae",), 2),)}, "at least 1 sample, 2 images and 1 seed"),
        ({"bounds": STUDY.bounds * 2}, "each number of samples once"),
    ],
)
def test_a_study_that_cannot_be_made_is_refused_before_anything(changed, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(parameters.STUDIES, "digits", dataclasses.replace(STUDY, **changed))
    with pytest.raises(parameters.ParameterError, match=message):
        compare.main("digits")
    assert not list(tmp_path.iterdir())


def test_declared_studies_hold_valid_parameters():
    for name, study in parameters.STUDIES.items():
        parameters.check_study(name, study)
        runs = study.runs()
        assert len(set(runs)) == len(runs) and study.preset == name.partition("_")[0]
        params = {variant: study.params(variant, 0) for variant in study.variants}
        assert params["vae"].model == "vae" and params["vae"].kl_weight == 1.0
        assert params["dvae"].model == "dvae" and params["dvae"].share_encoder and params["dvae"].propagate
        assert "vae" in study.curve
        assert len({study.variants[variant][1] for variant in study.curve}) == 1  # else seeds would have different curves
    assert {p.kl_weight for p in (parameters.STUDIES["mnist"].params(v, 0) for v in parameters.STUDIES["mnist"].curve)} >= {
        0.25,
        0.5,
        1.0,
        2.0,
    }


def test_the_clock_knows_kinds_apart():
    clock = compare.Clock({("vae", 0): ("vae",), ("vae", 1): ("vae",), ("dvae", 0): ("dvae", STUDY.bounds[0])})
    assert "after the first" in clock.left([("vae", 0)])
    clock.add(("vae", 0), 60.0)
    clock.add(("dvae", 0), 180.0)
    assert clock.left([("vae", 1), ("vae", 1)]).startswith("about 2 minutes to go, until ")
    assert clock.left([("vae", 1), ("dvae", 0)]).startswith("about 4 minutes to go, until ")
