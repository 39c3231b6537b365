"""Images in arrays: a file of NumPy, or arrays of Python."""

import contextlib
import os
import pathlib

import numpy as np

from ..errors import InputError, printable, reason, short_reason
from ..rules import WIDTH_LIMIT
from .source import UNLABELLED, Source, Sources, composited, resized

CHUNK = 1000  # images converted at once


def file_sources(name, preparation):
    """Return the `Sources` of "arrays:FILE.npz", a file of the arrays `images` and, where there are classes, `labels`.

    Raises:
        InputError: there is no such file, it holds no such arrays, or the arrays cannot be used.
    """
    path = pathlib.Path(os.path.expanduser(name.removeprefix("arrays:")))
    try:
        stored = np.load(path, allow_pickle=False)
        with stored if isinstance(stored, np.lib.npyio.NpzFile) else contextlib.nullcontext({}) as arrays:
            names, images, labels = list(arrays), arrays.get("images"), arrays.get("labels")
    except Exception as error:  # NumPy and zipfile raise many kinds for a damaged file
        raise InputError(
            f"dataset: received {name}, which cannot be read ({short_reason(error)}); expected an .npz file "
            "of numpy.savez, without pickled objects; write it again."
        ) from None
    if images is None:
        raise InputError(
            f"dataset: {printable(path)} holds {printable(', '.join(names)) or 'no named arrays'}; expected the array images and, perhaps, "
            "labels; write it with numpy.savez(FILE, images=..., labels=...)."
        )
    return array_sources(images, labels, preparation, name, os.path.abspath(path))


def array_sources(images, labels, preparation, name, path=""):
    """Return the `Sources` of arrays.

    Args:
        images: (n, H, W) or (n, H, W, C): bytes, 16-bit integers, other integers within 0 to 255 or 0 to 65,535, or floats within 0 to 1.
            C is 1 or 3, or 2 or 4 with a last channel of opacity.
        labels: (n,) class numbers from 0 on, -1 or NaN where unknown, or (n,) texts, empty where unknown; None without classes.
        preparation: `source.Preparation`.
        name: of the dataset, for the sentences.
        path: of their file.

    Raises:
        InputError: the arrays cannot be used.
    """
    images, labels = _as_array(images, "images"), None if labels is None else _as_array(labels, "labels")
    images = images[..., np.newaxis] if images.ndim == 3 else images
    if images.ndim != 4 or images.shape[-1] not in (1, 2, 3, 4) or 0 in images.shape:
        raise InputError(
            f"images: {name} has an array of shape {images.shape}; expected (n, height, width) or (n, height, width, channels) with 1 to 4 "
            "channels; reshape it."
        )
    limit, notes = _range(images, name)
    numbers, class_names = (None, ()) if labels is None else _classes(labels, len(images), name)
    chunks = range(0, len(images), CHUNK)
    prepared = [_prepared(images[start : start + CHUNK], limit, preparation) for start in chunks]
    prepared = prepared[0] if len(prepared) == 1 else np.concatenate(prepared)
    source = Source(len(prepared), prepared.shape[1:], class_names, prepared, numbers)
    return Sources(source, notes=notes, path=path)


def _as_array(values, name):
    """Return values as an array in the machine's order of bytes."""
    try:
        array = np.asarray(values)
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    except (TypeError, ValueError) as error:  # lists of unequal lengths
        raise InputError(
            f"{name}: received {type(values).__name__}, which is no array ({reason(error)}); expected one; convert it."
        ) from None


def _range(images, name):
    """Return the value that stands for white, and notes; raise InputError where the type and the values give none."""
    of_type = {"uint8": 255, "uint16": 65_535, "bool": 1}.get(images.dtype.name)
    if of_type and (of_type == 1 or images.max() > 1):  # integers 0 and 1 are black and white
        return of_type, ()
    if images.dtype.kind not in "iuf":
        raise InputError(f"images: {name} has values of type {images.dtype}; expected numbers; convert them.")
    low, high = images.min(), images.max()  # NaN where there is one
    limits = (1.0,) if images.dtype.kind == "f" else (1, 255, 65_535)
    limit = next((limit for limit in limits if low >= 0 and high <= limit), None)
    if limit is None:
        expected = "0 to 1 for floats" if images.dtype.kind == "f" else "0 to 255 or 0 to 65,535 for integers"
        raise InputError(f"images: {name} has {images.dtype} values from {low:g} to {high:g}; expected {expected}; scale them.")
    if images.dtype.kind == "f":
        return limit, ()
    return limit, (f"the {images.dtype} values are all within 0 to {limit:,}, taken as the range",)


def _prepared(images, limit, preparation):
    """Return images as prepared bytes."""
    if limit != 255:
        images = np.round(images * (images.dtype.type(255 / limit) if images.dtype.kind == "f" else 255 / limit))
    return np.asarray(resized(composited(images.astype(np.uint8), preparation), preparation))


def _classes(labels, n, name):
    """Return class numbers (n,) int64 and the names of the classes."""
    if labels.shape != (n,):
        raise InputError(f"labels: {name} has an array of shape {labels.shape}; expected ({n},), one for each image; reshape it.")
    if labels.dtype.kind == "O" and all(isinstance(label, str) for label in labels):  # as of pandas
        labels = labels.astype(str)
    if labels.dtype.kind == "U":
        class_names, numbers = np.unique(labels[labels != ""], return_inverse=True)
        all_numbers = np.full(n, UNLABELLED, np.int64)
        all_numbers[labels != ""] = numbers
        return all_numbers, tuple(map(str, class_names))
    if labels.dtype.kind == "f":
        labels = np.where(np.isnan(labels), UNLABELLED, labels)
    whole = labels.dtype.kind in "iu" or (labels.dtype.kind == "f" and np.all(labels == np.floor(labels)))
    if not whole or labels.min() < UNLABELLED or labels.max() >= WIDTH_LIMIT:
        values = f", values from {labels.min()} to {labels.max()}" if labels.dtype.kind in "iuf" else ""
        raise InputError(
            f"labels: {name} has labels of type {labels.dtype}{values}; expected class numbers from 0 on, -1 where unknown, or texts; "
            "convert them."
        )
    numbers = labels.astype(np.int64)
    return numbers, tuple(map(str, range(numbers.max() + 1)))
