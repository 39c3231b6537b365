import copy
import dataclasses
import functools
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

import params
import tfdvae
from tfdvae.errors import InputError
from tfdvae.runs import Run, checkpoint, files, lock, names, origin, record, start
from tfdvae.runs import folder as runs
from tfdvae.version import FORMAT

SMALL = {"model": "dvae", "channels": [4], "hidden_units": [10], "latent_dim": 3, "seed": 0}
PARAMS = record.as_json(dataclasses.asdict(params.Params()) | SMALL)
DATA = {"image_shape": (6, 6, 1), "class_names": ["a", "b"], "sizes": [3, 2, 1], "note": "", "test_fingerprint": "0"}
ROWS = [{"epoch": 1, "loss": 0.5, "val_loss": 0.25}, {"epoch": 2, "loss": 1 / 3, "val_loss": 0.125}]


@pytest.fixture
def run(tmp_path):
    """A run folder with a record and the best weights of a model whose batch norm has seen images."""
    run = Run(tmp_path / "run")
    run.path.mkdir()
    run.start(params_dict=PARAMS, preset="digits", precision="float32", data=DATA, command="python train.py", **origin.origin())
    model = checkpoint.build_from_record(run.read_record())
    images = np.random.default_rng(0).random((9, 6, 6, 1)).astype(np.float32)
    model.loss_terms(images, training=True)
    run.write_weights(runs.BEST, checkpoint.arrays(checkpoint.weights(model)), epoch=1, val_loss=1.0)
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
    assert record["params"] == PARAMS and record["format"] == FORMAT and record["versions"]["tfdvae"] == tfdvae.__version__
    assert {"git", "command", "started", "precision", "preset"} <= set(record)


def test_a_run_is_never_overwritten_unasked(run):
    with pytest.raises(InputError, match=r"--resume.*--overwrite"):
        run.refuse_to_overwrite()
    (run.path / "notes.txt").write_text("mine")
    run.clear()
    assert {p.name for p in run.path.iterdir()} == {"notes.txt", runs.RECORD}
    run.file(runs.RECORD).unlink()
    run.refuse_to_overwrite()


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "taken").write_text("")
    for path in (tmp_path / "taken", tmp_path / "taken" / "below"):
        with pytest.raises(InputError, match="is a file"):
            files.check_writable(path, "run_dir")


def test_paths_without_a_run(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        tfdvae.load(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"no run\.json"):
        tfdvae.load(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"params": {}}',
        "[" * 10**6,
        files.sealed({"params": {}}),
        files.sealed({"params": 3, "precision": "float32", "data": []}),
        '{"format": Infinity, "versions": {"tfdvae": "0.5.0"}}',
    ],
    ids=range(8),
)
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
    assert run.read_history() == []
    run.write_state({"x": np.zeros(2)}, ROWS)
    assert run.read_history() == ROWS


@pytest.mark.parametrize(
    "epochs, rows",
    [
        ("0", "[]"),
        ("1" + "0" * 30, "[]"),
        ("1", "[1]"),
        ("2", '[{"epoch": 1, "loss": 1, "val_loss": 1}]'),
        ("1", '[{"epoch": 2, "loss": 1, "val_loss": 1}]'),
        ("1", '[{"epoch": 1, "loss": 1}]'),
        ("1", '[{"epoch": 1, "val_loss": 1}]'),
        ("1", '[{"epoch": 1, "loss": NaN, "val_loss": 1}]'),
        ("1", '[{"epoch": 1, "loss": 1, "val_loss": 1' + "0" * 400 + "}]"),
        ("1", "[" * 10**6),
        ("1", "{"),
    ],
    ids=range(11),
)
def test_a_forged_history_is_refused(run, epochs, rows):
    run.write_weights(runs.LAST, {"x": np.zeros(2)}, epochs=epochs, history=rows)
    with pytest.raises(InputError, match="damaged"):
        run.read_history()


