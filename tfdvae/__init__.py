"""Denoising variational autoencoders in Keras: train them, and measure what the denoising criterion gains.

TensorFlow is imported by the modules that need it, not here: the functions below import theirs when they are used.
"""

import importlib
import os

from .version import __version__

__all__ = ["__version__", "build_model", "load", "load_dataset", "read_images"]

# The models are TensorFlow's, whatever backend a user has chosen for Keras elsewhere.
os.environ["KERAS_BACKEND"] = "tensorflow"

# TensorFlow leaves its faster convolutions off on processors without AVX-512; with them a VAE on CIFAR-10 takes half the time there.
# It looks when it is imported.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def load(run_dir, weights="best"):
    """Return the trained model of a run folder, with `encode`, `decode`, `reconstruct` and `sample` (see `tfdvae.models`).

    Args:
        run_dir: folder that `train.py` wrote.
        weights: "best", the epoch with the lowest validation loss, or "last".

    Raises:
        InputError: the folder is missing, incomplete or damaged.
    """
    from .runs.checkpoint import load_model

    return load_model(run_dir, weights)


def read_images(paths, like):
    """Return image files as a model or a dataset takes them: (n, H, W, C) float32; see `tfdvae.data.read_images`."""
    from .data import read_images

    return read_images(paths, like)


def __getattr__(name):
    """Return `build_model` or `load_dataset`, from the module that has it."""
    modules = {"build_model": ".build", "load_dataset": ".data"}
    if name not in modules:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(modules[name], __name__), name)


def __dir__():
    return sorted({*globals(), *__all__})
