"""Check the images and labels that a user gives to a model: all of an array, the first batch of a pipeline, nothing in a traced graph."""

import dataclasses
import math
import types
from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf

from ..errors import InputError

BOUNDS = {"unit": (0.0, 1.0), "signed": (-1.0, 1.0), "real": (-math.inf, math.inf)}  # lowest and highest pixel of a pixel_range
SCALING = {  # what to do with integers, which are bytes nearly always
    "unit": "scale them to [0, 1] (divide bytes by 255)",
    "signed": "scale them to [-1, 1] (divide bytes by 127.5 and subtract 1)",
    "real": "convert them to floats on the scale of the training images",
}
SLACK = 1e-3  # values may leave their range by rounding; half precision rounds 1 by less than this


@dataclasses.dataclass(frozen=True)
class Expected:
    """The images that a model takes.

    Args:
        shape: (H, W, C), or None for a model that is not built yet.
        pixel_range: a key of `BOUNDS`.
        reach: how far values may leave the range.
    """

    shape: tuple | None
    pixel_range: str
    reach: float = 0.0

    def __str__(self):
        low, high = BOUNDS[self.pixel_range]
        values = "finite floats" if self.pixel_range == "real" else f"floats in [{low:g}, {high:g}]"
        beyond = f", or at most {self.reach:g} outside" if self.reach and self.pixel_range != "real" else ""
        return f"shape (any, {', '.join(map(str, self.shape or 'HWC'))}) and {values}{beyond}"


def is_traced(images):
    """Return whether images have no values yet: a tensor of a graph, or Keras' symbolic tensor."""
    return isinstance(images, keras.KerasTensor) or tf.is_symbolic_tensor(images)


def check_data(data, labels, expected, classes=0, of=""):
    """Check what is given to `fit`, `evaluate` or `predict`.

    Args:
        data: array of images, or a pipeline: `tf.data`, Keras' PyDataset, a generator, or another iterable of batches.
        labels: array of labels, or None.
        expected: `Expected`.
        classes: number of classes, 0 where labels are not used.
        of: " of validation_data" where it is that, for the sentence.

    Returns:
        The data to use in its place: a generator gives its first batch only once.

    Raises:
        InputError: images or labels cannot be used.
    """
    for name, values in ((f"images{of}", data), (f"labels{of}", labels)):
        if isinstance(values, list | tuple):  # Keras would take each of them for an input of its own
            raise InputError(f"{name}: received {type(values).__name__}; expected one array; convert it with np.asarray.")
    if isinstance(data, tf.distribute.DistributedDataset):  # its batches are in parts, on several devices
        return data
    pipeline = isinstance(data, Iterable | keras.utils.PyDataset) and not isinstance(data, str | list | tuple | dict)
    if not pipeline or hasattr(data, "shape"):
        images = data
    else:
        batches = iter([data[0]] if isinstance(data, keras.utils.PyDataset) else data)
        batch = next(batches, None)
        if batch is None:
            return data
        images, labels, _ = keras.utils.unpack_x_y_sample_weight(batch)
        if isinstance(data, types.GeneratorType):
            data = _rejoined(batch, data)
    check_images(images, expected, f"images{of}")
    if classes:
        check_labels(labels, classes, f"labels{of}")
        if not pipeline and len(labels) != len(images):
            raise InputError(f"labels{of}: received {len(labels)} for {len(images)} images; expected one for each.")
    return data


def _rejoined(first, rest):
    yield first
    yield from rest


def check_images(images, expected, name="images"):
    """Raise InputError where images are not as expected.

    Integers and booleans pass only as 0 and 1 where the range is [0, 1]: there they are binary images. Bytes of which none is above 1 would
    be black images.

    Args:
        images: array or tensor with values.
        expected: `Expected`.
        name: of the images, for the sentence.
    """
    array = _as_array(images)
    if array is None:
        raise InputError(f"{name}: received {type(images).__name__}; expected {expected}; give one array of numbers.")
    advice = [text for text in (_shape_advice(array.shape, expected.shape), _value_advice(array, expected)) if text]
    if advice:
        raise InputError(f"{name}: received {_described(array)}; expected {expected}; {', and '.join(advice)}.")


