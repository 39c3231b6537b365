"""The run folder: its file names, and reading and writing them. Nothing in it can execute: JSON, CSV, safetensors and plain arrays.

run.json              parameters, versions, git revision, what the data was
history.csv           one row an epoch: every term, in training and validation
best.safetensors      weights of the epoch with the lowest validation loss
last.safetensors      weights, optimizer and random state after the last finished epoch
metrics.json          what evaluation found on the test set
per_image.npz         the same, image by image
tensorboard/          logs for TensorBoard
curves.png, reconstructions.png, samples.png, test_grid.png
"""

import csv
import io
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import time

import numpy as np
import safetensors
import safetensors.numpy

from . import __version__
from .errors import InputError

RECORD, HISTORY, BEST, LAST = "run.json", "history.csv", "best.safetensors", "last.safetensors"
METRICS, PER_IMAGE, TENSORBOARD = "metrics.json", "per_image.npz", "tensorboard"
PICTURES = ("curves.png", "reconstructions.png", "samples.png", "test_grid.png")


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
        return any(self.file(name).exists() for name in (RECORD, HISTORY, BEST, LAST, METRICS, PER_IMAGE, TENSORBOARD, *PICTURES))

    def refuse_to_overwrite(self):
        """Raise InputError where the folder holds a run, or where it could not be written."""
        if self.exists:
            raise InputError(f"run_dir: {self} holds a run already; choose another, go on with --resume, or discard it with --overwrite.")
        self.check_writable()

    def check_writable(self, name="run_dir"):
        """Raise InputError where the folder, or the nearest one above it that exists, is not a folder that can be written."""
        nearest = next(p for p in (self.path.absolute(), *self.path.absolute().parents) if p.exists())
        if not nearest.is_dir():
            raise InputError(f"{name}: received {self}; expected a folder, but {nearest} is a file; choose another.")
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise InputError(f"{name}: received {self}; expected a folder that can be written, but {nearest} is read-only; choose another.")

    def clear(self):
        """Make the folder, empty of any run; other files in it stay."""
        self.path.mkdir(parents=True, exist_ok=True)
        for name in (RECORD, HISTORY, BEST, LAST, METRICS, PER_IMAGE, *PICTURES):
            self.file(name).unlink(missing_ok=True)
        shutil.rmtree(self.file(TENSORBOARD), ignore_errors=True)

    # ---- the record

    def start(self, *, params, preset, precision, data, command):
        """Make the folder, discard a run in it, and record what this one is: enough to build its model again and to know its origin.

        Raises:
            InputError: the folder cannot be written.
        """
        import keras
        import tensorflow as tf

        versions = {"tfdvae": __version__, "python": platform.python_version(), "tensorflow": tf.__version__}
        versions |= {"keras": keras.__version__, "numpy": np.__version__}
        record = {
            "preset": preset,
            "params": params,
            "precision": precision,
            "data": data,
            "versions": versions,
            "git": git_revision(),
            "command": command,
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }
        try:
            self.clear()
            write(self.file(RECORD), json.dumps(record, indent=2))
        except OSError as error:
            raise InputError(f"run_dir: {self} cannot be written ({error.strerror}); choose another with --run-dir.") from None

    def read_record(self):
        """Return the record, or raise InputError where the folder has none that can be read."""
        if not self.path.is_dir():
            raise InputError(f"checkpoint: {self} does not exist; expected the folder of a run, as train.py prints it.")
        try:
            record = json.loads(self.file(RECORD).read_text())
            record["params"], record["precision"], record["data"]["image_shape"], record["data"]["class_names"]
            return record
        except FileNotFoundError:
            raise InputError(f"checkpoint: {self} has no {RECORD}; expected the folder of a run, as train.py prints it.") from None
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise InputError(f"checkpoint: {self.file(RECORD)} is damaged ({type(error).__name__}); train the run again.") from None

    # ---- weights

    def write_weights(self, name, arrays, **metadata):
        """Write named arrays and text metadata."""
        write(self.file(name), safetensors.numpy.save(arrays, {k: str(v) for k, v in metadata.items()}))

    def read_weights(self, name):
        """Return the named arrays and the metadata, or raise InputError where the file is missing or damaged."""
        path = self.file(name)
        try:
            with safetensors.safe_open(path, framework="numpy") as file:
                names = file.keys()  # it cannot be iterated itself
                return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
        except FileNotFoundError:
            raise InputError(f"checkpoint: {self} has no {name}; its training had not finished an epoch, so train it again.") from None
        except Exception as error:  # safetensors raises its own kinds for truncated and malformed files
            raise InputError(f"checkpoint: {path} is truncated or damaged ({error}); train the run again.") from None

    # ---- history

    def write_history(self, rows):
        """Write one row an epoch: a list of dicts with the same keys."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write(self.file(HISTORY), text.getvalue())

    def read_history(self):
        """Return the rows of the history as dicts of floats, none where it is missing."""
        try:
            with open(self.file(HISTORY), newline="") as file:
                return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
        except FileNotFoundError:
            return []
        except (ValueError, TypeError, csv.Error):
            raise InputError(f"checkpoint: {self.file(HISTORY)} is damaged; train the run again.") from None

    # ---- what evaluation found

    def write_evaluation(self, summary, per_image):
        """Write the summary (a dict) and the per-image values (name -> (n,) array)."""
        packed = io.BytesIO()
        np.savez_compressed(packed, **per_image)
        try:
            write(self.file(PER_IMAGE), packed.getvalue())
            write(self.file(METRICS), json.dumps(summary, indent=2, allow_nan=False))
        except OSError as error:
            raise InputError(f"checkpoint: {self} cannot be written ({error.strerror}); its results were not saved.") from None


def new_run(params):
    """Return the first unused folder of runs/DATASET-MODEL-seedN, -2, -3, ..."""
    folder = params.dataset.startswith("folder:")
    dataset = pathlib.Path(params.dataset.removeprefix("folder:")).name if folder else re.sub("[/:]", "-", params.dataset)
    base = pathlib.Path("runs") / f"{dataset or 'folder'}-{params.model}-seed{params.seed}"
    path, count = base, 1
    while path.exists():
        count += 1
        path = base.with_name(f"{base.name}-{count}")
    return Run(path)


def write(path, content):
    """Write text or bytes so that a reader sees the old file or the new one, never half of it."""
    temporary = path.with_name(f".{path.name}.tmp")
    with open(temporary, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def git_revision():
    """Return the revision of the code that runs, marked where files differ from it, or None outside a checkout."""
    root = pathlib.Path(__file__).parent.parent
    if not (root / "setup.py").exists():  # installed; a checkout around it would be another project's
        return None
    try:
        revision = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True).stdout.strip()
        status = subprocess.run(["git", "status", "--porcelain", "-uno"], cwd=root, capture_output=True, text=True, check=True).stdout
        return revision + (" with changes" if status.strip() else "")
    except (OSError, subprocess.CalledProcessError):
        return None
