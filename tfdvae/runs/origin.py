"""The origin of numbers: versions, devices, and the revision of the code."""

import functools
import os
import pathlib
import platform
import subprocess

import keras
import numpy as np
import tensorflow as tf

from ..version import __version__


def origin():
    """Return the entries of a run's record on its origin."""
    return {"versions": versions(), "git": git_revision()}


def versions():
    """Return versions and the machine's devices: numbers depend on them beside parameters and data."""
    own = {"tfdvae": __version__, "python": platform.python_version()}
    gpus = [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in tf.config.list_physical_devices("GPU")]
    devices = ", ".join([f"{platform.machine()} with {os.cpu_count()} cores", *gpus])
    return own | {"tensorflow": tf.__version__, "keras": keras.__version__, "numpy": np.__version__, "devices": devices}


@functools.cache  # the code was read when the process began, and a checkout may move on while a study trains
def git_revision():
    """Return the revision of the running code, marked where files outside results/ differ from it, or None outside a checkout."""
    root = pathlib.Path(__file__).parents[2]
    if not (root / "setup.py").exists():  # installed; a checkout around it would be another project's
        return None

    def git(*words):
        return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "-uno", "--", ".", ":!results")  # where a study writes its report while it runs
        return git("rev-parse", "HEAD") + (" with changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None
