"""Minutes until the validation -ELBO of a VAE on MNIST passes the 95.15 nats of dojoteef/dvae: by the preset, and by its recipe.

    python benchmarks/time_to_quality.py [--limit 30] [--output results/speed]

The recipe of dojoteef/dvae is network, batch, learning rate and staircase over 250 epochs, in this package. So hardware, precision and
input are the same. Each recipe is stopped when it has passed, or after `--limit` minutes. The time counts from the start of the first
epoch.
"""

import argparse
import csv
import pathlib
import sys
import tempfile
import time

import matplotlib.figure

ROOT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import train  # noqa: E402, I001, before TensorFlow, whose settings tfdvae chooses
import keras  # noqa: E402

TARGET = 95.15  # nats; the test -ELBO of dojoteef/dvae
PUBLISHED = {"network": "r0", "epochs": 250, "batch_size": 64, "learning_rate": 0.01, "learning_rate_schedule": "staircase"}
RECIPES = {"preset": {}, "recipe of dojoteef/dvae": PUBLISHED}


class Follow(keras.callbacks.Callback):
    """Collect (seconds, epoch, validation -ELBO) of every epoch; stop at the target or the limit in seconds."""

    def __init__(self, limit):
        super().__init__()
        self.limit, self.rows = limit, []

    def on_train_begin(self, logs=None):
        self.began = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        seconds, neg_elbo = time.monotonic() - self.began, logs["val_neg_elbo"]
        self.rows.append((seconds, epoch + 1, neg_elbo))
        self.model.stop_training = neg_elbo < TARGET or seconds > self.limit


def follow(parameters, limit, preset="mnist"):
    """Train a VAE with these further parameters; return the rows of `Follow`."""
    with tempfile.TemporaryDirectory() as folder:
        follower = Follow(limit)
        train.main(preset, model="vae", run_dir=f"{folder}/run", callbacks=[follower], **parameters)
        return follower.rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=float, default=30.0, help="minutes for each recipe")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "results" / "speed")
    options = parser.parse_args()

    curves = {}
    for recipe, parameters in RECIPES.items():
        curves[recipe] = [(seconds / 60, epoch, neg_elbo) for seconds, epoch, neg_elbo in follow(parameters, 60 * options.limit)]
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