def check_labels(labels, classes, name="labels"):
    """Raise InputError where labels are not one whole number from 0 to `classes` - 1 per image. -1 passes: it means unlabelled."""
    array = None if labels is None else _as_array(labels)
    wanted = f"one whole number from 0 to {classes - 1} per image"
    if array is None:
        received = "none" if labels is None else type(labels).__name__
        raise InputError(f"{name}: received {received}; expected {wanted}; give images and labels.")
    if array.ndim == 2 and array.shape[1] == classes > 1:
        advice = "replace one-hot rows by labels.argmax(axis=1)"
    elif array.ndim != 1:
        advice = "flatten them with labels.reshape(-1)"
    elif not tf.as_dtype(array.dtype).is_integer:
        advice = "convert them with labels.astype('int64')"
    elif array.size and not (array.min() >= -1 and array.max() < classes):
        advice = "number the classes from 0, or build the model with more classes"
    else:
        return
    raise InputError(f"{name}: received {_described(array)}; expected {wanted}; {advice}.")


def _as_array(values):
    """Return values as an array of numbers, or None where they are none. The values of a tensor are not copied."""
    try:
        array = np.asarray(values)
        kind = tf.as_dtype(array.dtype)
    except (TypeError, ValueError, RuntimeError):  # rows of unequal length, types that TensorFlow lacks
        return None
    return array if kind.is_floating or kind.is_integer or kind.is_bool else None


def _described(array):
    """Return shape, type and extremes of an array, for a sentence."""
    if not array.size:
        values = "no values"
    elif np.isfinite(extremes := _extremes(array)).all():
        values = "values from {:g} to {:g}".format(*extremes)
    else:
        values = f"{np.count_nonzero(~np.isfinite(array)):,} values that are NaN or infinite"
    return f"shape {array.shape}, {array.dtype}, {values}"


def _extremes(array):
    """Return the lowest and the highest value as floats; both are NaN where any value is."""
    return float(array.min()), float(array.max())


def _value_advice(array, expected):
    """Return what to do about the values of images, "" where they are as expected."""
    if not array.size:
        return "give at least one image"
    (least, most), (low, high) = _extremes(array), BOUNDS[expected.pixel_range]
    if not (math.isfinite(least) and math.isfinite(most)):
        return "replace the values that are NaN or infinite"
    if not tf.as_dtype(array.dtype).is_floating:
        binary = expected.pixel_range == "unit" and least >= 0 and most <= 1
        return "" if binary else SCALING[expected.pixel_range]
    reach = expected.reach + SLACK
    if low - reach <= least and most <= high + reach:
        return ""
    if least >= 0 and 2 < most <= 255:
        return SCALING[expected.pixel_range]
    if expected.pixel_range == "unit" and least >= -1 - SLACK and most <= 1 + SLACK:
        return "map them from [-1, 1] to [0, 1] with (images + 1) / 2"
    return f"scale or clip them to [{low:g}, {high:g}]"


def _shape_advice(shape, expected):
    """Return what to do about the shape of images, "" where it is as expected: (B, *expected)."""
    if expected is None:
        return "" if len(shape) == 4 else "give a batch of images of this shape"
    if shape[1:] == expected and len(shape) == 4:
        return ""
    height, width, channels = expected
    if shape == expected:
        return "add a batch axis with images[None]"
    if channels == 1 and shape == expected[:2]:
        return "add a batch axis and a channel axis with images[None, ..., None]"
    if channels == 1 and shape[1:] == expected[:2]:
        return "add a channel axis with images[..., None]"
    if shape[1:] == (math.prod(expected),):
        return f"reshape them with images.reshape(-1, {height}, {width}, {channels})"
    if shape[1:] == (channels, height, width):
        return "move the channels to the end with np.moveaxis(images, 1, -1)"
    if len(shape) == 4 and shape[1:3] == (height, width):
        return f"give them {channels} channel{'s' if channels > 1 else ''}"
    if len(shape) == 4 and shape[3] == channels:
        return f"resize them to {height}x{width} pixels"
    return "give a batch of images of this shape"
