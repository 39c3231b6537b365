"""Image datasets of TensorFlow Datasets, by their name."""

import difflib
import logging
import math
import os
import re

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from ..errors import InputError, reason
from .pipeline import no_autograph
from .source import Source, resize


def tfds_sources(name, image_size, limit):
    """Return the training and the test source of a TensorFlow Datasets name; the test source is None where there is no test split.

    Args:
        name: of the dataset, as `tfds.load` takes it.
        image_size: height and width that images are resized to; 0 keeps their own.
        limit: bytes of images that may be held in memory.

    Raises:
        InputError: the dataset is unknown, has no such images, or cannot be had.
    """
    data_dir = os.path.expanduser(os.environ.get("TFDS_DATA_DIR") or tfds.core.constants.DATA_DIR)
    builder = _builder(name, data_dir)
    image_key, label_key = _image_and_label(name, builder.info.features)
    image_shape = _image_shape(name, builder.info.features[image_key].shape, image_size)
    _prepare(builder, name, data_dir)
    class_names = tuple(builder.info.features[label_key].names) if label_key else ()

    def decode(example):
        image = builder.info.features[image_key].decode_example(example[image_key])
        image = resize(image, image_size) if image_size else image
        return (image, example[label_key]) if label_key else (image,)

    splits = [split for split in ("train", "test") if split in builder.info.splits]
    total = sum(builder.info.splits[split].num_examples for split in splits)

    def source(split):
        n, stream = builder.info.splits[split].num_examples, _stream(builder, split, image_key, label_key)
        if total * math.prod(image_shape) > limit:
            buffer = int(min(max(limit / 4 / math.prod(image_shape), 100), 10_000))
            identity = f"{builder.info.full_name} {split} {n} {builder.info.splits[split].num_bytes}"
            return Source(n, image_shape, class_names, stream=stream, identity=identity, shuffle_buffer=buffer, decode=decode)
        try:
            images, labels = _in_memory(stream().map(decode, num_parallel_calls=tf.data.AUTOTUNE), n, image_shape)
        except tf.errors.OpError as error:
            raise InputError(
                f"dataset {name} in {data_dir} cannot be read ({reason(error)}); delete its folder and prepare it again."
            ) from None
        return Source(n, image_shape, class_names, images, labels if label_key else None)

    return source("train"), source("test") if "test" in splits else None


def _builder(name, data_dir):
    """Return the builder of a dataset's name."""
    if not re.fullmatch(r"\w+(/\w[\w.+-]*)*(:\d+\.\d+\.\d+)?", name):  # no path, and no community dataset, which brings code of its own
        raise InputError(
            f"dataset: received {name!r}; expected digits, folder:PATH or NAME, NAME/CONFIG or NAME:VERSION; correct the name."
        )
    known = tfds.list_builders(with_community_datasets=False)  # those would ask the network
    base = re.split("[/:]", name)[0]
    if base not in known and not os.path.isdir(os.path.join(data_dir, base)):
        near = difflib.get_close_matches(base, known, 5) or ["mnist", "fashion_mnist", "cifar10", "svhn_cropped"]
        raise InputError(
            f"dataset: received {name!r}; expected digits, folder:PATH or one of the {len(known)} names in TensorFlow Datasets, such as "
            f"{', '.join(near)}."
        )
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
    if channels not in (1, 3):
        raise InputError(f"dataset {name} has {channels} channels: expected images of 1 or 3 channels; choose another dataset.")
    return height, width, channels


def _prepare(builder, name, data_dir):
    """Download and prepare a dataset where it is not there yet."""
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # forty retries without a network are one failure, reported below
    logging.getLogger("absl").addFilter(_is_news)
    try:
        builder.download_and_prepare()
    except Exception as error:
        raise InputError(
            f"dataset {name} is neither in {data_dir} nor could it be downloaded ({reason(error)}); connect to the network once, or "
            f"place its files by hand in {os.path.join(data_dir, 'downloads', 'manual')} (TFDS_DATA_DIR says where to look), or use "
            "--dataset digits, which needs nothing."
        ) from None
    if "train" not in builder.info.splits:
        raise InputError(
            f"dataset {name} has the splits {', '.join(builder.info.splits)}: expected one named train; choose another dataset."
        )


def _stream(builder, split, image_key, label_key):
    """Return the function that makes a pipeline of a split's encoded images and labels, in their order."""

    @no_autograph  # to convert would warn that the functions called here cannot be converted
    def stream():
        read = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
        wanted = {key: True for key in (image_key, label_key) if key}
        decoders = tfds.decode.PartialDecoding(wanted, decoders={image_key: tfds.decode.SkipDecoding()})
        return builder.as_dataset(split=split, decoders=decoders, read_config=read)

    return stream


def _in_memory(examples, n, image_shape):
    """Return the images and the labels (zeros where there are none) of a pipeline of n decoded examples."""
    images, labels = np.empty((n, *image_shape), np.uint8), np.zeros(n, np.int64)
    start = 0
    for image, *label in examples.batch(1000).as_numpy_iterator():
        images[start : start + len(image)] = image
        if label:
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
