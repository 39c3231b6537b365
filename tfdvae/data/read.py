"""Image files to what a model takes."""

import dataclasses
import os

import tensorflow as tf

from ..errors import InputError, shortened
from .files import all_pixels, reading_of
from .load import converter
from .pipeline import FIXED_SEED, Dataset
from .source import Preparation


def read_images(paths, like):
    """Return image files as a model takes them.

    Args:
        paths: one path of a file, or several.
        like: a model from `tfdvae.load` or `build_model`, or a `Dataset`. The images get its size, its channels and its range of pixels,
            and are resized, drawn on a background and binarised as its own images were.

    Returns:
        (n, H, W, C) float32 array.

    Raises:
        InputError: files are broken, all of which it names, or their pixels have no known range.
    """
    try:
        paths = [paths] if isinstance(paths, str | bytes | os.PathLike) else list(paths)
        paths = [os.path.expanduser(os.fsdecode(path)) for path in paths]
    except TypeError:
        raise InputError(f"paths: received {shortened(paths)}; expected the paths of image files.") from None
    if not getattr(like, "image_shape", None):
        raise InputError(f"like: received {type(like).__name__}; expected a model of tfdvae that is built, or a Dataset.")
    preparation = getattr(like, "preparation", Preparation())
    convert = like.convert if isinstance(like, Dataset) else converter(like.pixel_range, getattr(like, "binarize", "none"))
    height, width, _ = like.image_shape
    # with a size, for files of different sizes may be brought to one; `image_shape` then says which
    reading = reading_of(paths, dataclasses.replace(preparation, image_size=max(height, width)), "read_images")
    if reading.integer_range:
        raise InputError("read_images: 32-bit integers, whose range these files do not tell; expected 8 or 16 bits; convert them.")
    images = all_pixels(paths, dataclasses.replace(reading, image_shape=like.image_shape), "read_images")
    return convert((tf.constant(images),), tf.constant([FIXED_SEED, 0])).numpy()