@pytest.mark.parametrize("metadata", [{}, {"epoch": "x", "val_loss": 1}, {"epoch": 1}, {"epoch": 1, "val_loss": "low"}])
def test_forged_metadata_of_the_best_weights_are_refused(run, metadata):
    run.write_weights(runs.BEST, run.read_weights(runs.BEST)[0], **metadata)
    with pytest.raises(InputError, match="damaged"):
        tfdvae.load(run.path)


def test_a_run_folder_has_a_name_that_every_program_can_write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = PARAMS | {"run_dir": "", "dataset": "folder:/a/caf\udce9\n|$_$"}
    assert next(names.new_folders(values)).name == "caf--|$_$-dvae-seed0"
    with (
        pytest.raises(InputError, match=r"run_dir: received runs/caf\\xe9; expected a path in UTF-8"),
        start.claimed(PARAMS | {"run_dir": "runs/caf\udce9"}),
    ):
        pass


def test_new_runs_count_up(tmp_path, monkeypatch):
    def name(folder="", **values):
        return str(next(names.new_folders(PARAMS | values, folder)))

    monkeypatch.chdir(tmp_path)
    for expected in ("runs/mnist-dvae-seed1", "runs/mnist-dvae-seed1-2", "runs/mnist-dvae-seed1-3"):
        assert name(dataset="mnist", seed=1) == expected
        (tmp_path / expected).mkdir(parents=True)
    for dataset, expected in (("folder:../my/cats/", "cats"), ("emnist/letters:3.0.0", "emnist-letters-3.0.0"), ("folder:/", "folder")):
        assert name(dataset=dataset) == f"runs/{expected}-dvae-seed0"
    assert name("mnist_linear", model="ae") == "runs/mnist_linear-ae-seed0"


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({"network": "mlp"}, "mlp-"),
        ({"network": "linear"}, "network-linear-"),  # a schedule can be linear, too
        ({"likelihood": "gaussian"}, "likelihood-gaussian-"),  # and a corruption gaussian
        ({"likelihood": "gaussian_fixed", "prior": "vampprior"}, "gaussian_fixed-vampprior-"),
        ({"precision": "auto"}, "precision-auto-"),
        ({"precision": "float32"}, "float32-"),
        ({"kl_weight": 0.5, "epochs": 5, "network": "mlp"}, "mlp-epochs5-kl-weight0.5-"),  # in one order, however they are given
        ({"learning_rate": 1e-9, "kl_weight": 1e9, "sigma": 0.123456789012}, "kl-weight1000000000-learning-rate1e-09-sigma0.123456789012-"),
        ({"share_encoder": False, "gate": True}, "gate-no-share-encoder-"),
        ({"channels": (4, 8), "hidden_units": []}, "channels4x8-hidden-units-own-"),
        (
            {"corruption": "salt_and_pepper:0.1", "kl_schedule": "wait:-90:0.0005"},
            "corruption-salt_and_pepper0.1-kl-schedule-wait-90-0.0005-",
        ),
        ({"background": "rgb(1, 2, 3)", "binarize": "sample"}, "background-rgb-1-2-3-binarize-sample-"),
        ({"background": "#ff8000"}, "background-ff8000-"),
        ({"seed": 3, "run_dir": "", "memory_limit": 9.0, "dataset": "digits", "model": "vae"}, ""),
    ],
)
def test_a_run_is_named_after_what_was_changed(changes, expected):
    values = PARAMS | {"dataset": "digits", "model": "vae"} | changes
    assert names.folder_name(values, "", tuple(changes)) == f"digits-vae-{expected}seed{values['seed']}"
    assert names.folder_name(values, "", tuple(reversed(changes))) == names.folder_name(values, "", tuple(changes))


def test_a_long_name_is_cut_between_its_parts():
    values = PARAMS | {"dataset": "folder:" + "a" * 200, "hidden_units": (1024,) * 64, "network": "mlp", "kl_weight": 0.5}
    name = names.folder_name(values, "", ("hidden_units", "network", "kl_weight", "epochs"))
    assert name == f"{'a' * 50}-dvae-mlp-epochs26-and2more-seed0" and len(name) <= names.LONGEST


