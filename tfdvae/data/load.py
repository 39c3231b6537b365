"""A dataset's name to its three pipelines.

    digits        the 1,797 8x8 handwritten digits that scikit-learn ships; no download
    folder:PATH   the user's own images: one folder per class, or all in one folder without classes
    variance_NAME digits or one of TensorFlow Datasets, each pixel multiplied by a fresh N(0, 1) draw: grey becomes variance
    anything else an image dataset of TensorFlow Datasets, by its name: mnist, cifar10, fashion_mnist, svhn_cropped, ...

The validation set is the first part of the training set. A dataset without a test split gives a fixed tenth of its images, drawn with a
seed of its own, as the test set. Images stay uint8 in memory, or are streamed where they would take more than a stated limit; each batch is
converted to float when it is read.
"""

import json
import math

import numpy as np
import tensorflow as tf

from .. import rules
from ..errors import InputError
from .pipeline import TEST, TRAIN, VALIDATION, Dataset
from .source import SPLIT_SEED, Part

OFFICIAL_SIZES = {"mnist": (60_000, 10_000), "cifar10": (50_000, 10_000)}  # training, test


def load_dataset(name, *, validation_fraction=0.1, image_size=0, pixel_range="unit", binarize="none", memory_limit=2.0):
    """Return the named `Dataset`.

    Args:
        name: "digits", "folder:PATH" or a name in TensorFlow Datasets; "variance_" before digits or such a name.
        validation_fraction: share of the training set, from its beginning, that is held out.
        image_size: height and width that images are resized to; 0 keeps the dataset's own.
        pixel_range: "unit" scales pixels to [0, 1], "signed" to [-1, 1]; "real" is for "variance_" datasets, and for no other.
        binarize: "none"; "threshold" at one half; "sample" draws each pixel anew each epoch, as 1 with probability its grey value.
        memory_limit: GiB of uint8 images that may be held in memory; larger datasets are streamed.

    Raises:
        InputError: an argument cannot be used, or the dataset is unknown, cannot be had, or holds no images.
    """
    rules.check({
        "dataset": name, "validation_fraction": validation_fraction, "image_size": image_size, "pixel_range": pixel_range,
        "binarize": binarize, "memory_limit": memory_limit,
    })  # fmt: skip
    stored = name.removeprefix(rules.VARIANCE)
    train, test = _sources(stored, image_size, memory_limit * 2**30)
    part = np.full(train.n, TRAIN, np.uint8)
    note = ""
    if test is None:
        held = np.random.default_rng(SPLIT_SEED).permutation(train.n)[: max(1, round(0.1 * train.n))]
        part[held] = TEST
        note = f"{name} has no test split: a fixed tenth ({len(held)} images) is the test set"
    elif (train.n, test.n) != OFFICIAL_SIZES.get(stored, (train.n, test.n)):
        official = " and ".join(f"{n:,}" for n in OFFICIAL_SIZES[stored])
        note = f"this copy of {stored} has {train.n:,} training and {test.n:,} test images, the official one {official}"
    remaining = np.flatnonzero(part == TRAIN)
    part[remaining[: math.floor(len(remaining) * validation_fraction)]] = VALIDATION

    parts = [Part(train, part == which) for which in (TRAIN, VALIDATION)]
    parts.append(Part(train, part == TEST) if test is None else Part(test, np.ones(test.n, bool)))
    sizes = tuple(p.n for p in parts)
    if min(sizes) < 1:
        raise InputError(
            f"dataset {name} has too few images: expected at least one each for training, validation and test, "
            f"received {sizes[0]}, {sizes[1]} and {sizes[2]}; add images or raise validation_fraction."
        )
    convert = _converter(pixel_range, binarize)
    return Dataset(name, train.image_shape, train.class_names, sizes, note, train.images is not None, pixel_range, tuple(parts), convert)


def _sources(name, image_size, limit):
    """Return the training and the test source of a name; the test source is None where the dataset has no test split.

    Each source is imported where it is needed: TensorFlow Datasets takes a second, and a run needs one source.
    """
    if name == "digits":
        from .digits import digits_source

        return digits_source(image_size), None
    if name.startswith("folder:"):
        from .folder import folder_source

        return folder_source(name, image_size, limit), None
    from .tfds import tfds_sources

    return tfds_sources(name, image_size, limit)


def _converter(pixel_range, binarize):
    """Return the function that makes float32 images of a batch of uint8 images; labels beside them stay."""

    def convert(batch, seed):
        images, *labels = batch
        images = tf.cast(images, tf.float32) / 255.0
        if binarize == "threshold":
            images = tf.cast(images > 0.5, tf.float32)
        elif binarize == "sample":
            images = tf.cast(tf.random.stateless_uniform(tf.shape(images), seed) < images, tf.float32)
        if pixel_range == "signed":
            images = 2.0 * images - 1.0
        elif pixel_range == "real":
            images *= tf.random.stateless_normal(tf.shape(images), seed)
        return (images, *labels) if labels else images

    return convert


def dataset_arguments(params_dict):
    """Return the arguments of `load_dataset` among a run's parameters."""
    names = ("validation_fraction", "image_size", "pixel_range", "binarize", "memory_limit")
    return {"name": params_dict["dataset"]} | {name: params_dict[name] for name in names}


def load_recorded(record, load=load_dataset):
    """Return the dataset of a run's record; raise InputError where it has changed since. `load` may keep datasets for several records."""
    dataset = load(**dataset_arguments(record["params"]))
    check_unchanged(dataset, record["data"])
    return dataset


def describe(dataset):
    """Return the description of a dataset for a run's record, as plain values."""
    names = ("image_shape", "class_names", "sizes", "note", "test_fingerprint", "stored_fingerprint")
    return {name: getattr(dataset, name) for name in names}


def check_unchanged(dataset, described):
    """Raise InputError where a dataset differs from the described one.

    A changed folder would mix test images with training images, and a resumed run would go on with different images.
    """
    now, described = (json.loads(json.dumps(values)) for values in (describe(dataset), described))  # tuples and lists alike
    changed = [name.replace("_", " ") for name, value in now.items() if described.get(name) != value and name != "note"]
    if changed:
        raise InputError(
            f"dataset: {dataset.name} is not the dataset that the run was trained on: these differ: {', '.join(changed)}; restore the "
            "data, or train again."
        )
