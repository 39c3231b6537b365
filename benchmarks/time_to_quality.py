"""Minutes until the validation -ELBO of a VAE on MNIST passes the 95.15 nats of dojoteef/dvae: by the preset, and by its recipe.

    python benchmarks/time_to_quality.py [--limit 30] [--output results/speed]

The recipe of dojoteef/dvae is network, batch, learning rate and staircase over 250 epochs, in this package. So hardware, precision and
input are the same. Each recipe is stopped when it has passed, or after `--limit` minutes. The time counts from the first line of the first
epoch.
"""

import argparse
import csv
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

import matplotlib.figure

ROOT = pathlib.Path(__file__).parent.parent
TARGET = 95.15  # nats; the test -ELBO of dojoteef/dvae
PUBLISHED = "--network r0 --epochs 250 --batch-size 64 --learning-rate 0.01 --learning-rate-schedule staircase"
RECIPES = {"preset": [], "recipe of dojoteef/dvae": PUBLISHED.split()}
NEG_ELBO = re.compile(r"val_neg_elbo: ([\d.]+)")


def follow(words, limit):
    """Train with these further arguments until the target is passed or `limit` seconds are over; yield (seconds, epoch, -ELBO)."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-u", "train.py", "mnist", "--model", "vae", *words, "--run-dir", f"{folder}/run"]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        began, epoch = None, 0
        for line in process.stdout:
            now = time.monotonic()
            if line.startswith("Epoch 1/"):
                began = now
            if found := NEG_ELBO.search(line):
                epoch += 1
                yield now - began, epoch, float(found[1])
                if float(found[1]) < TARGET or now - began > limit:
                    process.send_signal(signal.SIGINT)
                    break
        else:
            if process.wait():
                raise RuntimeError(f"{' '.join(command)} failed")
        process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=float, default=30.0, help="minutes for each recipe")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "results" / "speed")
    options = parser.parse_args()

    curves = {}
    for recipe, words in RECIPES.items():
        curves[recipe] = []
        for seconds, epoch, neg_elbo in follow(words, 60 * options.limit):
            curves[recipe].append((seconds / 60, epoch, neg_elbo))
            print(f"{recipe}: epoch {epoch}, {seconds / 60:.1f} minutes, validation -ELBO {neg_elbo:.2f}", flush=True)
    for recipe, rows in curves.items():
        minutes, epoch, lowest = rows[-1][0], rows[-1][1], min(row[2] for row in rows)
        told = f"passed {TARGET} nats" if lowest < TARGET else f"had not passed {TARGET} nats (lowest {lowest:.2f})"
        print(f"{recipe}: {told} after {minutes:.1f} minutes, {epoch} epochs")

    options.output.mkdir(parents=True, exist_ok=True)
    with open(options.output / "time_to_quality.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("recipe", "minutes", "epoch", "val_neg_elbo"))
        writer.writerows(
            (recipe, f"{minutes:.3f}", epoch, neg_elbo) for recipe, rows in curves.items() for minutes, epoch, neg_elbo in rows
        )
    figure = matplotlib.figure.Figure(figsize=(5.5, 3.4), layout="constrained")
    axes = figure.subplots()
    for (recipe, rows), marker in zip(curves.items(), "os"):
        axes.plot([row[0] for row in rows], [row[2] for row in rows], marker=marker, markersize=4, label=recipe)
    axes.axhline(TARGET, color="grey", linestyle="--", linewidth=1, label=f"{TARGET} nats, VAE of dojoteef/dvae")
    axes.set(xlabel="minutes of training", ylabel="validation −ELBO, nats", title="vae on MNIST")
    axes.legend()
    figure.savefig(options.output / "time_to_quality.png", dpi=150)


if __name__ == "__main__":
    main()
