"""Where a new run goes, and with which parameters a run goes on."""

import contextlib
import os

from ..errors import InputError, legible, printable
from ..interrupts import Interrupted
from ..rules import are_own_images
from .files import check_writable
from .folder import Run
from .names import new_folders


@contextlib.contextmanager
def claimed(params_dict, name="", changed=()):
    """Lock the folder of a run, so that nobody else trains in it: that of `run_dir`, or the first under runs/ that is not there yet.

    Args:
        params_dict: parameters of the run.
        name, changed: for the name of a new folder; see `names.new_folders`.
    """
    if params_dict["run_dir"]:
        run = Run(params_dict["run_dir"])
        _check_encoding(run)
        check_writable(run.path, "run_dir")
        run.refuse_links("run_dir")
        with run.locked(), _kept(run):
            yield run
        return
    for run in map(Run, new_folders(params_dict, name, changed)):
        check_writable(run.path, "run_dir")
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(run.locked(new=True))
            except FileExistsError:
                continue  # another process was a moment faster
            with _kept(run):
                yield run
            return


@contextlib.contextmanager
def _kept(run):
    """Let an interruption say how the run goes on."""
    try:
        yield
    except Interrupted as interrupted:
        interrupted.kept = run.resume_hint()
        raise


def _check_encoding(run):
    """Raise InputError where a run's folder has a name that TensorBoard's writer cannot use."""
    try:
        str(run).encode()
    except UnicodeEncodeError:
        raise InputError(
            f"run_dir: received {legible(run)}; expected a path in UTF-8, which TensorBoard's files need; choose another."
        ) from None


def goes_on(run_dir, resume, overwrite, named):
    """Return whether a saved run goes on, rather than a new one starts.

    Args:
        run_dir: folder of the run, or "".
        resume, overwrite: options of the command line.
        named: whether a preset or a dataset is given, so that a new run may start where nothing is saved.

    Raises:
        InputError: the options contradict each other, or there is no run to resume.
    """
    if resume and overwrite:
        raise InputError("overwrite: received together with resume; expected one of them; choose whether to discard the run.")
    if (resume or overwrite) and not run_dir:
        option = "resume" if resume else "overwrite"
        raise InputError(f"run_dir: received none with {option}; expected the folder of the run; add --run-dir.")
    run = Run(run_dir)
    if not resume or run.exists:
        return resume
    if os.path.isfile(run):  # False for what is no path here
        run.read_record()  # refuses a file, naming the folder of its run
    if not named:
        raise InputError(
            f"run_dir: received {run} with resume, where no run is saved; expected the folder of a run; correct it, or add a preset or "
            "--dataset to start a new run there."
        )
    print(f"Nothing is saved in {run} yet: starting from the beginning.")
    return False


def saved_parameters(run, preset, overrides):
    """Return the parameters that a run was started with (dict).

    Args:
        run: `Run`.
        preset: name of the preset on the command line, or None.
        overrides: parameters on the command line (dict).

    Raises:
        InputError: the record cannot be used, or has another preset or parameter.
    """
    record = run.read_record()
    if preset and preset != record["preset"]:
        started = f"with {printable(record['preset'])}" if record["preset"] else "without one"
        raise InputError(f"preset: received {preset}, but {run} was started {started}; expected the same, or none with --resume.")
    for name, value in overrides.items():
        started = record["params"][name]
        if name == "dataset" and all(map(are_own_images, (value, started))):
            continue  # images that have moved; whether they are the same shows when they are read
        if name != "run_dir" and (list(value) if isinstance(value, tuple) else value) != started:
            started = tuple(started) if isinstance(started, list) else started
            raise InputError(
                f"{name}: received {value!r}, but {run} was started with {started!r}; expected the same, or none with --resume."
            )
    return record["params"]