def written_by(run, version, number):
    """Change the version and the format in a run's record."""
    values = run.read_record()
    values["versions"]["tfdvae"] = version
    values.pop("format")
    run.file(runs.RECORD).write_text(files.sealed(values if number is None else {"format": number, **values}))


@pytest.mark.parametrize("version, number", [("0.4.0", None), ("0.4.7", None), ("0.5.0", 2), ("7.0.0", 2), ("0.9.0", 1)])
def test_every_format_that_was_written_is_read(run, version, number):
    written_by(run, version, number)
    tfdvae.load(run.path)


@pytest.mark.parametrize(
    "version, number, named",
    [("0.3.0", None, "no format that is kept"), ("1.2.0", FORMAT + 1, f"format {FORMAT + 1}"), ("0.1.0", 0, "no format")],
)
def test_a_record_of_another_format_names_both_versions(run, version, number, named):
    written_by(run, version, number)
    with pytest.raises(InputError, match=rf"written by tfdvae {version} and has {named}.*; this is {tfdvae.__version__}, which reads"):
        tfdvae.load(run.path)


def test_a_parameter_that_an_old_record_lacks_takes_the_value_of_its_time(run, monkeypatch):
    values = run.read_record()
    del values["params"]["vae_weight"], values["params"]["activation"]
    run.file(runs.RECORD).write_text(files.sealed(values))
    with pytest.raises(InputError, match=r"run\.json: lacks the parameter activation"):
        tfdvae.load(run.path)
    monkeypatch.setattr(record, "ADDED", {"activation": "leaky_relu", "vae_weight": 0.5})
    assert run.read_record()["params"] == PARAMS | {"activation": "leaky_relu", "vae_weight": 0.5}
    assert tfdvae.load(run.path).vae_weight == 0.5


def test_a_file_in_a_run_is_refused_naming_the_folder(run):
    (run.path / "frames").mkdir()
    (run.path / "frames" / "00001.png").write_text("")
    for name in (runs.BEST, runs.RECORD, "frames/00001.png"):
        with pytest.raises(InputError, match=rf"{name} is a file inside a run; expected the run's folder; give {run}\."):
            tfdvae.load(run.file(name))
    (run.path.parent / "notes.txt").write_text("")
    with pytest.raises(InputError, match=r"notes\.txt is a file; expected the folder of a run"):
        tfdvae.load(run.path.parent / "notes.txt")


def test_the_home_folder_is_expanded(run, monkeypatch):
    monkeypatch.setenv("HOME", str(run.path.parent))
    assert Run("~/run").read_record()["params"] == PARAMS and str(Run("~/run")) == str(run)
    assert str(Run("~nobody-of-this-name/x")) == "~nobody-of-this-name/x"


HOSTILE = [
    (("format",), "x"),
    (("format",), 1.5),
    (("format",), True),
    (("params", "hidden_units"), [10**6, 10**6]),
    (("params", "latent_dim"), 10**9),
    (("params", "channels"), [4] * 10_000),
    (("params", "latent_dim"), -3),
    (("params", "network"), "../../x"),
    (("params", "likelihood"), ["bernoulli"]),
    (("params", "seed"), 10**40),
    (("data", "image_shape"), [16384, 16384, 3]),
    (("data", "image_shape"), [10**9, 10**9, 3]),
    (("data", "image_shape"), [6, 6]),
    (("data", "class_names"), "ab"),
    (("precision",), "float64"),
]


