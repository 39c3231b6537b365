"""Does bfloat16 cost quality? A VAE on MNIST in both precisions, the same seeds, compared by -ELBO on the test set.

    python benchmarks/precision.py [--seeds 3] [--epochs 6] [--output results/speed]

Runs that are there already, under runs/precision-*, are not trained again; one that was stopped goes on.
"""

import argparse
import csv
import pathlib
import subprocess
import sys

import numpy as np
import scipy.stats

from tfdvae.runs import Run

ROOT = pathlib.Path(__file__).parent.parent
PRECISIONS = ("float32", "bfloat16")
TERMS = ("reconstruction", "kl", "neg_elbo")
RECIPE = {  # stated, since the committed numbers are of it, whatever the preset becomes
    "model": "vae",
    "network": "conv",
    "channels": "32 64",
    "hidden-units": "512",
    "learning-rate-schedule": "cosine",
    "beta-2": "0.999",
    "weight-decay": "0",
}


def run_dir(precision, seed):
    return f"runs/precision-{precision}-seed{seed}"


def train(precision, seed, epochs):
    settings = RECIPE | {"precision": precision, "seed": seed, "epochs": epochs, "run-dir": run_dir(precision, seed)}
    words = [word for name, value in settings.items() for word in (f"--{name}", *str(value).split())]
    subprocess.run([sys.executable, "train.py", "mnist", *words, "--resume"], cwd=ROOT, check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "results" / "speed")
    options = parser.parse_args()

    seeds = range(options.seeds)
    for seed in seeds:
        for precision in PRECISIONS:
            train(precision, seed, options.epochs)
    runs = [run_dir(precision, seed) for precision in PRECISIONS for seed in seeds]
    subprocess.run([sys.executable, "evaluate.py", "--checkpoint", *runs], cwd=ROOT, check=True)

    means = {}
    options.output.mkdir(parents=True, exist_ok=True)
    with open(options.output / "precision.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("precision", "seed", "epochs", *TERMS))
        for precision in PRECISIONS:
            for seed in seeds:
                summary, _ = Run(ROOT / run_dir(precision, seed)).read_evaluation()
                values = [summary[term]["mean"] for term in TERMS]
                writer.writerow((precision, seed, options.epochs, *(f"{value:.3f}" for value in values)))
                means.setdefault(precision, []).append(values[-1])
    for precision, values in means.items():
        print(f"{precision}: -ELBO {np.mean(values):.2f}, standard deviation over {len(values)} seeds {np.std(values, ddof=1):.2f}")
    difference = np.subtract(means["bfloat16"], means["float32"])
    low, high = scipy.stats.ttest_1samp(difference, 0.0).confidence_interval(0.95)
    print(f"bfloat16 - float32, paired by seed: {difference.mean():+.2f} nats, 95 % interval {low:+.2f} to {high:+.2f}")


if __name__ == "__main__":
    main()
