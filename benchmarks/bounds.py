"""How long do bounds on log p(x) take, and how long would their matrix products alone? The network `conv` for MNIST, in float32.

    python benchmarks/bounds.py [--rounds 3]

A bound has 500 samples of each of 100 images. It decodes each sample; a dvae encodes the result and decodes it again.
"""

import argparse
import json
import pathlib
import statistics
import sys
import time

from machine import matrix_rate, measured
from throughput import multiply_adds

ROOT = pathlib.Path(__file__).parent.parent
IMAGES, SAMPLES, LATENT_DIM, UNITS, CHANNELS = 100, 500, 50, 512, (32, 64)
MODELS = {"vae": 1, "dvae": 3}  # model -> networks that a sample passes through


def operations(networks):
    """Return the floating-point operations of one bound of `IMAGES`: two a multiply-add, in convolutions and dense layers."""
    network = multiply_adds(28, 1, CHANNELS, UNITS) + LATENT_DIM * UNITS
    return 2 * IMAGES * SAMPLES * networks * network


def seconds_of_bound(model):
    """Return the seconds of one bound, in this process, after a first that is traced."""
    from tfdvae.startup import import_tensorflow

    import_tensorflow()
    import tensorflow as tf

    from tfdvae.build import build_model
    from tfdvae.evaluation.importance import importance_bounds

    sizes = {"channels": CHANNELS, "hidden_units": (UNITS,), "latent_dim": LATENT_DIM}
    built = build_model(model=model, image_shape=(28, 28, 1), precision="float32", **sizes)
    images = tf.cast(tf.random.stateless_uniform((IMAGES, 28, 28, 1), (0, 0)) > 0.5, tf.float32)
    importance_bounds(built, [(images, images)], 1)
    began = time.perf_counter()
    importance_bounds(built, [(images, images)], SAMPLES)
    return time.perf_counter() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()

    rates, found = [], {model: [] for model in MODELS}
    for _ in range(options.rounds):
        rates.append(matrix_rate("float32"))
        for model in MODELS:
            found[model].append(measured(__file__, "--model", model))
    rate = statistics.median(rates)
    print(f"matrix products: {rate / 1e9:.0f} GFLOP/s")
    for model, networks in MODELS.items():
        seconds, least = statistics.median(found[model]), operations(networks) / rate
        print(f"{model:>4}: {seconds:.2f} s for {IMAGES} images; at the rate of matrix products {least:.2f} s, {least / seconds:.0%} of it")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--model"]:
        sys.path.insert(0, str(ROOT))
        print(json.dumps(seconds_of_bound(sys.argv[2])))
    else:
        main()
