"""Sentences about a dataset's images and classes, for the first lines of a training."""

import numpy as np
import tensorflow as tf

from ..errors import counted, printable
from .pipeline import TRAIN

SHOWN = 10  # most classes named with their counts
UNBALANCED = 10  # times that the largest class may be larger than the smallest one
BATCH = 100
DARK = 16  # of 255
ALIKE = {
    "equal": "all training images are equal",
    "constant": "every training image has one value throughout",
    "dark": f"no training image has a value above {DARK} of 255",
}


def class_sentence(dataset):
    """Return the classes and their numbers of images, such as "2 classes: cat (60), dog (60)"; "" without classes."""
    counts = dataset.class_counts()
    if not counts:
        return ""
    named = ", ".join(f"{printable(name)} ({number:,})" for name, number in list(counts.items())[:SHOWN])
    more = f" and {len(counts) - SHOWN:,} more, of {min(counts.values()):,} to {max(counts.values()):,} images each"
    return f"{len(counts):,} class{'' if len(counts) == 1 else 'es'}: {named}{more if len(counts) > SHOWN else ''}"


def warnings_of(dataset):
    """Return warnings about a dataset: images that are all alike or very dark, and classes of very different sizes."""
    warnings, kind = [], alike(dataset)
    if kind:
        warnings.append(f"{ALIKE[kind]}; look at the files, and at the notes above")
    counts = dataset.class_counts()
    if counts:
        small, large = min(counts, key=counts.get), max(counts, key=counts.get)
        if counts[small] * UNBALANCED < counts[large]:
            warnings.append(
                f"class {printable(small)} has {counted(counts[small], 'image')} and {printable(large)} has {counts[large]:,}; means over "
                "all images say little about the small class"
            )
    return warnings


def alike(dataset):
    """Return the key of `ALIKE` that holds for all training images, or ""."""
    untuned = tf.data.Options()
    untuned.autotune.enabled = False  # or TensorFlow may warn that its tuning ended early, as this does
    possible, first = list(ALIKE), None
    for images, *_ in dataset.parts[TRAIN].batches(BATCH).with_options(untuned).as_numpy_iterator():
        first = images[0] if first is None else first
        holds = {"equal": np.all(images == first), "constant": not np.any(np.ptp(images, axis=(1, 2))), "dark": images.max() <= DARK}
        possible = [kind for kind in possible if holds[kind]]
        if not possible:  # as a rule after the first batch
            return ""
    return possible[0]
