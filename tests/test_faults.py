"""What machines and people do to a training: signals, full disks, vanished folders, a second process."""

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import FIT, ROOT
from kill_and_resume import digest, trials

from tfdvae import data
from tfdvae.build import build_model
from tfdvae.errors import Fault, InputError, NonFiniteLoss, reported_as_fault
from tfdvae.interrupts import Interrupted, Interrupts
from tfdvae.runs import Run, checkpoint, files, lock
from tfdvae.runs import folder as runs
from tfdvae.training import fit as training

TINY = ("--channels", "4", "8", "--hidden-units", "16", "--batch-size", "256", "--latent-dim", "4")
SMALL = {"channels": (4,), "hidden_units": (10,), "latent_dim": 3}


def start(*words, cwd, script="train.py", **settings):
    command = [sys.executable, str(ROOT / script), *map(str, words)]
    return subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **settings)


def finish(process):
    """Return what a process printed, standard error last."""
    out, error = process.communicate(timeout=200)
    assert "Traceback" not in error
    return out, error


def wait_for(path, process):
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


@pytest.mark.parametrize("model", ["vae", "dvae", "classifier"])
def test_a_killed_run_ends_as_an_uninterrupted_one(model, tmp_path):
    ((_, same),) = trials(model, 1, tmp_path, ("--epochs", "3", *TINY[:-2]))
    assert same