def test_hostile_records_are_refused_before_they_take_memory(run):
    """In a process of its own, since a process cannot forget its largest size."""
    values = run.read_record()
    folders = []
    for i, (where, value) in enumerate(HOSTILE):
        changed = copy.deepcopy(values)
        place = changed
        for key in where[:-1]:
            place = place[key]
        place[where[-1]] = value
        folders.append(run.path.with_name(str(i)))
        folders[-1].mkdir()
        (folders[-1] / runs.RECORD).write_text(files.sealed(changed))
        (folders[-1] / runs.BEST).write_bytes(run.file(runs.BEST).read_bytes())
    code = (
        "import resource, sys, tfdvae; from tfdvae.errors import InputError\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "tfdvae.load(sys.argv[1]); before = peak(); refused = 0\n"
        "for folder in sys.argv[2:]:\n"
        "    try: tfdvae.load(folder)\n"
        "    except InputError: refused += 1\n"
        "print(refused, peak() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, run.path, *folders], capture_output=True, text=True, cwd=ROOT)
    refused, kib = map(int, done.stdout.split())
    assert refused == len(HOSTILE) and kib < 100_000


def test_a_record_of_a_gibibyte_is_not_read(run):
    with open(run.file(runs.RECORD), "r+b") as file:
        file.truncate(2**30)
    with pytest.raises(InputError, match="1,073,741,824 bytes"):
        tfdvae.load(run.path)


@pytest.mark.parametrize("name", [runs.RECORD, runs.BEST, runs.TENSORBOARD, lock.OWNER, lock.LOCK, "sub/below"])
def test_links_in_a_run_folder_are_refused(run, tmp_path, name):
    target = tmp_path / "elsewhere"
    if run.file(name).exists():
        run.file(name).rename(target)
    run.file(name).parent.mkdir(exist_ok=True)
    run.file(name).symlink_to(target)
    with pytest.raises(InputError, match="is a link"):
        tfdvae.load(run.path)


def test_nothing_is_written_through_links(run, tmp_path):
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "outside").mkdir()
    run.file(lock.OWNER).symlink_to(tmp_path / "victim")
    run.file(runs.TENSORBOARD).symlink_to(tmp_path / "outside")
    temporary = run.file(files.TEMPORARY.format(name=runs.METRICS, pid=os.getpid()))
    temporary.symlink_to(tmp_path / "victim")
    with run.locked():
        files.write(run.file(runs.METRICS), "{}")
        run.clear()
        assert not run.file(runs.TENSORBOARD).is_symlink()
    assert (tmp_path / "victim").read_text() == "mine" and (tmp_path / "outside").is_dir()
    run.file(lock.LOCK).unlink()
    run.file(lock.LOCK).symlink_to(tmp_path / "victim")
    with pytest.raises(InputError, match="cannot be written"), run.locked():
        pass


