"""The run folder: its file names, and reading and writing them. Nothing in it can execute: JSON, CSV, safetensors and plain arrays.

run.json              format, parameters, versions, git revision, description of the data
last.safetensors      the state after the last finished epoch: weights, optimizer, random state, history
previous.safetensors  the state one epoch earlier, for when the last is damaged
best.safetensors      weights of the epoch with the lowest validation loss
history.csv           one row an epoch: every term, in training and validation; for people, it is not read back
metrics.json          means over the test set, from evaluation
per_image.npz         the same, image by image
tensorboard/          logs for TensorBoard
frames/               one small picture an epoch: outputs for the same images, and the same draws from the prior
curves.png and other pictures

Every file that is read back carries a digest of itself. A digest finds accidents, but not bad intent: so every file is also bounded in
size, checked in shape, and never a link to a file elsewhere.
"""

import contextlib
import csv
import hashlib
import io
import json
import os
import pathlib
import shutil
import time

from ..errors import InputError, printable, reason
from ..terminal import command
from ..version import FORMAT
from . import files, lock
from .record import history_of, read_record

RECORD, HISTORY, BEST, LAST, PREVIOUS = "run.json", "history.csv", "best.safetensors", "last.safetensors", "previous.safetensors"
METRICS, PER_IMAGE, TENSORBOARD, FRAMES = "metrics.json", "per_image.npz", "tensorboard", "frames"
PICTURES = (
    *("story.png", "curves.png", "posterior.png", "reconstructions.png", "samples.png", "manifold.png", "progress.png", "progress.gif"),
    "test_grid.png",
)
OPTIONAL_PICTURES = ("test_codes.png", "test_corrupted.png", "test_variance.png", "test_gate.png")  # of some evaluations
FILES = (RECORD, HISTORY, BEST, LAST, PREVIOUS, METRICS, PER_IMAGE, *PICTURES, *OPTIONAL_PICTURES)
JSON_LIMIT = 2**22  # bytes; a record has a few thousand


