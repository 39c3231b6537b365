"""The user's own images: one folder for each class, or all in one folder without classes."""

import math
import os
import pathlib

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

from ..errors import InputError, reason
from .source import SPLIT_SEED, Source

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}


def folder_source(name, image_size, limit):
    """Return the source of a folder of images; every file is opened once, so that a broken one is found before any training.

    Args:
        name: "folder:PATH".
        image_size: height and width that images are resized to; 0 keeps their own.
        limit: bytes of images that may be held in memory.

    Raises:
        InputError: there is no such folder, it has no images or images that do not belong together, or an image is broken.
    """
    root = pathlib.Path(os.path.expanduser(name.removeprefix("folder:")))
    paths, labels, class_names = _images_and_classes(root, name)
    image_shape = _common_shape(paths, image_size, name)
    common = {"n": len(paths), "image_shape": image_shape, "class_names": class_names}
    if len(paths) * math.prod(image_shape) <= limit:
        return Source(images=np.stack([_pixels(path, image_shape) for path in paths]), labels=labels, **common)

    def stream():
        names = tf.data.Dataset.from_tensor_slices([str(path) for path in paths])
        return names if labels is None else tf.data.Dataset.zip(names, tf.data.Dataset.from_tensor_slices(labels))

    def pixels_or_complaint(path):
        try:
            return _pixels(pathlib.Path(os.fsdecode(path)), image_shape), ""
        except InputError as error:  # raised here, it would come out of TensorFlow as a page of traceback
            return np.zeros(image_shape, np.uint8), str(error)

    def decode(path, *label):
        image, complaint = tf.numpy_function(pixels_or_complaint, [path], (tf.uint8, tf.string))
        with tf.control_dependencies([tf.debugging.Assert(complaint == "", [complaint])]):
            return (tf.ensure_shape(image, image_shape), *label)

    identity = "\n".join(f"{path.relative_to(root)} {path.stat().st_size}" for path in paths)
    return Source(stream=stream, identity=identity, shuffle_buffer=len(paths), decode=decode, **common)


def _images_and_classes(root, name):
    """Return the paths of the images below a folder in a fixed mixed order, their class numbers (or None), and the names of the classes."""
    if not os.path.isdir(root):
        raise InputError(
            f"dataset: received {name}, expected a folder of images after folder:, but {root} is not a folder; check the path."
        )

    def images_in(folder, pattern):
        return sorted(path for path in folder.glob(pattern) if path.suffix.lower() in SUFFIXES and path.is_file())

    loose = images_in(root, "*")
    classes = {folder.name: images_in(folder, "**/*") for folder in sorted(root.iterdir()) if folder.is_dir()}
    classes = {name: images for name, images in classes.items() if images}
    if not loose and not classes:
        raise InputError(
            f"dataset {name} has no images: expected {', '.join(sorted(SUFFIXES))} files in it or in one folder per class; add some."
        )
    if loose and classes:
        raise InputError(
            f"dataset {name} has {len(loose)} images beside the folders {', '.join(list(classes)[:5])}: expected one folder per class or "
            "images alone; move them into one or the other."
        )
    paths = loose or [path for images in classes.values() for path in images]
    mixed = np.random.default_rng(SPLIT_SEED).permutation(len(paths))  # else the first tenth would be of the first class
    labels = np.repeat(np.arange(len(classes)), [len(images) for images in classes.values()])[mixed] if classes else None
    return [paths[i] for i in mixed], labels, tuple(classes)


def _common_shape(paths, image_size, name):
    """Return height, width and channels that images have, or that they are resized to; one channel where all are grey."""
    sizes, grey = set(), True
    for path in paths:
        with _opened(path) as image:
            sizes.add((image_size, image_size) if image_size else ImageOps.exif_transpose(image).size)
            grey &= image.mode in ("1", "L", "LA") or image.mode.startswith("I")
    if len(sizes) > 1:
        raise InputError(
            f"dataset {name} has images of {len(sizes)} sizes: expected image_size to be set, received 0; try --image-size 64."
        )
    ((width, height),) = sizes
    return height, width, 1 if grey else 3


def _pixels(path, image_shape):
    """Return an image file as a uint8 array of this shape."""
    height, width, channels = image_shape
    with _opened(path) as image:
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I"):  # 16 bits, which Pillow would clip to the lowest 8
            image = Image.fromarray(np.clip(np.round(np.asarray(image, np.float64) / 257), 0, 255).astype(np.uint8))
        image = image.convert("L" if channels == 1 else "RGB").resize((width, height), Image.Resampling.LANCZOS)
        return np.asarray(image, np.uint8).reshape(image_shape)


def _opened(path):
    """Open an image and decode all of it, or say which file is broken."""
    try:
        image = Image.open(path)
        image.load()
        return image
    except Exception as error:  # Pillow raises many kinds for a broken file
        raise InputError(f"image {path} cannot be read ({reason(error)}); repair or remove it.") from None