@pytest.mark.parametrize("path", ["x" * 300, "a\0b"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(InputError, match="does not exist"):
        Run(path).read_record()
    with pytest.raises(InputError, match="cannot be a folder here"):
        files.check_writable(path, "run_dir")


def test_a_link_to_nowhere_is_no_folder(tmp_path):
    (tmp_path / "run").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is a file"):
        files.check_writable(tmp_path / "run", "run_dir")
    with pytest.raises(InputError, match="cannot be written"), Run(tmp_path / "run").locked():
        pass


def test_a_pipe_in_the_place_of_a_file_does_not_block(run):
    for name in (runs.RECORD, runs.BEST):
        content = run.file(name).read_bytes()
        run.file(name).unlink()
        os.mkfifo(run.file(name))
        with pytest.raises(InputError, match="not a regular file"):
            tfdvae.load(run.path)
        run.file(name).unlink()
        run.file(name).write_bytes(content)


def test_an_hdf5_file_with_an_external_link_is_not_opened_as_one(run, tmp_path):
    import h5py

    with h5py.File(run.file(runs.BEST), "w") as file:
        file["weights"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/all")
    with pytest.raises(InputError, match="damaged"):
        tfdvae.load(run.path)


def test_evaluation_round_trip(run):
    values = {"kl": np.arange(3.0), "true_class": np.array([1, 2, 3])}
    with pytest.raises(InputError, match="evaluate it"):
        run.read_evaluation()
    run.write_evaluation({"n": 3, "kl": {"mean": 1.0}}, values)
    summary, per_image = run.read_evaluation()
    assert summary == {"n": 3, "kl": {"mean": 1.0}} and set(per_image) == set(values)
    assert all(np.array_equal(per_image[name], value) for name, value in values.items())


def test_damage_to_any_file_is_found_or_changes_nothing(run):
    state = checkpoint.arrays(checkpoint.weights(run.model))
    run.write_state({f"model/{name}": value for name, value in state.items()}, ROWS)
    run.write_evaluation({"n": 3}, {"kl": np.arange(3.0)})

    def everything():
        return (run.read_record(), run.read_weights(runs.BEST), run.read_weights(runs.LAST), run.read_history(), run.read_evaluation())

    expected = everything()
    draw = np.random.default_rng(0)
    refused = 0
    for name in (runs.RECORD, runs.BEST, runs.LAST, runs.METRICS, runs.PER_IMAGE):
        content = run.file(name).read_bytes()
        for trial in range(100):
            position = draw.integers(len(content))
            changed = bytes([content[position] ^ draw.integers(1, 256)]) + content[position + 1 :]
            run.file(name).write_bytes(content[:position] + (changed if trial % 2 else b""))
            try:
                found = everything()
            except InputError:
                refused += 1
            else:
                np.testing.assert_equal(found, expected)
        run.file(name).write_bytes(content)
    np.testing.assert_equal(everything(), expected)
    assert refused > 450  # the rest hit white space


def test_a_folder_is_held_by_one_process_and_let_go_of_by_a_dead_one(tmp_path):
    code = "import sys, time; from tfdvae.runs import Run\nwith Run(sys.argv[1]).locked():\n    print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "run")], stdout=subprocess.PIPE, cwd=ROOT) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match=rf"being written by process {holder.pid} on .+, since "), Run(tmp_path / "run").locked():
            pass
        holder.kill()
    with Run(tmp_path / "run").locked():
        assert (tmp_path / "run").is_dir()


def test_a_folder_that_was_held_for_nothing_is_gone_again(tmp_path):
    run = Run(tmp_path / "runs" / "x")
    with run.locked(new=True), pytest.raises(FileExistsError), run.locked(new=True):
        pass
    assert not (tmp_path / "runs").exists()
    (tmp_path / "mine").mkdir()
    with Run(tmp_path / "mine").locked():
        pass
    assert list((tmp_path / "mine").iterdir()) == []


@pytest.mark.parametrize("made, taken", [("runs", False), ("runs/run", False), ("runs/run", True)])
def test_a_signal_while_a_folder_is_made_leaves_none(made, taken, tmp_path, monkeypatch):
    def interrupted(*args, **kwargs):
        os.makedirs(tmp_path / made)
        if taken:
            (tmp_path / made / lock.LOCK).touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(pathlib.Path, "mkdir", interrupted)
    with pytest.raises(KeyboardInterrupt), Run(tmp_path / "runs" / "run").locked(new=True):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_revision_is_marked_where_code_differs_and_not_where_results_do(tmp_path, monkeypatch):
    monkeypatch.setattr(origin, "__file__", str(tmp_path / "tfdvae" / "runs" / "origin.py"))
    revision_now = origin.git_revision.__wrapped__
    monkeypatch.setattr(origin, "git_revision", functools.cache(revision_now))
    (tmp_path / "results").mkdir()
    for name in ("setup.py", "results/report.md"):
        (tmp_path / name).write_text("first")
    assert revision_now() is None
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for words in (("init", "-q"), ("add", "."), (*who, "commit", "-qm", "first")):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    revision = origin.git_revision()
    assert len(revision) == 40
    (tmp_path / "results" / "report.md").write_text("second")
    assert revision_now() == revision
    (tmp_path / "setup.py").write_text("second")
    assert revision_now() == f"{revision} with changes"
    assert origin.git_revision() == revision, "the process began with the code before the change"