class Run:
    """One run's folder."""

    def __init__(self, path):
        self.path = files.expanded(path)

    def __str__(self):
        return str(self.path)

    def __fspath__(self):
        return str(self.path)

    def file(self, name):
        return self.path / name

    @property
    def exists(self):
        """Whether the folder has any file of a run."""
        return any(os.path.lexists(self.file(name)) for name in (*FILES, TENSORBOARD, FRAMES))

    def refuse_to_overwrite(self):
        """Raise InputError where the folder holds a run."""
        if self.exists:
            raise InputError(f"run_dir: {self} holds a run already; choose another, go on with --resume, or discard it with --overwrite.")

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

    def locked(self, new=False):
        """Make the folder and keep other processes from writing in it; see `lock.locked`. A folder without a run is removed at the end."""
        return lock.locked(self.path, new, lambda: self.exists)

    # ---- the record

    def start(self, *, params_dict, preset, precision, data, command, versions, git):
        """Discard the run in the folder, and write the record of a new one: enough to build its model and to know its origin.

        Raises:
            OSError: the folder cannot be written.
        """
        record = {
            "format": FORMAT,
            "preset": preset,
            "params": params_dict,
            "precision": precision,
            "data": data,
            "versions": versions,
            "git": git,
            "command": command,
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }
        self.clear()
        files.write(self.file(RECORD), files.sealed(record))

    def refuse_links(self, parameter="checkpoint"):
        """Raise InputError where a link lies in the folder: nothing is read or written through links."""
        for folder, folders, names in os.walk(self.path):
            for path in (pathlib.Path(folder, name) for name in (*folders, *names)):
                if path.is_symlink():
                    raise InputError(f"{parameter}: {path} is a link; expected a plain file; put the file itself in its place.")

    def read_record(self, parameter="checkpoint"):
        """Return the record, its parameters complete and checked.

        Args:
            parameter: name of the parameter that the folder came from, for the sentences.

        Raises:
            InputError: the folder has no record, or one that is damaged, of an unknown format or of unusable parameters, or holds links.
        """
        self._refuse_what_is_no_folder(parameter)
        self.refuse_links(parameter)
        path = self.file(RECORD)
        try:
            return read_record(files.read(path, JSON_LIMIT), path)
        except FileNotFoundError:
            raise InputError(f"{parameter}: {self} has no {RECORD}; expected the folder of a run, as train.py prints it.") from None
        except (OSError, files.Damaged) as error:
            raise InputError(f"{parameter}: {path} is damaged: {reason(error)}; train the run again.") from None

    def _refuse_what_is_no_folder(self, parameter):
        try:
            is_folder, is_file = self.path.is_dir(), self.path.is_file()
        except (OSError, ValueError):  # no path that this system could have
            is_folder = is_file = False
        if is_folder:
            return
        around = next((folder for folder in self.path.parents if is_file and (folder / RECORD).is_file()), None)
        if around is not None:
            raise InputError(f"{parameter}: {self} is a file inside a run; expected the run's folder; give {around}.")
        expected = "expected the folder of a run, as train.py prints it"
        if is_file:
            raise InputError(f"{parameter}: {self} is a file; {expected}.")
        raise InputError(f"{parameter}: {printable(self)} does not exist; {expected}.")

    @staticmethod
    def note_differences(record, origin):
        """Print the differences between the origin of a run's start and this one; they may change its numbers."""
        started = record["versions"] | {"git revision": record.get("git")}
        now = origin["versions"] | {"git revision": origin["git"]}
        changed = [name for name, value in now.items() if started.get(name) != value]
        if changed:
            other = ", ".join(f"{name} {printable(started.get(name))} instead of {now[name]}" for name in changed)
            print(f"Note: this run was started with {other}; its numbers may differ from an uninterrupted run's.")

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
        with self._damage_reported(name):
            return files.unpacked_tensors(self.file(name), expected, prefix)

    def read_best(self, expected=None):
        """Return the weights of the best epoch, the number of that epoch, and its validation loss; raises as `read_weights`."""
        arrays, metadata = self.read_weights(BEST, expected)
        with self._damage_reported(BEST):
            return arrays, int(metadata["epoch"]), float(metadata["val_loss"])

    def read_state(self, expected=None, prefix=""):
        """Return the arrays of the newest state that is whole, its history, and the name of its file; raises as `read_weights`."""

        def read(name):
            arrays, metadata = self.read_weights(name, expected, prefix)
            with self._damage_reported(name):
                return arrays, history_of(metadata), name

        return self._newest(read)

    def read_history(self):
        """Return the rows of the history as dicts of numbers, of the newest state that is whole; none where nothing was saved.

        Raises:
            InputError: no state is whole.
        """

        def read(name):
            with self._damage_reported(name):
                return history_of(files.tensor_metadata(self.file(name)))

        try:
            return self._newest(read)
        except FileNotFoundError:
            return []

    def _newest(self, read):
        """Return `read` of the last state's name or, where that fails, of the state before; raise the first failure where both fail."""
        try:
            return read(LAST)
        except (FileNotFoundError, InputError) as error:
            if self.file(PREVIOUS).exists():
                with contextlib.suppress(InputError):
                    return read(PREVIOUS)
            raise error

    @contextlib.contextmanager
    def _damage_reported(self, name):
        """Turn damage to a file of weights into an InputError."""
        path = self.file(name)
        try:
            yield
        except files.Unexpected as error:
            raise InputError(
                f"checkpoint: {path} does not fit {RECORD}: {error}; it belongs to another model or other data; train the run again."
            ) from None
        except (files.Damaged, KeyError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise InputError(f"checkpoint: {path} is truncated or damaged: {reason(error)}; train the run again.") from None

    def resume_hint(self):
        """Return a sentence: the epochs that are saved, and the command that goes on with them."""
        if not self.exists:
            return "Nothing is kept."
        again = command("train.py", "--resume", "--run-dir", self)
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
        """Write a picture, as bytes."""
        files.write(self.file(name), content)

    def remove_pictures(self):
        """Remove the optional pictures of an earlier evaluation."""
        for name in OPTIONAL_PICTURES:
            self.file(name).unlink(missing_ok=True)

    # ---- what evaluation found

    def write_evaluation(self, summary, per_image):
        """Write the summary (a dict) and the per-image values (name -> (n,) array), with the digest of the weights they are of."""
        packed = files.packed(per_image)
        digests = {"per_image_sha256": hashlib.sha256(packed).hexdigest(), "weights_sha256": self._digest_of_best()}
        sealed = files.sealed({**summary, **digests})  # before anything is written, since it may fail
        files.write(self.file(PER_IMAGE), packed)
        files.write(self.file(METRICS), sealed)

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
            raise InputError(f"checkpoint: {self} has no {name}; evaluate it with {command('evaluate.py', self)}.") from None
        except (OSError, files.Damaged) as error:
            raise InputError(f"checkpoint: {self.file(name)} cannot be used: {reason(error)}; evaluate the run again.") from None

    def _digest_of_best(self):
        with self._damage_reported(BEST):
            return files.tensor_metadata(self.file(BEST)).get("sha256")
