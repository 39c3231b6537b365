"""A study from nothing to its report, in miniature; stopped, damaged, deleted and gone on with."""

import csv
import dataclasses
import hashlib
import json
import os
import pickle
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
import studies
from tfdvae import rules
from tfdvae.errors import Fault, InputError, NonFiniteLoss
from tfdvae.runs import Run, files
from tfdvae.runs.record import ADDED, as_json
from tfdvae.study import dispatch, report, results, runner
from tfdvae.study.plan import Bound, Study, check_study

TINY = studies.DIGITS_RUNS | {"epochs": 1, "channels": (4,), "hidden_units": (16,), "latent_dim": 4, "batch_size": 256}
DECLARED = dict(studies.STUDIES)
JUDGE = studies.DIGITS_JUDGE | {"epochs": 1}
STUDY = Study(
    params_dict=TINY,
    judge_dict=JUDGE,
    variants={"vae": ({"model": "vae"}, 2), "dvae": ({"model": "dvae"}, 2), "vae_beta0.5": ({"model": "vae", "kl_weight": 0.5}, 2)},
    curve=("vae", "vae_beta0.5"),
    bounds=(Bound(7, 30, ("vae", "dvae"), 2),),
)


@pytest.fixture(scope="module")
def miniature():
    """The study `digits` made small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(studies.STUDIES, "digits", STUDY)
        patch.setattr("tfdvae.study.comparison.RESAMPLES", 50)
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
    return {f"results/{name}": digest for name, digest in contents_below(folder / "results").items()}


def contents_below(folder):
    """Return name -> digest of every file below a folder."""
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.rglob("*")
        if p.name != ".lock" and p.is_file()
    }


def refuse(*_, **__):
    raise AssertionError("nothing was to be trained")


def no_training(monkeypatch, refuse=refuse):
    monkeypatch.setattr(runner, "train", refuse)


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
    record = json.loads((folder / "runs" / "dvae-seed1" / "run.json").read_text())
    expected = TINY | ADDED | {"model": "dvae", "seed": 1, "run_dir": record["params"]["run_dir"]}
    assert record["command"] == "python compare.py digits" and record["params"] == as_json(expected)
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
        asked = subprocess.run(["git", "check-ignore", "--no-index", "-q", path], cwd=ROOT)
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
            results.read(path, TINY, results.digest_of_judge(Run(folder / "classifier")))
    no_training(monkeypatch, lambda run, *_, **__: None)  # the runs are there, and need only be evaluated
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
    assert "4 of 6 runs" in report and "No result yet (untrained or diverged): dvae (seed 0), vae (seed 1)." in report
    assert "No distance, since a VAE of the curve is missing: dvae (seed 1)." in report and "gaps.png" not in report


def test_a_run_that_diverges_is_left_out(copy, monkeypatch, capsys):
    def diverge(*_, **__):
        raise NonFiniteLoss("kl became nan at step 1 of epoch 1.")

    shutil.rmtree(copy / "results" / "digits" / "runs" / "vae-seed0")
    no_training(monkeypatch, diverge)
    again(copy)
    assert "vae-seed0: kl became nan at step 1 of epoch 1. The study goes on without it." in capsys.readouterr().out
    assert "No result yet (untrained or diverged): vae (seed 0)." in (copy / "results" / "digits" / "report.md").read_text()


def test_a_judge_begun_otherwise_is_refused(copy, monkeypatch):
    no_training(monkeypatch)
    for path in (copy / "results" / "digits" / "classifier", copy / "results" / "digits" / "runs"):
        shutil.rmtree(path)
    monkeypatch.setitem(studies.STUDIES, "digits", dataclasses.replace(STUDY, judge_dict=JUDGE | {"batch_size": 100}))
    with pytest.raises(InputError, match=r"batch_size: .*study-digits/classifier was made with \d+, and the study has 100"):
        again(copy)


@pytest.mark.parametrize("report_only", [False, True])
def test_a_judge_that_was_changed_is_refused_though_no_run_is_missing(report_only, copy, monkeypatch):
    no_training(monkeypatch)
    monkeypatch.setitem(studies.STUDIES, "digits", dataclasses.replace(STUDY, judge_dict=JUDGE | {"epochs": 2}))
    before = contents(copy)
    with pytest.raises(InputError, match=r"epochs: .*digits/classifier was made with 1, and the study has 2"):
        again(copy, report_only=report_only)
    assert contents(copy) == before


def test_a_study_of_an_older_version_is_still_reported(copy, monkeypatch):
    no_training(monkeypatch)
    monkeypatch.setattr("tfdvae.runs.record.FORMAT", 0)  # no run can be loaded
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
        results.read(folder, TINY, metrics["judge"])


def test_a_study_that_was_changed_is_not_mixed_with_what_it_was(copy, monkeypatch):
    no_training(monkeypatch)
    monkeypatch.setitem(studies.STUDIES, "digits", dataclasses.replace(STUDY, params_dict=TINY | {"latent_dim": 5}))
    with pytest.raises(InputError, match=r"latent_dim: .*vae-seed0 was made with 4, and the study has 5"):
        again(copy)
    monkeypatch.setitem(studies.STUDIES, "digits", STUDY)
    judge = copy / "results" / "digits" / "classifier"
    results.write_judge(judge, Run(copy / "runs" / "study-digits" / "classifier"))
    arrays, metadata = Run(judge).read_weights("best.safetensors")
    Run(judge).write_weights("best.safetensors", {k: v * 2 for k, v in arrays.items()}, epoch=metadata["epoch"], val_loss=1)
    with pytest.raises(InputError, match="was judged by a classifier of digest"):
        again(copy)


def test_runs_on_different_images_are_not_averaged():
    def record(**changed):
        return results.Result({"data": {"test_fingerprint": "t", "stored_fingerprint": "s", "sizes": [3, 1, 1]} | changed}, *[None] * 6)

    results.check_same_data({"vae-seed0": record(), "vae-seed1": record()}, "results")
    for changed in ({"test_fingerprint": "x"}, {"stored_fingerprint": "x"}, {"sizes": [2, 2, 1]}):
        with pytest.raises(InputError, match="data: vae-seed0 and dvae-seed0 in results are of different images"):
            results.check_same_data({"vae-seed0": record(), "vae-seed1": record(), "dvae-seed0": record(**changed)}, "results")


def test_a_bound_that_a_result_lacks_is_asked_for(copy, monkeypatch):
    no_training(monkeypatch)
    more = dataclasses.replace(STUDY, bounds=(*STUDY.bounds, Bound(8, 10, ("vae",), 1)))
    monkeypatch.setitem(studies.STUDIES, "digits", more)
    with pytest.raises(InputError, match=r"the result .*vae-seed0 has no bound of 8 samples on 10 images"):
        again(copy)


CODE = """
import sys
sys.path.insert(0, {root!r})
import compare, studies, test_compare as small
studies.STUDIES["digits"] = small.STUDY
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
            "compare.py: stopped by SIGTERM. Run it again to go on where it was; with --report-only it reports on the finished runs."
        )
    assert not (copy / "results" / "digits" / "runs" / "vae-seed1").exists()
    again(copy)
    after = contents(copy)
    assert set(after) == set(before)
    assert {name for name in before if name.endswith((".npz", ".csv")) and before[name] != after[name]} == set()


