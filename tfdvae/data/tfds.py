"""Image datasets of TensorFlow Datasets, by their name."""

import logging
import math
import os

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from ..dataset_names import check_tfds_name, tfds_folder
from ..errors import InputError, reason
from .network import fails_soon
from .pipeline import no_autograph
from .source import Source, Sources, composited, resized


def tfds_sources(name, preparation, limit):
    """Return the `Sources` of a TensorFlow Datasets name: train, and test where there is one.

    Args:
        name: of the dataset, as `tfds.load` takes it.
        preparation: `source.Preparation`.
        limit: bytes of images that may be held in memory.

    Raises:
        InputError: the dataset is unknown, has no such images, or cannot be had.
    """
    data_dir = tfds_folder()
    builder = _builder(name, data_dir)
    image_key, label_key = _image_and_label(name, builder.info.features)
    feature = builder.info.features[image_key]
    image_shape = _image_shape(name, feature.shape, preparation.image_size)
    _prepare(builder, name, data_dir)
    class_names = tuple(builder.info.features[label_key].names) if label_key else ()

    def decode(example):
        return resized(composited(_in_bytes(feature.decode_example(example[image_key])), preparation), preparation)

    splits = [split for split in ("train", "test") if split in builder.info.splits]
    total = sum(builder.info.splits[split].num_examples for split in splits)

    def source(split):
        n, stream = builder.info.splits[split].num_examples, _stream(builder, split, (image_key, label_key))
        common = {"n": n, "image_shape": image_shape, "class_names": class_names}
        if feature.np_dtype == np.float32:
            _check_floats(stream().map(lambda example: feature.decode_example(example[image_key])), name, split)
        if total * math.prod(image_shape) > limit:
            labels = _labels(_stream(builder, split, (label_key,))(), label_key, n) if label_key else None
            buffer = int(min(max(limit / 4 / math.prod(image_shape), 100), 10_000))
            identity = f"{builder.info.full_name} {split} {n} {builder.info.splits[split].num_bytes}"
            identity += preparation.identity(transparent=feature.shape[-1] in (2, 4))
            return Source(stream=stream, labels=labels, identity=identity, shuffle_buffer=buffer, decode=decode, **common)
        images, labels = _in_memory(stream(), decode, label_key, n, image_shape)
        return Source(images=images, labels=labels, **common)

    try:
        return Sources(source("train"), test=source("test") if "test" in splits else None)
    except tf.errors.OpError as error:
        raise InputError(
            f"dataset {name} in {data_dir} cannot be read ({reason(error)}); delete its folder and prepare it again."
        ) from None


def _in_bytes(images):
    """Return decoded images as uint8, scaled by the range of their type: uint8, uint16, or float32 in [0, 1]."""
    if images.dtype == tf.uint8:
        return images
    limit = 65_535.0 if images.dtype == tf.uint16 else 1.0
    return tf.cast(tf.round(tf.cast(images, tf.float32) * (255.0 / limit)), tf.uint8)


def _check_floats(images, name, split):
    """Raise InputError where float images of a split leave [0, 1]."""
    for image in images.as_numpy_iterator():
        if not (image.min() >= 0 and image.max() <= 1):  # also for NaN
            raise InputError(
                f"dataset {name} has float32 images with values from {image.min():g} to {image.max():g} in {split}; expected 0 to 1; "
                "choose another dataset, or scale a copy of it."
            )


def _labels(examples, label_key, n):
    """Return the labels (n,) of a split, which is read without decoding its images."""
    return np.fromiter((example[label_key] for example in examples.as_numpy_iterator()), np.int64, n)


def _builder(name, data_dir):
    """Return the builder of a dataset's name."""
    check_tfds_name(name, data_dir)
    try:
        return tfds.builder(name, data_dir=data_dir)
    except Exception as error:  # a version or configuration that does not exist
        raise InputError(f"dataset: received {name!r}, which TensorFlow Datasets cannot open: {reason(error)}.") from None


def _image_shape(name, shape, image_size):
    """Return height, width and channels of a dataset's images."""
    height, width, channels = shape
    if image_size:
        height = width = image_size
    if None in (height, width):
        raise InputError(f"dataset {name} has images of different sizes: expected image_size to be set, received 0; try --image-size 64.")
    if channels not in (1, 2, 3, 4):
        raise InputError(f"dataset {name} has {channels} channels: expected images of 1 to 4 channels; choose another dataset.")
    return height, width, {2: 1, 4: 3}.get(channels, channels)  # without their opacity


def _prepare(builder, name, data_dir):
    """Download and prepare a dataset where it is not there yet."""
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # retries are one failure, reported below
    logging.getLogger("absl").addFilter(_is_news)
    try:
        with fails_soon():
            builder.download_and_prepare()
    except Exception as error:
        raise InputError(
            f"dataset {name} is neither in {data_dir} nor could it be downloaded ({reason(error)}); connect to the network once, or "
            f"place its files by hand in {os.path.join(data_dir, 'downloads', 'manual')} (TFDS_DATA_DIR says where to look), or use "
            "--dataset mnist_5k, which needs nothing."
        ) from None
    if "train" not in builder.info.splits:
        raise InputError(
            f"dataset {name} has the splits {', '.join(builder.info.splits)}: expected one named train; choose another dataset."
        )


def _stream(builder, split, keys):
    """Return the function that makes a pipeline of a split's encoded images, or labels, or both, in their order: dicts with these keys."""

    @no_autograph  # to convert would warn that the functions called here cannot be converted
    def stream():
        read = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
        wanted = {key: True for key in keys if key}
        images = [key for key in wanted if isinstance(builder.info.features[key], tfds.features.Image)]
        decoders = tfds.decode.PartialDecoding(wanted, decoders={key: tfds.decode.SkipDecoding() for key in images})
        return builder.as_dataset(split=split, decoders=decoders, read_config=read)

    return stream


def _in_memory(examples, decode, label_key, n, image_shape):
    """Return the images, and the labels or None, of a pipeline of n examples."""
    images, labels = np.empty((n, *image_shape), np.uint8), np.empty(n, np.int64) if label_key else None
    decoded = examples.map(lambda e: (decode(e), e[label_key]) if label_key else (decode(e),), num_parallel_calls=tf.data.AUTOTUNE)
    start = 0
    for image, *label in decoded.batch(1000).as_numpy_iterator():
        images[start : start + len(image)] = image
        if label_key:
            labels[start : start + len(image)] = label[0]
        start += len(image)
    return images, labels


def _is_news(record):
    """Whether a log record is another one than TensorFlow Datasets' warning about its own decoding of a part of an example."""
    return "`FeatureConnector.dtype` is deprecated" not in record.getMessage()


def _image_and_label(name, features):
    """Return the keys of the one image and of the class label (or None) among a dataset's features."""
    items = dict(features.items()) if hasattr(features, "items") else {}
    images = [k for k, v in items.items() if isinstance(v, tfds.features.Image)]
    labels = [k for k, v in items.items() if isinstance(v, tfds.features.ClassLabel)]
    labels = ["label"] if "label" in labels else labels  # cifar100 has a coarse one beside it
    if len(images) != 1:
        raise InputError(
            f"dataset {name} is not an image-classification dataset: expected one image feature, received {', '.join(items) or 'none'}; "
            "choose another, such as mnist or cifar10."
        )
    return images[0], labels[0] if len(labels) == 1 else None