@pytest.mark.parametrize("number, status, name", [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")])
def test_a_signal_ends_the_run_with_one_line_and_it_goes_on_from_there(tmp_path, number, status, name):
    process = start("digits", "--model", "vae", "--epochs", 200, *TINY, "--run-dir", "run", cwd=tmp_path)
    wait_for(tmp_path / "run" / runs.LAST, process)
    process.send_signal(number)
    _, error = finish(process)
    assert process.returncode == status
    (line,) = error.strip().splitlines()
    assert re.fullmatch(
        rf"train.py: stopped by {name}\. (Epoch 1 is|Epochs 1 to \d+ are) kept; go on with python \S*/train.py --resume --run-dir run", line
    )
    assert len(Run(tmp_path / "run").read_history()) >= 1
    assert not list((tmp_path / "run").glob(".*.tmp"))


def test_a_signal_before_training_writes_nothing(tmp_path):
    process = start("digits", *TINY, cwd=tmp_path)
    wait_for(tmp_path / "runs", process)  # the folder is claimed before TensorFlow is imported
    process.send_signal(signal.SIGINT)
    _, error = finish(process)
    assert process.returncode == 130 and error.strip() == "train.py: stopped by Ctrl-C. Nothing is kept."
    assert list(tmp_path.iterdir()) == []


def test_a_second_process_refuses_at_once_naming_the_first(tmp_path):
    with Run(tmp_path / "run").locked():
        for words in ((), ("--resume",), ("--overwrite",)):
            process = start("digits", "--run-dir", "run", *words, cwd=tmp_path)
            _, error = finish(process)
            assert process.returncode == 2 and f"run_dir: run is being written by process {os.getpid()} on " in error


def test_runs_without_a_name_that_start_together_get_folders_of_their_own(tmp_path):
    processes = [start("digits", "--model", "vae", "--epochs", 1, *TINY, cwd=tmp_path) for _ in range(2)]
    for process in processes:
        finish(process)
    assert [process.returncode for process in processes] == [0, 0]
    name = "digits-vae-batch-size256-channels4x8-epochs1-hidden-units16-latent-dim4-seed0"
    assert {p.name for p in (tmp_path / "runs").iterdir()} == {name, f"{name}-2"}
    assert digest(tmp_path / "runs" / name) == digest(tmp_path / "runs" / f"{name}-2")


def test_a_full_disk_stops_with_a_sentence_and_loses_nothing(tmp_path):
    """A limit on the size of files stands in for a full disk: writing beyond it fails in the same place, for root too."""
    import train

    whole, full = str(tmp_path / "run"), str(tmp_path / "full")
    train.main("digits", model="vae", epochs=2, batch_size=256, run_dir=whole)
    limit = (tmp_path / "run" / runs.BEST).stat().st_size - 1
    words = ("digits", "--model", "vae", "--epochs", 2, "--batch-size", 256, "--run-dir", "full")
    process = start(*words, cwd=tmp_path, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    _, error = finish(process)
    assert process.returncode == 1
    assert re.fullmatch(r"train.py: full.* cannot be written.*File too large.*No epoch was finished yet; start again with .*\n", error)
    assert not list((tmp_path / "full").glob(".*.tmp")) and Run(tmp_path / "full").read_record()["params"]["epochs"] == 2
    train.main(resume=True, run_dir=full)
    assert digest(tmp_path / "full") == digest(tmp_path / "run")


@pytest.fixture(scope="module")
def digits():
    return data.load_dataset("digits")


def fit_with(callback, digits, run, resume=False):
    """Train a small model for three epochs with one more callback, faults told."""
    model = build_model(image_shape=(8, 8, 1), model="vae", seed=3, **SMALL)
    with reported_as_fault(run, run.resume_hint):
        training.fit(model, digits, run, FIT, resume=resume, callbacks=[callback])


def after_epoch(number, act):
    return keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: act() if epoch + 1 == number else None)


def test_a_folder_deleted_during_training_is_told(digits, tmp_path):
    run = Run(tmp_path / "run")
    run.path.mkdir()
    with pytest.raises(Fault, match=r"run.* cannot be written.*No such file.*Nothing is kept"):
        fit_with(after_epoch(1, lambda: shutil.rmtree(run.path)), digits, run)


@pytest.mark.parametrize(
    "error, told",
    [
        (MemoryError(), "memory ran out"),
        (tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor"), "memory ran out"),
        (tf.errors.ResourceExhaustedError(None, None, "events.out; No space left on device"), "No space left on device"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (tf.errors.DataLossError(None, None, "corrupted record at 12"), r"TensorFlow failed \(corrupted record at 12\)"),
    ],
)
def test_faults_of_the_machine_are_told_with_what_is_kept(digits, tmp_path, error, told):
    def fail():
        raise error

    run = Run(tmp_path)
    with pytest.raises(Fault, match=rf"{told}.*\. Epochs 1 to 2 are kept; go on with python \S*train.py --resume"):
        fit_with(after_epoch(2, fail), digits, run)
    assert len(run.read_history()) == 2


def test_an_image_that_breaks_while_it_is_streamed_is_named(folder_of_classes, tmp_path):
    training.make_deterministic(0)  # as in every run; TensorFlow words the error in another way then
    dataset = data.load_dataset(f"folder:{folder_of_classes}", image_size=8, memory_limit=1e-9)
    for path in folder_of_classes.rglob("*.png"):
        path.write_bytes(path.read_bytes()[:30])
    model = build_model(image_shape=dataset.image_shape, model="vae", seed=3, **SMALL)
    with pytest.raises(Fault, match=r"image .*\.png cannot be read"), reported_as_fault(tmp_path, Run(tmp_path).resume_hint):
        training.fit(model, dataset, Run(tmp_path), FIT | {"epochs": 1, "batch_size": 4})


def train_tiny(folder):
    """Train a tiny run in runs/x below a folder."""
    import train

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train.main("digits", model="vae", run_dir="runs/x", channels=[4], hidden_units=[10], latent_dim=3, batch_size=500, epochs=1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a finished tiny run in runs/x."""
    folder = tmp_path_factory.mktemp("trained")
    train_tiny(folder)
    return folder


@pytest.fixture
def finished(trained, tmp_path, monkeypatch):
    """A copy of it below the working folder."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return Run("runs/x")


def rewrite(run, **values):
    """Change parameters in a run's record as someone with bad intent would: with a right checksum."""
    record = run.read_record()
    record["params"] |= values
    run.file(runs.RECORD).write_text(files.sealed(record))


def test_paths_in_a_record_lead_nowhere(finished, tmp_path):
    import evaluate
    import train

    (tmp_path / "x").mkdir()
    for dataset in ("../../x", "/etc/passwd", "huggingface:x", "digits/../x", "a//b"):
        rewrite(finished, dataset=dataset)
        with pytest.raises(InputError, match="dataset: received"):
            evaluate.main([str(finished)])
        with pytest.raises(InputError, match="dataset: received"):
            train.main(resume=True, run_dir=str(finished))
    rewrite(finished, dataset="digits", run_dir="../../x")
    assert train.main(resume=True, run_dir=str(finished)) == str(finished)
    assert not list((tmp_path / "x").iterdir())


def test_a_record_that_lacks_or_breaks_a_parameter_is_refused_by_name(finished):
    import evaluate

    record = finished.read_record()
    rewrite(finished, latent_dim=0)
    with pytest.raises(InputError, match=r"run.json: latent_dim: received 0"):
        evaluate.main([str(finished)])
    del record["params"]["latent_dim"]
    finished.file(runs.RECORD).write_text(files.sealed(record))
    with pytest.raises(InputError, match=r"run.json: lacks the parameter latent_dim"):
        evaluate.main([str(finished)])


def test_a_run_resumed_with_other_versions_says_so(finished, capsys):
    import train

    record = finished.read_record()
    record["versions"]["keras"] = "3.0.0"
    finished.file(runs.RECORD).write_text(files.sealed(record))
    train.main(resume=True, run_dir=str(finished))
    out = capsys.readouterr().out
    assert "Note: this run was started with keras 3.0.0 instead of " in out and "runs/x was finished already, with 1 epoch." in out


def test_a_notebook_can_draw_random_numbers_after_a_training(tmp_path):
    train_tiny(tmp_path)
    assert tf.random.uniform(()) != tf.random.uniform(())


def test_ctrl_c_in_an_evaluation(finished, tmp_path):
    process = start("--checkpoint", finished, cwd=tmp_path, script="evaluate.py")
    wait_for(finished.file(lock.OWNER), process)
    process.send_signal(signal.SIGINT)
    _, error = finish(process)
    assert process.returncode == 130 and error.strip().startswith("evaluate.py: stopped by Ctrl-C")


def test_a_full_disk_in_an_evaluation(finished, tmp_path):
    process = start(
        *("--checkpoint", finished),
        cwd=tmp_path,
        script="evaluate.py",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (9000,) * 2),
    )
    _, error = finish(process)
    assert process.returncode == 1 and error.count("cannot be written or read (File too large). Runs that were evaluated before keep") == 1


@pytest.mark.parametrize(
    "script, words", [("evaluate.py", ["--checkpoint", "runs/x"]), ("train.py", ["digits", "--epochs", 1, *TINY]), ("train.py", ["--help"])]
)
def test_a_reader_that_ends_early_is_no_fault(script, words, finished, tmp_path):
    """As in `python evaluate.py RUN | head -1`."""
    process = start(*words, cwd=tmp_path, script=script)
    process.stdout.close()
    error = process.stderr.read()
    process.wait(timeout=200)
    assert process.returncode == 1 and error == ""


def test_an_evaluation_is_of_the_weights_it_was_made_with(finished):
    import evaluate

    evaluate.main([str(finished)])
    assert finished.read_evaluation()[0]["n"] == 180
    with pytest.raises(ValueError, match="not JSON compliant"):
        finished.write_evaluation({"n": float("inf")}, {"kl": np.zeros(1)})
    assert finished.read_evaluation()[0]["n"] == 180, "an evaluation that cannot be written leaves the one before"
    arrays, epoch, loss = finished.read_best()
    changed = {name: array + 1 for name, array in arrays.items()}
    finished.write_weights(runs.BEST, changed, epoch=epoch, val_loss=loss)
    with pytest.raises(InputError, match="weights that have changed since; evaluate the run again"):
        finished.read_evaluation()
    with finished.locked(), pytest.raises(InputError, match="is being written by"):
        evaluate.main([str(finished)])


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_damaged_state_is_said_and_the_one_before_it_used(digits, tmp_path, capsys):
    finals = []
    for name in ("whole", "flipped", "truncated", "missing", "best of the last epoch"):
        run = Run(tmp_path / name)
        run.path.mkdir()
        stop = after_epoch(2 if name != "whole" else 9, lambda: (_ for _ in ()).throw(MemoryError))
        if name == "whole":
            fit_with(stop, digits, run)
        else:
            with pytest.raises(Fault):
                fit_with(stop, digits, run)
            last = run.file(runs.LAST)
            if name == "flipped":
                damage(last)
            elif name == "truncated":
                last.write_bytes(last.read_bytes()[:-9])
            elif name == "missing":
                last.unlink()
            else:
                damage(run.file(runs.BEST))
            capsys.readouterr()
            # a flip among the weights is no matter to who reads the history alone
            assert len(run.read_history()) == (1 if name in ("truncated", "missing") else 2) and "go on with" in run.resume_hint()
            fit_with(after_epoch(9, None), digits, run, resume=True)
            said = "missing or damaged; going on from the state before it, of epoch 1." in capsys.readouterr().out
            assert said == (name != "best of the last epoch")
        finals.append(digest(run.path))
    assert len(set(finals)) == 1


def test_what_cannot_be_made_again_is_refused(digits, tmp_path):
    run = Run(tmp_path)
    fit_with(after_epoch(9, None), digits, run)
    arrays, _ = run.read_weights(runs.LAST)
    history = run.read_history()
    history[0]["val_loss"] = 0.0  # as if the first epoch had been the best
    run.write_state(arrays, history)
    with pytest.raises(InputError, match=r"of another epoch; put it back"):
        fit_with(after_epoch(9, None), digits, run, resume=True)
    damage(run.file(runs.BEST))
    with pytest.raises(InputError, match=r"the weights of epoch 1, which cannot be made again.*--overwrite"):
        fit_with(after_epoch(9, None), digits, run, resume=True)
    for name in (runs.LAST, runs.PREVIOUS):
        damage(run.file(name))
    with pytest.raises(InputError, match="checksum"):
        fit_with(after_epoch(9, None), digits, run, resume=True)


def test_a_kill_between_the_files_of_an_epoch_loses_nothing(digits, tmp_path, monkeypatch):
    """Each epoch writes state, best weights and history; the process dies before each of these writes in turn."""

    class Killed(BaseException):
        pass

    finals, write = [], files.write
    for calls in range(10):
        run = Run(tmp_path / str(calls))
        run.path.mkdir()
        left = [calls]

        def dying(*words, left=left, **settings):
            if not left[0]:
                raise Killed
            left[0] -= 1
            write(*words, **settings)

        monkeypatch.setattr(files, "write", dying)
        try:
            fit_with(after_epoch(9, None), digits, run)
        except Killed:
            monkeypatch.setattr(files, "write", write)
            fit_with(after_epoch(9, None), digits, run, resume=True)
        finals.append(digest(run.path))
    assert len(set(finals)) == 1 and left[0] < 3  # the last trial died in the last epoch or not at all


def test_a_run_without_a_state_is_not_trained_over(digits, tmp_path):
    """As the classifier that a study keeps: its best weights are all that there is."""
    run = Run(tmp_path)
    fit_with(after_epoch(9, None), digits, run)
    best = run.file(runs.BEST).read_bytes()
    for name in (runs.LAST, runs.PREVIOUS):
        run.file(name).unlink()
    with pytest.raises(InputError, match=r"has best\.safetensors but no last\.safetensors, so its training cannot go on"):
        fit_with(after_epoch(9, None), digits, run, resume=True)
    assert run.file(runs.BEST).read_bytes() == best


def test_a_folder_with_a_link_is_refused_before_training(tmp_path):
    import train

    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "note").symlink_to("/etc/hostname")
    with pytest.raises(InputError, match=r"run_dir: .*note is a link"):
        train.main("digits", run_dir=str(tmp_path / "run"), epochs=1)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["note"]


def test_a_finished_run_gets_its_history_file_back(digits, tmp_path):
    run = Run(tmp_path)
    fit_with(after_epoch(9, None), digits, run)
    written = run.file(runs.HISTORY).read_bytes()
    run.file(runs.HISTORY).unlink()
    fit_with(after_epoch(9, None), digits, run, resume=True)
    assert run.file(runs.HISTORY).read_bytes() == written


def test_a_state_that_is_not_finite_is_not_saved(digits, tmp_path):
    run = Run(tmp_path)
    model = build_model(image_shape=(8, 8, 1), model="vae", seed=3, **SMALL)
    own = model.fit
    spoil = after_epoch(2, lambda: model.optimizer.variables[-1].assign(model.optimizer.variables[-1] + np.inf))
    model.fit = lambda *a, **k: own(*a, **{**k, "callbacks": [spoil, *k["callbacks"]]})
    with pytest.raises(NonFiniteLoss, match=r"velocity has values that are not finite after epoch 2"):
        training.fit(model, digits, run, FIT)
    assert len(run.read_history()) == 1


def test_random_damage_to_what_a_run_goes_on_from_never_changes_its_end(digits, tmp_path):
    run = Run(tmp_path / "run")
    run.path.mkdir()
    with pytest.raises(Fault):
        fit_with(after_epoch(2, lambda: (_ for _ in ()).throw(MemoryError)), digits, run)
    model = build_model(image_shape=(8, 8, 1), model="vae", seed=3, **SMALL)
    training.compile_model(model, training.learning_rates("cosine", 1e-2, 3, 3))
    whole = {name: run.file(name).read_bytes() for name in (runs.LAST, runs.PREVIOUS, runs.BEST)}
    draw, counts = np.random.default_rng(0), {"went on": 0, "refused": 0}
    for _ in range(60):
        for name, content in whole.items():
            run.file(name).write_bytes(content)
        for name in draw.choice(list(whole), draw.integers(1, 4), replace=False):
            content = bytearray(whole[name])
            content[draw.integers(len(content))] ^= draw.integers(1, 256)
            run.file(name).write_bytes(content if draw.integers(2) else content[: draw.integers(len(content))])
        try:
            history = training.restore(model, run)
        except InputError:
            counts["refused"] += 1
            continue
        counts["went on"] += 1
        assert len(history) in (1, 2)
        for name, value in run.read_weights(runs.LAST)[0].items():
            np.testing.assert_array_equal(checkpoint.state(model)[name], value)
        assert run.read_history() == history
    assert min(counts.values()) > 5


def test_signals_wait_for_the_end_of_a_step_and_a_second_one_does_not():
    interrupts, steps = Interrupts(), []
    before = signal.getsignal(signal.SIGTERM)
    with interrupts.handled():
        with pytest.raises(Interrupted) as caught, interrupts.deferred():
            os.kill(os.getpid(), signal.SIGTERM)
            steps.append("went on")
            interrupts.check()
            steps.append("not reached")
        assert steps == ["went on"] and caught.value.exit_status == 143
        with pytest.raises(Interrupted) as caught:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
        assert caught.value.exit_status == 130
    assert signal.getsignal(signal.SIGTERM) is before
    interrupts = Interrupts()
    with interrupts.handled(), pytest.raises(Interrupted), interrupts.deferred():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)
        steps.append("not reached")
    assert steps == ["went on"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_that_python_drops_is_found_at_the_next_step():
    class Finalised:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.1)

    interrupts = Interrupts()
    with interrupts.handled():
        Finalised()  # what is raised in there goes no further
        with pytest.raises(Interrupted):
            interrupts.check()


def test_validation_and_pictures_leave_the_random_state_of_training_alone(digits):
    model = build_model(image_shape=(8, 8, 1), model="dvae", seed=3, **SMALL)
    model.compile(optimizer="adam")
    before = checkpoint.arrays(checkpoint.state(model))
    model.evaluate(digits.validation(100), verbose=0)
    model.sample(4)
    for name, value in checkpoint.arrays(checkpoint.state(model)).items():
        np.testing.assert_array_equal(value, before[name])
