"""The run folder: its file names, and reading and writing them. Nothing in it can execute: JSON, CSV, safetensors and plain arrays.

run.json              parameters, versions, git revision, what the data was
last.safetensors      all that training goes on from after the last finished epoch: weights, optimizer, random state, history
previous.safetensors  the same, one epoch earlier, for when the last is damaged
best.safetensors      weights of the epoch with the lowest validation loss
history.csv           one row an epoch: every term, in training and validation; for the user, it is not read back
metrics.json          what evaluation found on the test set
per_image.npz         the same, image by image
tensorboard/          logs for TensorBoard
frames/               one small picture an epoch: what the model made of the same images and the same draws from the prior
curves.png and other pictures

What is read back carries a digest of itself. A digest finds accidents; a folder made with intent can carry a right one, so whatever is
read is also bounded in size, checked in shape, and never a link to a file elsewhere.
"""

import contextlib
import csv
import functools
import hashlib
import io
import itertools
import json
import os
import pathlib
import platform
import re
import shlex
import shutil
import socket
import subprocess
import time

import filelock
import numpy as np

from . import __version__, files
from .errors import InputError

RECORD, HISTORY, BEST, LAST, PREVIOUS = "run.json", "history.csv", "best.safetensors", "last.safetensors", "previous.safetensors"
METRICS, PER_IMAGE, TENSORBOARD, FRAMES = "metrics.json", "per_image.npz", "tensorboard", "frames"
PICTURES = (
    *("curves.png", "posterior.png", "reconstructions.png", "samples.png", "manifold.png", "progress.png", "progress.gif"),
    "test_grid.png",
)
ASKED_FOR = ("test_codes.png", "test_corrupted.png", "test_variance.png", "test_gate.png")  # pictures of some evaluations
FILES = (RECORD, HISTORY, BEST, LAST, PREVIOUS, METRICS, PER_IMAGE, *PICTURES, *ASKED_FOR)
LOCK, OWNER = ".lock", ".owner"
JSON_LIMIT = 2**22  # bytes; a record has a few thousand
SIDE_LIMIT = 2**14  # pixels; of a recorded image's side


