"""The scripts as a user calls them."""

import csv
import hashlib
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

import evaluate
import tfdvae
import train
from tfdvae.errors import InputError
from tfdvae.runs import Run

TINY = ["--epochs", "2", "--channels", "4", "8", "--hidden-units", "16", "--batch-size", "256", "--latent-dim", "4"]


def run(script, *words, cwd, check=True):
    """Run a script in a process of its own."""
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"} | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(ROOT / script), *map(str, words)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )
    assert not check or done.returncode == 0, done.stderr
    return done


def digest(folder):
    """Return name -> hash of every file below a folder."""
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with tiny runs of a vae, a dvae and a classifier on digits, trained by train.py."""
    folder = tmp_path_factory.mktemp("trained")
    outputs = {
        model: run("train.py", "digits", "--model", model, *TINY, "--run-dir", f"runs/digits-{model}-seed0", cwd=folder)
        for model in ("vae", "dvae", "classifier")
    }
    return folder, outputs


def test_train_says_what_runs_and_writes_a_whole_run_folder(trained):
    folder, outputs = trained
    out = outputs["dvae"].stdout
    assert out.startswith("Importing TensorFlow ...\nReading digits ...\nTraining dvae (conv, ")
    assert re.search(r"Training dvae \(conv, [\d,]+ parameters, \w+\) for 2 epochs\n", out)
    assert "\nRun folder: runs/digits-dvae-seed0\nImages: 8x8x1; 1,456 for training, 161 for validation, 180 for the test.\n" in out
    assert "10 classes: 0 (178), 1 (182), 2 (177)," in out
    names = {p.name for p in (folder / "runs" / "digits-dvae-seed0").iterdir()}
    pictures = {"curves.png", "posterior.png", "reconstructions.png", "samples.png", "progress.png", "progress.gif", "frames"}
    assert "story.png" in names and not (folder / "runs" / "digits-vae-seed0" / "story.png").exists()
    assert names == {
        "run.json",
        "history.csv",
        "best.safetensors",
        "last.safetensors",
        "previous.safetensors",
        ".lock",
        "tensorboard",
        "story.png",
        *pictures,
    }
    assert any((folder / "runs" / "digits-dvae-seed0" / "tensorboard" / "train").iterdir())


def test_the_last_lines_name_every_file_the_picture_to_open_and_the_next_commands(trained):
    folder, outputs = trained
    for model, first in (("vae", "reconstructions.png"), ("classifier", "curves.png")):
        path = f"runs/digits-{model}-seed0"
        *_, last = outputs[model].stdout.partition(f"Written in {path}:\n")
        listed, _, rest = last.partition("Open first: ")
        hidden = {".lock"}
        made = {p.name + "/" * p.is_dir() for p in (folder / path).iterdir()} - hidden
        of_evaluation = {"metrics.json", "per_image.npz", "test_grid.png", "test_codes.png"}
        assert made - of_evaluation == set(listed.replace(",", " ").split())
        assert rest.startswith(f"{path}/{first} (") and max(map(len, last.splitlines())) <= 100
        assert rest.count("evaluate.py") == rest.count("compare.py digits") == 1


def test_printed_commands_work_as_they_are_in_the_folder_where_the_run_was_started(tmp_path):
    folder = tmp_path / "my runs"
    folder.mkdir()
    first = run("train.py", "digits", "--model", "vae", *TINY, "--run-dir", "it's a run", cwd=folder)
    environment = os.environ | {"PATH": f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": ""}

    def typed(command):
        return subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)

    (command,) = re.findall(r"^  (python .*evaluate\.py.*)$", first.stdout, re.MULTILINE)
    evaluated = typed(command)
    assert evaluated.returncode == 0 and "| vae, seed 0 | digits | " in evaluated.stdout, evaluated.stderr
    assert "Written in it's a run:\n  metrics.json, per_image.npz, test_grid.png\n" in evaluated.stdout
    assert "Open first: it's a run/test_grid.png (" in evaluated.stdout
    (command,) = re.findall(r"^  (python .*train\.py.*)$", evaluated.stdout, re.MULTILINE)
    assert command.endswith(" digits_classifier") and typed(f"{command} --version").stdout.startswith("tfdvae ")
    (command,) = re.findall(r"^  (python .*compare\.py.*)$", evaluated.stdout, re.MULTILINE)
    assert command.endswith(" digits") and typed(f"{command} --help").returncode == 0
    here = os.getcwd()
    os.chdir(folder)
    try:
        (command,) = re.findall(r"go on with (.*)$", Run("it's a run").resume_hint())
    finally:
        os.chdir(here)
    assert "it's a run was finished already, with 2 epochs." in typed(command).stdout


def test_standard_error_is_quiet(trained):
    for done in trained[1].values():
        assert done.stderr == ""


def test_warnings_of_tensorflow_still_come_through(tmp_path):
    code = (
        "import os, sys, types\n"
        "class Fake(types.ModuleType):\n"
        "    pass\n"
        "os.write(2, b'before\\n')\n"
        "import tfdvae.startup as s, importlib.abc, importlib.util\n"
        "class Loader(importlib.abc.Loader):\n"
        "    def create_module(self, spec): return None\n"
        "    def exec_module(self, module):\n"
        "        os.write(2, b'I0000 00:00 chatter\\nW0000 00:00 a warning\\nE0000 00:00 a failure\\n')\n"
        "        os.abort()\n"
        "class Finder(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'tensorflow': return importlib.util.spec_from_loader(name, Loader())\n"
        "sys.meta_path.insert(0, Finder())\n"
        "s.import_tensorflow()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode < 0  # it died in the import
    assert done.stderr == "before\nW0000 00:00 a warning\nE0000 00:00 a failure\n"


def test_functions_traced_for_one_run_after_another_are_no_warning():
    code = (
        "from tfdvae.startup import import_tensorflow\n"
        "import_tensorflow()\n"
        "import tensorflow as tf\n"
        "def double(x): return 2 * x\n"
        "for _ in range(6): tf.function(double)(tf.constant(1.0))\n"
        "tf.get_logger().warning('a warning')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr == "WARNING:tensorflow:a warning\n"


def test_evaluate_makes_the_table_twice_alike(trained, monkeypatch, capsys):
    folder, _ = trained
    runs = [f"runs/digits-{model}-seed0" for model in ("vae", "dvae", "classifier")]
    words = ["--checkpoint", *runs, "--classifier", runs[2], "--output", "results"]
    done = run("evaluate.py", *words, cwd=folder)
    assert done.stderr == ""
    metrics = [(folder / r / "metrics.json").read_text() for r in runs]
    with open(folder / "results" / "table.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["model"] for row in table] == ["vae", "dvae", "classifier"] and {row["n"] for row in table} == {"180"}
    dvae = json.loads(metrics[1])
    assert float(table[1]["reconstruction"]) == pytest.approx(dvae["reconstruction"]["mean"], rel=1e-5)
    assert float(table[1]["neg_elbo"]) == pytest.approx(float(table[1]["reconstruction"]) + float(table[1]["kl"]), rel=1e-5)
    assert float(table[2]["classifier_error"]) == pytest.approx(json.loads(metrics[2])["error"]["mean"], rel=1e-5)
    assert {p.name for p in (folder / "results").iterdir()} == {
        *("table.csv", "table.md", "grid.png", "reconstruction.png", "kl.png", "neg_elbo.png")
    }
    with np.load(folder / runs[1] / "per_image.npz", allow_pickle=False) as values:
        assert values["kl"].shape == (180,) and values["kl"].mean() == pytest.approx(dvae["kl"]["mean"], rel=1e-5)
        assert {"true_class", "class_of_original", "class_of_output", "vae_reconstruction"} <= set(values)
    monkeypatch.chdir(folder)
    assert evaluate.command_line(words) == 0  # in this process, and the first in one of its own
    first, second = (out.removeprefix("Importing TensorFlow ...\n") for out in (done.stdout, capsys.readouterr().out))
    assert second == first  # TensorFlow may be imported here already
    assert [(folder / r / "metrics.json").read_text() for r in runs] == metrics


def test_evaluate_without_a_classifier_says_how_to_train_one(trained, monkeypatch, capsys):
    monkeypatch.chdir(trained[0])
    assert evaluate.command_line(["--checkpoint", "runs/digits-vae-seed0"]) == 0
    out = capsys.readouterr().out
    assert f"python {os.path.relpath(ROOT)}/train.py digits_classifier\n" in out or f"python {ROOT}/train.py digits_classifier\n" in out
    assert "| vae, seed 0 | digits | " in out


def test_evaluate_takes_runs_without_a_name_and_paths_in_the_home_folder(trained, monkeypatch, capsys):
    monkeypatch.chdir(trained[0])
    monkeypatch.setenv("HOME", str(trained[0]))
    table = []
    for words in (["runs/digits-vae-seed0", "--classifier", "~/runs/digits-classifier-seed0"], ["--checkpoint", "~/runs/digits-vae-seed0"]):
        assert evaluate.command_line(words) == 0
        table.append([line for line in capsys.readouterr().out.splitlines() if line.startswith("| vae, seed 0")])
    assert table[0][0].split("|")[3:6] == table[1][0].split("|")[3:6]


def test_load_from_python(trained):
    model = tfdvae.load(trained[0] / "runs" / "digits-dvae-seed0")
    images = np.random.default_rng(0).random((3, 8, 8, 1))
    assert model.reconstruct(images).shape == (3, 8, 8, 1)
    assert model.encode(images)[0].shape == (3, 4)
    assert tfdvae.load(trained[0] / "runs" / "digits-dvae-seed0", weights="last").sample(2, seed=1).shape == (2, 8, 8, 1)


def refused(trained, *words, script="train.py"):
    """Run a script that must refuse, and return its sentence; nothing on disk may change."""
    folder = trained[0]
    before = digest(folder)
    done = run(script, *words, cwd=folder, check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert digest(folder) == before and not (folder / "new").exists()
    assert len(done.stderr.strip().splitlines()) == 1
    return done.stderr


@pytest.mark.parametrize(
    "words, message",
    [
        (["imagenet"], "digits, mnist, cifar10"),
        (["--model", "gan"], "ae, dae, vae, dvae, im_dvae, classifier"),
        (["--colour", "3"], "--colour: no such option"),
        (["--epochs", "0"], "epochs: received 0"),
        (["--kl-weight", "-1"], "kl_weight: received -1.0"),
        (["--latent-dim", "0"], "latent_dim: received 0"),
        (["--no-propagate"], "propagate: received False"),
        (["--pixel-range", "signed"], "likelihood: received 'bernoulli'"),
        (["--run-dir", "runs/digits-vae-seed0"], "holds a run already"),
        (["--resume"], "run_dir: received none with resume"),
        (
            ["--resume", "--run-dir", "runs/digits-vae-seed0/best.safetensors"],
            "is a file inside a run; expected the run's folder; give runs",
        ),
        (["--resume", "--run-dir", "new"], "run_dir: received new with resume, where no run is saved; expected the folder of a run"),
        (["--hidden-units", *["8"] * 65], "hidden_units: received .*expected at most 64 whole numbers"),
        (["--resume", "--overwrite", "--run-dir", "new"], "overwrite: received together with resume"),
        (["--run-dir", "runs/digits-vae-seed0", "--resume", "--seed", "9"], "seed: received 9, but .* was started with 0"),
        (["mnist", "--run-dir", "runs/digits-vae-seed0", "--resume"], "preset: received mnist"),
        (["--run-dir", "/proc/new"], "run_dir"),
        (["--kl-schedule", "wait:90:-0.1"], "kl_schedule: received 'wait:90:-0.1'"),
        (["--gate"], "gate: received True; expected False"),
    ],
)
def test_train_refuses_before_anything_is_imported_or_written(trained, words, message):
    assert re.search(message, refused(trained, *words))


@pytest.mark.parametrize(
    "words, message",
    [
        (["--dataset", "no_such_set"], "dataset: received 'no_such_set'; expected mnist_5k, digits, folder:PATH"),
        (["digits", "--batch-size", "1457"], "batch_size: received 1457; expected at most the number .* 1456"),
        (["--dataset", "folder:nowhere"], "nowhere is not a folder"),
        (["digits", "--network", "r1"], "network: received r1 with images of 8x8 pixels; expected more than 8"),
    ],
)
def test_train_refuses_data_that_does_not_fit(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert train.command_line([*words, "--run-dir", "new"]) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert re.search(message, sentence) and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words, message",
    [
        (["--checkpoint", "nowhere"], "nowhere does not exist"),
        (["nowhere"], "checkpoint: nowhere does not exist"),
        (["runs/digits-vae-seed0", "--classifier", "nowhere"], "classifier: nowhere does not exist"),
        (["--checkpoint", "runs/digits-vae-seed0", "--checkpoint", "runs/digits-dvae-seed0"], "checkpoint: received 2 times"),
        (["runs/digits-vae-seed0/best.safetensors"], "is a file inside a run; expected the run's folder; give runs/digits-vae-seed0"),
        (["runs/digits-vae-seed0", "--checkpoint", "runs/digits-dvae-seed0"], "without a name, and --checkpoint; expected one of them"),
        (["--probe", "runs/digits-vae-seed0"], "not understood after --probe; expected evaluate.py RUN \\[RUN ...\\], then options"),
        (["--checkpoint", "runs"], r"runs has no run\.json"),
        (
            ["--checkpoint", "runs/digits-vae-seed0", "--classifier", "runs/digits-dvae-seed0"],
            "is a dvae; expected the run of a classifier",
        ),
        (["--checkpoint", "runs/digits-vae-seed0", "nowhere"], "nowhere does not exist"),
        (["--checkpoint", "runs/digits-vae-seed0", "runs/../runs/digits-vae-seed0"], "each once"),
        ([], "checkpoint: received none"),
        (["--chekpoint", "x"], "did you mean --checkpoint"),
        (["--checkpoint", "runs/digits-vae-seed0", "--corrupt", "fog:0.3"], "corrupt: received 'fog:0.3'; expected gaussian:SIGMA"),
        (["--checkpoint", "runs/digits-vae-seed0", "--output", "runs/digits-vae-seed0/run.json"], "output: .*is a file"),
    ],
)
def test_evaluate_refuses(trained, words, message):
    assert re.search(message, refused(trained, *words, script="evaluate.py"))


def test_a_read_only_run_folder_is_refused(trained, monkeypatch, tmp_path):
    monkeypatch.setattr("tfdvae.runs.files.os.access", lambda *_: False)  # root may write anywhere, so permissions alone cannot be tried
    with pytest.raises(InputError, match=r"run_dir: .*read-only"):
        train.main("digits", run_dir=str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match=r"checkpoint: .*read-only"):
        evaluate.main([str(trained[0] / "runs" / "digits-vae-seed0")])


def test_classes_are_asked_for_only_where_they_are_needed(tmp_path, folder_of_classes):
    loose = f"folder:{folder_of_classes / 'bright'}"
    tiny = {"epochs": 1, "channels": (4,), "hidden_units": (8,), "batch_size": 8, "latent_dim": 2, "dataset": loose}
    for model, extra in (("classifier", {}), ("vae", {"label_weight": 1.0})):
        with pytest.raises(InputError, match=r"for images without classes; folder:.* has none: give each class a folder"):
            train.main("digits", model=model, run_dir=str(tmp_path / "new"), **tiny, **extra)
        assert not (tmp_path / "new").exists()
    path = train.main("digits", model="dae", memory_limit=1e-9, run_dir=str(tmp_path / "run"), **tiny)  # streamed
    assert evaluate.main([path])[0].summary["n"] == 2


def test_resume_and_overwrite(tmp_path, capsys):
    tiny = {"epochs": 1, "channels": (4,), "hidden_units": (8,), "batch_size": 700, "latent_dim": 2, "run_dir": str(tmp_path / "run")}
    with pytest.raises(InputError, match=r"run_dir: received .* with resume, where no run is saved"):
        train.main(resume=True, **tiny)  # a typo must not start a training of its own
    train.main("digits", resume=True, **tiny)  # as a cluster starts a job again
    assert "Nothing is saved in " in capsys.readouterr().out
    first = digest(tmp_path / "run")
    train.main(resume=True, run_dir=tiny["run_dir"], latent_dim=2)  # finished: nothing changes, an equal parameter is fine
    assert "was finished already" in capsys.readouterr().out
    assert {k: v for k, v in digest(tmp_path / "run").items() if "tensorboard" not in k} == {
        k: v for k, v in first.items() if "tensorboard" not in k
    }
    (tmp_path / "run" / "curves.png").unlink()
    train.main(resume=True, run_dir=tiny["run_dir"], channels=[4])  # a picture that was not drawn any more
    assert (tmp_path / "run" / "curves.png").exists()
    train.main(overwrite=True, **{**tiny, "seed": 5})
    assert json.loads((tmp_path / "run" / "run.json").read_text())["params"]["seed"] == 5
    with pytest.raises(InputError, match="parameter: received 'colour'"):
        train.main(colour=3)


def test_a_run_of_flags_that_need_each_other_resumes_with_one_of_them(tmp_path):
    tiny = {"epochs": 1, "channels": (4,), "hidden_units": (8,), "batch_size": 700, "latent_dim": 2}
    path = train.main("digits", run_dir=str(tmp_path / "run"), share_encoder=False, propagate=False, **tiny)
    train.main(run_dir=path, resume=True, propagate=False)
    with pytest.raises(InputError, match=r"share_encoder: received True, but .* was started with False"):
        train.main(run_dir=path, resume=True, share_encoder=True)


def test_a_classifier_of_other_data_is_refused(trained, folder_of_classes):
    folder = trained[0]
    tiny = {"epochs": 1, "channels": (4,), "hidden_units": (8,), "batch_size": 8, "latent_dim": 2}
    other = train.main(dataset=f"folder:{folder_of_classes}", model="vae", run_dir=str(folder_of_classes.parent / "run"), **tiny)
    with pytest.raises(InputError, match="was trained with dataset digits; expected folder:"):
        evaluate.main([other], classifier=str(folder / "runs" / "digits-classifier-seed0"))


def test_a_gated_autoencoder_of_variance_digits_from_training_to_its_numbers(tmp_path):
    tiny = {"epochs": 2, "channels": (4,), "hidden_units": (16,), "batch_size": 256, "latent_dim": 4}
    data = {"dataset": "variance_digits", "pixel_range": "real", "likelihood": "gaussian_fixed"}
    path = train.main("digits", model="dae", gate=True, corruption="gaussian:0.2", run_dir=str(tmp_path / "run"), **tiny, **data)
    (found,) = evaluate.main([path], probe=True, corrupt="masking:0.5", output=str(tmp_path / "results"))
    per_image = Run(path).read_evaluation()[1]
    further = {"mse", "pca_mse", "probe_error", "optimal_mse", "mse_of_corrupted", "mse_from_corrupted", "mse_from_clean"}
    assert further <= set(per_image) and all(per_image[name].shape == (180,) for name in further)
    assert per_image["optimal_mse"].mean() < per_image["mse"].mean()  # nothing does better than what knows the variances
    assert 0 < found.summary["probe_error"]["mean"] < 1
    pictures = {p.name for p in (tmp_path / "run").glob("*.png")}
    assert {"test_gate.png", "test_codes.png", "test_corrupted.png", "progress.png"} <= pictures
    assert not {"samples.png", "posterior.png", "test_variance.png"} & pictures
    header = (tmp_path / "results" / "table.csv").read_text().splitlines()[0]
    assert header.endswith(",classifier_error,mse,pca_mse,optimal_mse,mse_of_corrupted,mse_from_corrupted,mse_from_clean,probe_error,run")


def test_a_vae_in_the_plane_with_learned_variances_and_a_schedule(tmp_path, capsys):
    tiny = {"epochs": 2, "channels": (4,), "hidden_units": (16,), "batch_size": 64, "latent_dim": 2, "likelihood": "gaussian"}
    schedules = {"kl_schedule": "linear:9", "kl_weight": 1000.0, "learning_rate": 0.02}
    path = train.main("digits", model="vae", run_dir=str(tmp_path / "run"), **tiny, **schedules)
    assert "posterior collapse: 0 of 2 latent dimensions are active" in capsys.readouterr().out
    rows = Run(path).read_history()
    assert [row["kl_weight"] for row in rows] == pytest.approx([1000 * (sum(range(9)) / 9 + 14) / 23, 1000], rel=1e-2)
    assert {"learning_rate", "active_units", "posterior_std_max", "kl_0", "kl_1"} <= set(rows[0])
    with Image.open(tmp_path / "run" / "progress.gif") as animation:
        assert animation.n_frames == 2
    (found,) = evaluate.main([path])
    assert any("log(2 pi)/2" in note for note in found.notes)
    pictures = {p.name for p in (tmp_path / "run").glob("*.png")}
    assert {"manifold.png", "posterior.png", "samples.png", "test_variance.png"} <= pictures


def test_im_dvae_with_a_mixture_reports_two_bounds_and_says_so(tmp_path, capsys):
    tiny = {"epochs": 1, "channels": (4,), "hidden_units": (16,), "batch_size": 500, "latent_dim": 2}
    path = train.main("digits", model="im_dvae", prior="mixture", prior_components=3, run_dir=str(tmp_path / "run"), **tiny)
    (found,) = evaluate.main([path])
    assert {"neg_elbo", "corrupted_neg_elbo"} <= set(found.summary)
    out = capsys.readouterr().out
    assert "−ELBO of corrupted input" in out and "averaged over 8 corruptions" in out and "estimate from one draw of z" in out


def test_a_run_without_a_folder_is_named_after_what_differs_from_the_preset(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny = {"hidden_units": [4], "batch_size": 700, "epochs": 1}
    assert train.main("digits", model="ae", network="mlp", latent_dim=16, kl_weight=1, **tiny) == (
        "runs/digits-ae-mlp-batch-size700-epochs1-hidden-units4-seed0"
    )