@pytest.mark.parametrize(
    "words, message",
    [
        (
            ["mnits"],
            "study: received 'mnits'; did you mean mnist? Expected one of mnist_5k, mnist_fast, digits, mnist, mnist_short, cifar10",
        ),
        (["digits", "mnist"], "study: received digits mnist; expected one study"),
        (["digits", "--result", "x"], "did you mean --results"),
        (["digits", "--report-only"], "study: digits has no finished run"),
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
        ({"params_dict": TINY | {"epochs": 0}}, "study digits, variant vae: epochs: received 0"),
        ({"params_dict": TINY | {"colour": 3}}, "study digits, variant vae: parameter: received 'colour'"),
        ({"judge_dict": JUDGE | {"epochs": 0}}, "study digits, judge: epochs: received 0"),
        ({"params_dict": {"model": "vae"}}, "study digits, variant vae: its declaration: lacks the parameter dataset"),
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
            {"judge_dict": TINY},
            "judge of study digits: received .*'dvae'.*; expected a classifier with .*; change it in studies",
        ),
        ({"judge_dict": JUDGE | {"image_size": 16}}, "judge of study digits: received .*16"),
        ({"judge_dict": JUDGE | {"dataset": "mnist"}}, "judge of study digits: received .*'mnist'"),
        ({"variants": STUDY.variants | {"a|b": ({"model": "vae"}, 2)}}, "names of letters"),
        ({"curve": ("vae",)}, "at least two variants"),
        ({"curve": ("vae", "vae_beta0.4")}, "at least two variants of the study, each once"),
        ({"curve": ("vae", "dvae")}, "variants of model vae"),
        ({"variants": STUDY.variants | {"vae_beta0.5": ({"model": "vae"}, 2)}}, "differ in kl_weight"),
        ({"bounds": (Bound(7, 30, ("vea",), 2),)}, "bounds of study digits: received .'vea'"),
        ({"params_dict": TINY | {"likelihood": "gaussian"}}, "with likelihood bernoulli"),
        ({"bounds": (Bound(7, 1, ("vae",), 2),)}, "at least 1 sample, 2 images and 1 seed"),
        ({"bounds": STUDY.bounds * 2}, "each number of samples once"),
    ],
)
def test_a_study_that_cannot_be_made_is_refused_before_anything(changed, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(studies.STUDIES, "digits", dataclasses.replace(STUDY, **changed))
    with pytest.raises(InputError, match=message):
        compare.main("digits")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", "my study", "../digits", "-x", "a\nb", "`a`"])
def test_a_study_has_a_name_for_a_folder_and_a_command(name):
    with pytest.raises(InputError, match=r"study: received .*; expected a name of letters, digits"):
        check_study(name, STUDY)


def test_declared_studies_are_valid_and_alike():
    for name, study in studies.STUDIES.items():
        check_study(name, study)
        runs = study.runs()
        assert len(set(runs)) == len(runs) and study.params_dict["dataset"] == name.removesuffix("_short").removesuffix("_fast")
        assert set(study.params_dict) == set(study.judge_dict) and set(study.params_dict) | set(ADDED) == set(rules.RULES), (
            "a study states every parameter of its time"
        )
        vae, dvae = study.run_dict("vae", 0), study.run_dict("dvae", 0)
        assert vae["model"] == "vae" and vae["kl_weight"] == 1.0
        assert dvae["model"] == "dvae" and dvae["share_encoder"] and dvae["propagate"]
        assert "vae" in study.curve
        assert len({study.variants[variant][1] for variant in study.curve}) == 1  # else seeds would have different curves
    mnist = studies.STUDIES["mnist"]
    assert {mnist.run_dict(variant, 0)["kl_weight"] for variant in mnist.curve} >= {0.25, 0.5, 1.0, 2.0}


@pytest.mark.parametrize("name", ["mnist_5k", "mnist_fast", "digits", "mnist", "mnist_short", "cifar10"])
def test_a_committed_study_is_finished_and_its_table_comes_out_as_committed(name, tmp_path, monkeypatch):
    """Whatever presets and defaults become; nothing is trained, and the table of runs comes out as it is committed."""
    no_training(monkeypatch)
    committed = ROOT / "results" / name
    study, before = DECLARED[name], contents_below(committed)
    assert set(dispatch.results_of(study, committed, "damaged")) == set(study.runs())
    dispatch.finish(name, study, committed, tmp_path / "runs", None)
    assert contents_below(committed) == before and not (tmp_path / "runs").exists()
    judge = json.loads((committed / "classifier" / "run.json").read_text())
    assert as_json(study.judge_dict | {"run_dir": judge["params"]["run_dir"]}) == judge["params"]
    finished, order = dispatch.results_of(study, committed, ""), list(study.variants)
    rows = [report.row_of(*key, finished[key]) for key in sorted(finished, key=lambda key: (order.index(key[0]), key[1]))]
    assert report.runs_csv(rows) == (committed / "runs.csv").read_text()


def test_a_parameter_that_a_frozen_study_lacks_takes_the_value_of_its_time(monkeypatch):
    older = {name: value for name, value in TINY.items() if name != "activation"}
    study = dataclasses.replace(STUDY, params_dict=older, judge_dict={k: v for k, v in JUDGE.items() if k != "activation"})
    with pytest.raises(
        InputError, match=r"variant vae: its declaration: lacks the parameter activation, which every run has; add it in studies\.py"
    ):
        check_study("digits", study)
    monkeypatch.setitem(ADDED, "activation", "relu")
    check_study("digits", study)
    assert study.run_dict("vae", 1) == STUDY.run_dict("vae", 1) and study.judge_run_dict() == JUDGE | ADDED


def test_a_study_does_not_depend_on_presets():
    code = "import sys, studies; assert 'params' not in sys.modules and 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_failure_in_any_part_of_a_job_is_a_fault(copy, monkeypatch):
    """A process elsewhere has nobody around it that would turn an exception into a sentence."""

    def full(*_):
        raise OSError(28, "No space left on device")

    folder, run_dir = copy / "results" / "digits", str(copy / "runs" / "study-digits" / "vae-seed0")
    trained = json.loads((copy / "runs" / "study-digits" / "vae-seed0" / "run.json").read_text())["params"]
    monkeypatch.setattr(runner, "evaluate_run", full)
    job = runner.Job("digits", "vae", 0, trained | {"run_dir": run_dir}, str(folder / "classifier"))
    with pytest.raises(Fault, match=r"No space left on device.* Epoch 1 is kept"):
        runner.run_job(job)


def test_a_job_that_cannot_be_done_is_refused(finished, tmp_path):
    judge, params_dict = str(finished / "results" / "digits" / "classifier"), STUDY.run_dict("vae", 0) | {"run_dir": str(tmp_path / "run")}
    for changed, of_judge, message in (
        ({"epochs": "3"}, judge, "epochs: received '3'; expected a whole number"),
        ({}, str(finished / "runs" / "study-digits" / "vae-seed0"), "is a vae; expected the run of a classifier"),
        ({"image_size": 16}, judge, "was trained with image_size 0; expected 16, as for the run"),
    ):
        with pytest.raises(InputError, match=message):
            runner.run_job(runner.Job("digits", "vae", 0, params_dict | changed, of_judge))
    with pytest.raises(InputError, match="job: lacks the parameter epochs"):
        runner.run_job(runner.Job("digits", "vae", 0, {k: v for k, v in params_dict.items() if k != "epochs"}, judge))
    assert not list(tmp_path.iterdir())


def test_a_job_is_plain_and_takes_all_the_work_along(finished, tmp_path):
    """Another process makes the very result of a job that it is handed as bytes."""
    folder = finished / "results" / "digits"
    params_dict = STUDY.run_dict("vae", 0) | {"run_dir": str(tmp_path / "run")}
    job = runner.Job("digits", "vae", 0, params_dict, str(folder / "classifier"), ((7, 30),))
    (tmp_path / "job").write_bytes(pickle.dumps(job))
    code = (
        "import pathlib, pickle, sys\n"
        "from tfdvae.study.runner import run_job\n"
        "job = pickle.loads(pathlib.Path(sys.argv[1], 'job').read_bytes())\n"
        "pathlib.Path(sys.argv[1], 'result').write_bytes(pickle.dumps(run_job(job)))\n"
        "assert not {'params', 'studies', 'train', 'compare'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=os.environ | {"PYTHONPATH": str(ROOT)}, cwd=tmp_path, check=True)
    elsewhere = pickle.loads((tmp_path / "result").read_bytes())
    here = results.read(folder / "runs" / "vae-seed0", STUDY.run_dict("vae", 0), elsewhere.judge, ((7, 30),))
    assert elsewhere.history == here.history and set(elsewhere.per_image) == set(here.per_image)
    for name, values in elsewhere.per_image.items():
        np.testing.assert_array_equal(values, here.per_image[name])
    results.write(tmp_path / "written", elsewhere)
    again = results.read(tmp_path / "written", STUDY.run_dict("vae", 0), elsewhere.judge, ((7, 30),))
    assert again.run == results.without_path(as_json(elsewhere.run)) and again.notes == elsewhere.notes
    for title, images in elsewhere.pictures.items():
        np.testing.assert_array_equal(images, again.pictures[title])


def test_the_clock_knows_kinds_apart():
    clock = dispatch.Clock({("vae", 0): ("vae",), ("vae", 1): ("vae",), ("dvae", 0): ("dvae", STUDY.bounds[0])})
    assert "known after the first" in clock.left([("vae", 0)])
    clock.add(("vae", 0), 60.0)
    clock.add(("dvae", 0), 180.0)
    assert clock.left([("vae", 1), ("vae", 1)]).startswith("about 2 minutes to go, until ")
    assert clock.left([("vae", 1), ("dvae", 0)]).startswith("about 4 minutes to go, until ")
