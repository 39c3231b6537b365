"""Minutes of training until a VAE's validation -ELBO on MNIST is at most 95.15 nats: this package, and what people would pick instead.

    pip install -e ".[bench]"
    python benchmarks/time_to_quality.py [--recipes tfdvae pythae] [--limit-scale 1] [--output results/speed]

| recipe | what it is |
|---|---|
| tfdvae | the preset `mnist_fast` |
| dojoteef/dvae | network, batch, learning rate and staircase over 250 epochs of the published project, in this package |
| pythae | the VAE of pythae (PyPI) with its settings for MNIST |
| pytorch_example | the VAE of PyTorch's examples |
| keras_example | the convolutional VAE of Keras' code examples, with a latent of 50 |

All train on the same 54,000 images of MNIST, grey values in [0, 1], and are measured on the same 6,000 by the same code
(`peers.neg_elbo`). The minutes are those of training steps: start-up, the first step, which is compiled, validation and what is saved are
not in them. A recipe that is slower than its limit is stopped after the first epoch beyond it. Beyond its own number of epochs a peer goes
on with its last learning rate.

Each training has a process and two cores of its own. A benchmark that was stopped goes on: finished trainings stay in the CSV files, others
continue from their last epoch, which OUTPUT/time_to_quality holds. A training whose limit is raised begins anew.
"""

import argparse
import importlib.util
import itertools
import json
import os
import pathlib
import shutil
import signal
import sys

import numpy as np
from machine import describe_machine, measured
from peers import RECIPES, Progress
from quality_results import NAME, Results, draw, table

ROOT = pathlib.Path(__file__).parent.parent
ADAM = {"beta_2": 0.999, "weight_decay": 0.0}  # TensorFlow's own
PUBLISHED = {"network": "r0", "epochs": 250, "batch_size": 64, "learning_rate": 0.01, "learning_rate_schedule": "staircase", **ADAM}
PACKAGE = {"tfdvae": {"preset": "mnist_fast"}, "dojoteef/dvae": {"preset": "mnist", **PUBLISHED}}  # recipes in this package
CORES = 2
MODULES = {"pythae": ("torch", "pythae"), "pytorch_example": ("torch",)}  # of the extra bench


def save_images(path, dataset="mnist"):
    """Write the training and validation images of a dataset of this package, as bytes (n, H, W, C)."""
    sys.path.insert(0, str(ROOT))
    from tfdvae import data

    parts = data.load_dataset(dataset).parts
    np.savez(path, train=parts[data.TRAIN].arrays[0], validation=parts[data.VALIDATION].arrays[0])


def read_images(path):
    """Return dict "train" and "validation" of images (n, H, W, C) float32 in [0, 1]."""
    with np.load(path) as arrays:
        return {name: arrays[name] / np.float32(255) for name in ("train", "validation")}


def train_recipe(recipe, seed, progress, images):
    """Train in this process, until the target is passed, the limit reached or the recipe's training over."""
    if recipe in PACKAGE:
        sys.path.insert(0, str(ROOT))
        import train  # noqa: F401, I001, before TensorFlow, whose settings tfdvae chooses
        from peers_keras import train_package

        train_package(progress, images, seed, **PACKAGE[recipe])
    elif recipe == "keras_example":
        from peers_keras import train_keras_example

        train_keras_example(progress, images, seed)
    else:
        from peers_torch import train_pythae, train_pytorch_example

        (train_pythae if recipe == "pythae" else train_pytorch_example)(progress, images, seed)


def take_cores():
    """Leave this process two cores, and so every framework two threads, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", nargs="+", choices=tuple(RECIPES), default=tuple(RECIPES))
    parser.add_argument("--limit-scale", type=float, default=1.0, help="factor of every limit, for a quick look")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "results" / "speed")
    options = parser.parse_args()
    missing = [name for recipe in options.recipes for name in MODULES.get(recipe, ()) if not importlib.util.find_spec(name)]
    if missing:
        parser.error(f"--recipes: {missing[0]} is not installed; run pip install -e '.[bench]', or name recipes that do not need it")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `subprocess` ends the training, too
    run(options.recipes, options.limit_scale, options.output)


def run(recipes, scale, output):
    """Train what is not finished yet, one after another; write the results after each, and print the table."""
    held = output / NAME  # what unfinished trainings need to go on
    held.mkdir(parents=True, exist_ok=True)
    results = Results(output)
    for recipe in recipes:
        limit = scale * RECIPES[recipe].limit
        for seed in RECIPES[recipe].seeds:
            if results.has(recipe, seed, limit):
                continue
            if not (held / "images.npz").exists():
                measured(__file__, "--images", held / "images.npz")
            print(f"{recipe}, seed {seed}: at most {limit:g} minutes of training ...", flush=True)
            folder = held / f"{recipe.replace('/', '-')}-{seed}"
            epochs = measured(__file__, "--train", recipe, seed, limit, held / "images.npz", folder)
            results.add(recipe, seed, limit, epochs)
            print(report(epochs), flush=True)
            (output / f"{NAME}.json").write_text(json.dumps(describe_machine() | {"cores_used": CORES}, indent=2) + "\n")
            draw(results, output / f"{NAME}.png")
            shutil.rmtree(folder)
    (held / "images.npz").unlink(missing_ok=True)
    if not any(held.iterdir()):  # of other recipes, to go on
        held.rmdir()
    draw(results, output / f"{NAME}.png")
    print(table(results))


def report(epochs):
    """Return a line about a training. Epochs that take unequal times mean that the machine was not quiet."""
    ends = [0.0, *(minutes for _, minutes, _ in epochs)]
    seconds = [60 * (end - begin) for begin, end in itertools.pairwise(ends)]
    reached = f"lowest −ELBO {min(value for _, _, value in epochs):.2f} nats"
    return f"  {len(epochs)} epochs, {ends[-1]:.2f} minutes, {reached}; an epoch took {min(seconds):.1f} to {max(seconds):.1f} s"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--images"]:
        save_images(sys.argv[2])
        print("{}")
    elif sys.argv[1:2] == ["--train"]:
        take_cores()
        recipe, seed, limit, images, folder = sys.argv[2:]
        progress = Progress(folder, float(limit))
        train_recipe(recipe, int(seed), progress, read_images(images))
        print(json.dumps(progress.rows))
    else:
        main()
