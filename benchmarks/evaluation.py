"""How long does the evaluation of 10,000 images of MNIST take, with TensorFlow loaded? Untrained models take as long as trained ones.

    python benchmarks/evaluation.py [--rounds 3]

The first evaluation of a process, which is traced, is counted, as in `python evaluate.py`.
"""

import argparse
import json
import pathlib
import statistics
import sys

from machine import measured
from throughput import evaluation_seconds

ROOT = pathlib.Path(__file__).parent.parent
MODELS = ("vae", "dvae")
NETWORKS = ("conv", "s2d")


def first_evaluation(network, model):
    """Return the seconds of the first evaluation in this process."""
    from tfdvae.startup import import_tensorflow

    import_tensorflow()
    from tfdvae import data
    from tfdvae.build import build_model

    dataset = data.load_dataset("mnist")
    return evaluation_seconds(build_model(model=model, network=network, image_shape=dataset.image_shape, latent_dim=50), dataset)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    pairs = [(network, model) for network in NETWORKS for model in MODELS]
    seconds = {pair: [] for pair in pairs}
    for _ in range(options.rounds):
        for pair in pairs:
            seconds[pair].append(measured(__file__, "--measure", *pair))
    for (network, model), values in seconds.items():
        print(f"{network:>4} {model:>4}: {statistics.median(values):.2f} s for 10,000 images ({min(values):.2f} to {max(values):.2f})")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        sys.path.insert(0, str(ROOT))
        print(json.dumps(first_evaluation(*sys.argv[2:])))
    else:
        main()