class Run:
    """One run's folder."""

    def __init__(self, path):
        self.path = pathlib.Path(path)

    def __str__(self):
        return str(self.path)

    def __fspath__(self):
        return str(self.path)

    def file(self, name):
        return self.path / name

    @property
    def exists(self):
        """Whether anything of a run lies in the folder."""
        return any(os.path.lexists(self.file(name)) for name in (*FILES, TENSORBOARD, FRAMES))

    def refuse_to_overwrite(self):
        """Raise InputError where the folder holds a run."""
        if self.exists:
            raise InputError(f"run_dir: {self} holds a run already; choose another, go on with --resume, or discard it with --overwrite.")

    def check_writable(self, name="run_dir"):
        """Raise InputError where the folder, or the nearest one above it that exists, is not a folder that can be written."""
        try:
            os.stat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except (OSError, ValueError) as error:
            told = files.printable(self)
            raise InputError(f"{name}: received {told}, which cannot be a folder here ({files.reason(error)}); choose another.") from None
        nearest = next(p for p in (self.path.absolute(), *self.path.absolute().parents) if os.path.lexists(p))
        if not nearest.is_dir():
            raise InputError(f"{name}: received {self}; expected a folder, but {nearest} is a file; choose another.")
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise InputError(f"{name}: received {self}; expected a folder that can be written, but {nearest} is read-only; choose another.")

    def clear(self):
        """Empty the folder of all but a run's record, which a new one will replace; other files in it stay."""
        for name in FILES:
            if name != RECORD:
                self.file(name).unlink(missing_ok=True)
        for name in (TENSORBOARD, FRAMES):
            if self.file(name).is_symlink():
                self.file(name).unlink()
            shutil.rmtree(self.file(name), ignore_errors=True)
        files.remove_temporaries(self.path)

    @contextlib.contextmanager
    def held(self, new=False):
        """Make the folder and keep other processes from training in it; a process that dies lets go of it.

        Where no run is in it at the end, nothing is left behind: a folder that was made here is removed again.

        Args:
            new: whether the folder must not be there yet.

        Raises:
            FileExistsError: it is, although it must not.
            InputError: another process trains in it, or it cannot be made.
        """
        made = [path for path in (self.path, *self.path.parents) if not path.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=not new)
            lock = filelock.FileLock(self.file(LOCK))
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise InputError(
                f"run_dir: {self} is being written by {self.owner()}; wait for it, stop it, or choose another folder with --run-dir."
            ) from None
        except OSError as error:
            if new and isinstance(error, FileExistsError):
                raise
            raise InputError(f"run_dir: {self} cannot be written ({error.strerror}); choose another with --run-dir.") from None
        try:
            with contextlib.suppress(OSError):
                since = time.strftime("%Y-%m-%d %H:%M:%S")
                files.write(self.file(OWNER), f"process {os.getpid()} on {socket.gethostname()}, since {since}")
            yield
        finally:
            with contextlib.suppress(OSError):  # the folder may be gone, or another thing in its place
                self.file(OWNER).unlink(missing_ok=True)
                if not self.exists:
                    self.file(LOCK).unlink(missing_ok=True)
            lock.release()
            with contextlib.suppress(OSError):  # not empty, or gone
                for path in made:
                    path.rmdir()

    def owner(self):
        """Return who holds the folder, as far as it is known."""
        try:
            return files.printable(files.read(self.file(OWNER), 1000).decode())
        except (OSError, ValueError):
            return "another process"

    # ---- the record

    def start(self, *, params, preset, precision, data, command):
        """Discard a run in the folder, and record what this one is: enough to build its model again and to know its origin.

        Raises:
            OSError: the folder cannot be written.
        """
        record = {
            "preset": preset,
            "params": params,
            "precision": precision,
            "data": data,
            "versions": versions(),
            "git": git_revision(),
            "command": command,
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }
        self.clear()
        files.write(self.file(RECORD), files.sealed(record))

    def read_record(self):
        """Return the record.

        Raises:
            InputError: the folder has none, or one that is damaged or of another version, or holds links.
        """
        try:
            found = self.path.is_dir()
        except (OSError, ValueError):  # no path that this system could have
            found = False
        if not found:
            raise InputError(f"checkpoint: {files.printable(self)} does not exist; expected the folder of a run, as train.py prints it.")
        for folder, folders, names in os.walk(self.path):
            for path in (pathlib.Path(folder, name) for name in (*folders, *names)):
                if path.is_symlink():
                    raise InputError(f"checkpoint: {path} is a link; expected a plain file; put the file itself in its place.")
        try:
            content = files.read(self.file(RECORD), JSON_LIMIT)
            check_version(self, content)
            record = files.unsealed(content)
            _check_record(record)
            return record
        except FileNotFoundError:
            raise InputError(f"checkpoint: {self} has no {RECORD}; expected the folder of a run, as train.py prints it.") from None
        except (OSError, files.Damaged) as error:
            raise InputError(f"checkpoint: {self.file(RECORD)} is damaged: {files.reason(error)}; train the run again.") from None

    def note_differences(self, record):
        """Print what differs from what the run was started with and may change its numbers: versions, code, machine."""
        started = record["versions"] | {"git revision": record.get("git")}
        now = versions() | {"git revision": git_revision()}
        changed = [name for name, value in now.items() if started.get(name) != value]
        other = [f"{name} {files.printable(started.get(name))} instead of {now[name]}" for name in changed]
        if other:
            print(f"Note: this run was started with {', '.join(other)}; its numbers may differ from an uninterrupted run's.")

    # ---- weights

    def write_weights(self, name, arrays, **metadata):
        """Write named arrays and metadata."""
        files.write(self.file(name), files.packed_tensors(arrays, {k: str(v) for k, v in metadata.items()}))

    def write_state(self, arrays, history):
        """Write all that training goes on from, the history (a list of dicts, one an epoch) with it; the state before is kept."""
        metadata = {"epochs": str(len(history)), "history": json.dumps(history)}
        files.write(self.file(LAST), files.packed_tensors(arrays, metadata), keep=self.file(PREVIOUS))

    def read_weights(self, name, expected=None, prefix=""):
        """Return the named arrays and the metadata of a file; see `files.unpacked_tensors`.

        Raises:
            FileNotFoundError: there is no such file.
            InputError: it is damaged, or of another model.
        """
        with self._told(name):
            return files.unpacked_tensors(self.file(name), expected, prefix)

    def read_best(self, expected=None):
        """Return the weights of the best epoch, the number of that epoch, and its validation loss; raises as `read_weights`."""
        arrays, metadata = self.read_weights(BEST, expected)
        with self._told(BEST):
            return arrays, int(metadata["epoch"]), float(metadata["val_loss"])

    def read_state(self, expected=None, prefix=""):
        """Return the arrays of the newest state that is whole, its history, and the name of its file; raises as `read_weights`."""

        def read(name):
            arrays, metadata = self.read_weights(name, expected, prefix)
            with self._told(name):
                return arrays, history_of(metadata), name

        return self._newest(read)

    def read_history(self):
        """Return the rows of the history as dicts of numbers, of the newest state that is whole; none where nothing was saved.

        Raises:
            InputError: no state is whole.
        """

        def read(name):
            with self._told(name):
                return history_of(files.tensor_metadata(self.file(name)))

        try:
            return self._newest(read)
        except FileNotFoundError:
            return []

    def _newest(self, read):
        """Return `read` of the last state's name or, where that fails, of the one before; of the last one's failure, where both do."""
        try:
            return read(LAST)
        except (FileNotFoundError, InputError) as error:
            if self.file(PREVIOUS).exists():
                with contextlib.suppress(InputError):
                    return read(PREVIOUS)
            raise error

    @contextlib.contextmanager
    def _told(self, name):
        """Turn what is wrong with a file of weights into a sentence."""
        path = self.file(name)
        try:
            yield
        except files.Unexpected as error:
            raise InputError(
                f"checkpoint: {path} does not fit {RECORD}: {error}; it belongs to another model or other data; train the run again."
            ) from None
        except (files.Damaged, KeyError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise InputError(f"checkpoint: {path} is truncated or damaged: {files.reason(error)}; train the run again.") from None

    def kept(self):
        """Say in a sentence what the run has saved, and how to go on with it."""
        if not self.exists:
            return "Nothing is kept."
        again = f"python train.py --resume --run-dir {shlex.quote(str(self))}"
        try:
            epochs = len(self.read_history())
        except InputError as error:
            return str(error)
        if not epochs:
            return f"No epoch was finished yet; start again with {again}"
        return f"{f'Epochs 1 to {epochs} are' if epochs > 1 else 'Epoch 1 is'} kept; go on with {again}"

    def write_history(self, rows):
        """Write one row an epoch, for the user: a list of dicts with the same keys."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        files.write(self.file(HISTORY), text.getvalue())

    # ---- pictures

    def write_frame(self, epoch, content):
        """Write the PNG of an epoch."""
        self.file(FRAMES).mkdir(exist_ok=True)
        files.write(self.file(FRAMES) / f"{epoch:05}.png", content)

    def frames(self):
        """Return epoch -> path of the PNG of every epoch that has one."""
        return {int(path.stem): path for path in sorted(self.file(FRAMES).glob("*.png")) if path.stem.isdecimal()}

    def write_picture(self, name, content):
        """Write one of `PICTURES` that is bytes already."""
        files.write(self.file(name), content)

    def remove_pictures(self):
        """Remove pictures of an earlier evaluation that was asked for more than the next one may be."""
        for name in ASKED_FOR:
            self.file(name).unlink(missing_ok=True)

    # ---- what evaluation found

    def write_evaluation(self, summary, per_image):
        """Write the summary (a dict) and the per-image values (name -> (n,) array), with the digest of the weights they are of."""
        packed = files.packed(per_image)
        digests = {"per_image_sha256": hashlib.sha256(packed).hexdigest(), "weights_sha256": self._digest_of_best()}
        files.write(self.file(PER_IMAGE), packed)
        files.write(self.file(METRICS), files.sealed({**summary, **digests}))

    def read_evaluation(self):
        """Return what `write_evaluation` wrote: the summary and the per-image values.

        Raises:
            InputError: the run was not evaluated, or was trained further since, or a file is damaged.
        """
        name = METRICS
        try:
            summary = files.unsealed(files.read(self.file(METRICS), JSON_LIMIT))
            if summary.pop("weights_sha256", None) != self._digest_of_best():
                raise files.Damaged("it is of weights that have changed since")
            name = PER_IMAGE
            content = files.read(self.file(PER_IMAGE), files.PACKED_LIMIT)
            if hashlib.sha256(content).hexdigest() != summary.pop("per_image_sha256", None):
                raise files.Damaged("its content differs from its checksum")
            return summary, files.unpacked(content)
        except FileNotFoundError:
            raise InputError(f"checkpoint: {self} has no {name}; evaluate it with evaluate.py --checkpoint {self}.") from None
        except (OSError, files.Damaged) as error:
            raise InputError(f"checkpoint: {self.file(name)} cannot be used: {files.reason(error)}; evaluate the run again.") from None

    def _digest_of_best(self):
        with self._told(BEST):
            return files.tensor_metadata(self.file(BEST)).get("sha256")


def history_of(metadata):
    """Return the history that a state's metadata holds: a list of dicts of finite numbers, one for each epoch.

    Raises:
        Damaged: it holds none, or other than one row with the same terms for each epoch.
    """
    rows = json.loads(metadata["history"])
    if not isinstance(rows, list) or not rows or metadata["epochs"] != str(len(rows)) or not all(isinstance(row, dict) for row in rows):
        raise files.Damaged("its history has not one row for each epoch")
    terms = set(rows[0])
    validated = {name.removeprefix("val_") for name in terms if name.startswith("val_")}
    for number, row in enumerate(rows, 1):
        numbers = all(type(value) in (int, float) and abs(value) < 1e300 for value in row.values())
        if row.get("epoch") != number or set(row) != terms or not numbers or not {"loss"} <= validated <= terms:
            raise files.Damaged(f"row {number} of its history is none")
    return rows


def check_version(run, content):
    """Raise InputError where a record was written by a version whose runs this one cannot read."""
    try:
        written = json.loads(content)["versions"]["tfdvae"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return  # damaged, which is for the reader of the whole record to say
    if str(written).split(".")[:2] != __version__.split(".")[:2]:
        raise InputError(
            f"checkpoint: {run} was written by tfdvae {files.printable(written)}, and this is {__version__}, which reads runs of "
            f"{__version__.rpartition('.')[0]}; use that version, or train the run again."
        )


def _check_record(record):
    """Raise Damaged where a record is not of the form that `Run.start` writes."""
    try:
        shape, names = record["data"]["image_shape"], record["data"]["class_names"]
        valid = (
            isinstance(record["params"], dict)
            and isinstance(record["versions"], dict)
            and record["precision"] in ("float32", "bfloat16")
            and isinstance(record["data"]["test_fingerprint"], str)
            and len(shape) == 3
            and all(type(side) is int and 1 <= side <= SIDE_LIMIT for side in shape)
            and isinstance(names, list)
            and all(isinstance(name, str) for name in names)
            and "preset" in record
        )
    except (KeyError, TypeError):
        valid = False
    if not valid:
        raise files.Damaged("it is not the record of a run")


def new_runs(params, name=""):
    """Yield runs/NAME-MODEL-seedN, -2, -3, ..., of which the first that is not there is the folder of a new run; no name: the dataset's."""
    folder = params.dataset.startswith("folder:")
    dataset = pathlib.Path(params.dataset.removeprefix("folder:")).name if folder else re.sub("[/:]", "-", params.dataset)
    base = pathlib.Path("runs") / f"{name or dataset or 'folder'}-{params.model}-seed{params.seed}"
    for count in itertools.count(1):
        path = base if count == 1 else base.with_name(f"{base.name}-{count}")
        if not path.exists():
            yield Run(path)


def versions():
    """Return what numbers depend on beside parameters and data: versions, and the machine's devices."""
    import keras
    import tensorflow as tf

    own = {"tfdvae": __version__, "python": platform.python_version()}
    gpus = [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in tf.config.list_physical_devices("GPU")]
    devices = ", ".join([f"{platform.machine()} with {os.cpu_count()} cores", *gpus])
    return own | {"tensorflow": tf.__version__, "keras": keras.__version__, "numpy": np.__version__, "devices": devices}


@functools.cache  # the code was read when the process began, and a checkout may move on while a study trains
def git_revision():
    """Return the revision of the code that runs, marked where files outside results/ differ from it, or None outside a checkout."""
    root = pathlib.Path(__file__).parent.parent
    if not (root / "setup.py").exists():  # installed; a checkout around it would be another project's
        return None

    def git(*words):
        return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "-uno", "--", ".", ":!results")  # where a study writes its report while it runs
        return git("rev-parse", "HEAD") + (" with changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None
