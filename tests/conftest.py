import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as tfdvae has it, for tests that import TensorFlow first
if "PYTEST_XDIST_WORKER" in os.environ:  # every processor has a process already; threads of several would wait for each other
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, "1")

import pathlib

import numpy as np
import pytest
from PIL import Image

ROOT = pathlib.Path(__file__).parent.parent
LONGEST = ("test_faults.py", "test_scripts.py", "test_compare.py", "test_data.py")  # first, or one process ends long after the others
FIT = {"epochs": 3, "flip": False, "batch_size": 500, "learning_rate": 1e-2, "learning_rate_schedule": "cosine", "seed": 3}
FIT |= {"beta_2": 0.999, "weight_decay": 0.0}  # what `training.fit.fit` reads of the parameters


def pytest_collection_modifyitems(items):
    """Take the longest files first; skip what needs prepared MNIST and CIFAR-10 where TFDS_DATA_DIR does not hold them."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))
    directory = pathlib.Path(os.environ.get("TFDS_DATA_DIR", ""))
    if not all((directory / name).is_dir() for name in ("mnist", "cifar10")):
        for item in items:
            if item.get_closest_marker("real_data"):
                item.add_marker(pytest.mark.skip(reason="TFDS_DATA_DIR has no prepared mnist and cifar10"))


@pytest.fixture
def images():
    """Seven 5x6 grey images in [0, 1]: a ragged batch of an odd size."""
    return np.random.default_rng(0).random((7, 5, 6, 1)).astype(np.float32)


@pytest.fixture
def folder_of_classes(tmp_path):
    """Forty 9x7 colour images in two class folders; red is all 255 in one and all 0 in the other."""
    rng = np.random.default_rng(0)
    for name, red in (("bright", 255), ("dark", 0)):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(20):
            pixels = rng.integers(0, 256, (9, 7, 3), np.uint8)
            pixels[..., 0] = red
            Image.fromarray(pixels).save(tmp_path / "pictures" / name / f"{i}.png")
    return tmp_path / "pictures"
