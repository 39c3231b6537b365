"""Where a new run goes, and with which parameters a run goes on."""

import contextlib
import itertools
import pathlib
import re

from ..errors import InputError, printable
from .files import check_writable
from .folder import Run


@contextlib.contextmanager
def claimed(params_dict, name=""):
    """Lock the folder of a run, so that nobody else trains in it: that of `run_dir`, or the first under runs/ that is not there yet.

    Args:
        params_dict: parameters of the run.
        name: of a new folder, in place of the dataset's; see `new_runs`.
    """
    if params_dict["run_dir"]:
        run = Run(params_dict["run_dir"])
        check_writable(run.path, "run_dir")
        with run.locked():
            yield run
        return
    for run in new_runs(params_dict, name):
        check_writable(run.path, "run_dir")
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(run.locked(new=True))
            except FileExistsError:
                continue  # another process was a moment faster
            yield run
            return


def new_runs(params_dict, name=""):
    """Yield runs/NAME-MODEL-seedN, -2, -3, ..., as far as they are not there yet; without a name it is the dataset's."""
    dataset = params_dict["dataset"]
    if dataset.startswith("folder:"):
        dataset = pathlib.Path(dataset.removeprefix("folder:")).name or "folder"
    dataset = re.sub("[/:]", "-", dataset)
    base = pathlib.Path("runs") / f"{name or dataset}-{params_dict['model']}-seed{params_dict['seed']}"
    for count in itertools.count(1):
        path = base if count == 1 else base.with_name(f"{base.name}-{count}")
        if not path.exists():
            yield Run(path)


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
        if name != "run_dir" and (list(value) if isinstance(value, tuple) else value) != started:
            started = tuple(started) if isinstance(started, list) else started
            raise InputError(
                f"{name}: received {value!r}, but {run} was started with {started!r}; expected the same, or none with --resume."
            )
    return record["params"]
