"""The package as a library: what `import tfdvae` gives, in the checkout and from a wheel, without the checkout."""

import email
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile

import checkout
import pytest
from conftest import ROOT

import tfdvae

USE = """
import pathlib, sys
import numpy as np
from PIL import Image

import tfdvae
print(pathlib.Path(tfdvae.__file__).parent)
assert "tensorflow" not in sys.modules

model = tfdvae.load("run")
Image.new("L", (20, 10), 255).save("white.png")
white = tfdvae.read_images("white.png", like=model)
assert white.shape == (1, 8, 8, 1) and white.min() == 1.0
assert model.reconstruct(white).shape == (1, 8, 8, 1)

dataset = tfdvae.load_dataset("mnist_5k")
assert dataset.sizes == (4000, 500, 500) and dataset.image_shape == (28, 28, 1)
assert tfdvae.read_images(["white.png"], like=dataset).shape == (1, 28, 28, 1)

model = tfdvae.build_model(model="vae", image_shape=dataset.image_shape, channels=(4, 4), hidden_units=(8,), latent_dim=2)
model.compile(optimizer="adam")
images, _ = next(iter(dataset.test(64)))
history = model.fit(dataset.train(64), steps_per_epoch=2, epochs=1, shuffle=False, verbose=0)
assert np.isfinite(history.history["loss"][0]) and model.encode(images)[0].shape == (64, 2)
"""


def test_the_package_has_its_functions_at_the_top_without_tensorflow():
    code = (
        "import sys, tfdvae; assert set(tfdvae.__all__) <= set(dir(tfdvae)); assert not hasattr(tfdvae, 'nothing')\n"
        "assert not {'tensorflow', 'keras', 'numpy', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    from tfdvae import build, data

    assert tfdvae.build_model is build.build_model and tfdvae.load_dataset is data.load_dataset


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of a copy of the checkout."""
    source = checkout.copy(tmp_path_factory.mktemp("source"), left_out=("results",))
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(source)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (path,) = folder.iterdir()
    return path


@pytest.mark.slow
def test_a_wheel_has_the_package_alone(wheel):
    assert wheel.name == f"tfdvae-{tfdvae.__version__}-py3-none-any.whl"
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert inside == {path.relative_to(ROOT).as_posix() for path in checkout.files("tfdvae")}


@pytest.mark.slow
def test_a_wheel_describes_itself(wheel):
    archive = zipfile.ZipFile(wheel)
    (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    (licence,) = (name for name in archive.namelist() if name.endswith("/LICENSE"))  # its folder depends on the version of setuptools
    assert archive.read(licence) == (ROOT / "LICENSE").read_bytes()
    described = email.message_from_bytes(archive.read(metadata))
    assert set(described["Requires-Python"].split(",")) == {">=3.10", "<3.14"} and described["License"] == "MIT"
    assert described["Description-Content-Type"].startswith("text/markdown")
    assert described.get_payload(decode=True).decode().strip() == (ROOT / "README.md").read_text(encoding="utf-8").strip()
    assert described["Summary"] and described["Keywords"] and {"test", "dev", "bench"} == set(described.get_all("Provides-Extra"))
    versions = {line.rpartition(" ")[2] for line in described.get_all("Classifier") if "Python :: 3." in line}
    assert versions == {"3.10", "3.11", "3.12", "3.13"}


@pytest.mark.slow
def test_a_wheel_is_a_library_in_an_empty_folder(wheel, tmp_path):
    environment, folder = tmp_path / "environment", tmp_path / "empty"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True, timeout=120)
    python = environment / "bin" / "python"
    packages = environment / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, timeout=120)
    # what it depends on is in the environment of the tests; a folder that a .pth file names is searched, but not for .pth files, so the
    # checkout, which is installed there with -e, is not found
    around = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    (packages / "dependencies.pth").write_text("\n".join(around))
    folder.mkdir()
    shutil.copytree(ROOT / "tests" / "formats" / "3", folder / "run")
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run([str(python), "-c", USE], cwd=folder, env=clean, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == str(packages / "tfdvae")
