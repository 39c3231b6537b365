"""Does cost grow as the work does? Time per image over the size of the data set, and time and memory over the epochs of a run.

    python benchmarks/growth.py [--output results/speed]

Sizes are parts of MNIST, trained on by a VAE in rounds, each size in a process of its own. Epochs are 100 of `python train.py digits`,
with all that it saves.
"""

import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

import matplotlib.figure
import psutil
from machine import measured, write_csv

ROOT = pathlib.Path(__file__).parent.parent
SIZES = (1_000, 3_000, 10_000, 30_000, 59_000)  # of MNIST's 60,000; the rest is held out
IMAGES = 24_000  # trained on for each measurement, at least one epoch
EPOCHS = 100


def time_per_image(size):
    """Return microseconds per image of training epochs on `size` images, in this process."""
    from tfdvae.startup import import_tensorflow

    import_tensorflow()
    import keras

    from tfdvae import data
    from tfdvae.build import build_model
    from tfdvae.training.fit import compile_model, make_deterministic
    from tfdvae.training.run import resolve_precision

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 0:
                self.began = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            self.end = time.perf_counter()

    make_deterministic(0)
    mnist = data.load_dataset("mnist", validation_fraction=1 - size / 60_000)
    model = build_model(model="vae", image_shape=mnist.image_shape, latent_dim=50, precision=resolve_precision("auto"))
    compile_model(model, 1e-3)
    clock = Clock()
    epochs, steps = max(1, IMAGES // size), mnist.steps_per_epoch(128)
    model.fit(mnist.train(128), steps_per_epoch=30, epochs=1, verbose=0, shuffle=False)  # to warm up
    model.fit(mnist.train(128), steps_per_epoch=steps, epochs=epochs, verbose=0, shuffle=False, callbacks=[clock])
    return 1e6 * (clock.end - clock.began) / (mnist.sizes[0] * epochs)


def run_epochs():
    """Train on digits for `EPOCHS` epochs; return (epoch, seconds since the last, MiB of the process) after each."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-u", "train.py", "digits", "--epochs", str(EPOCHS), "--run-dir", f"{folder}/run"]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        watched, rows, last = psutil.Process(process.pid), [], None
        for line in process.stdout:
            now = time.monotonic()
            if re.match(r" *\d+/\d+ ", line):  # the line that ends an epoch
                if last is not None:
                    rows.append((len(rows) + 2, now - last, watched.memory_info().rss / 2**20))
                last = now
        if process.wait():
            raise RuntimeError(f"{' '.join(command)} failed")
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "results" / "speed")
    options = parser.parse_args()

    found = {size: [] for size in SIZES}
    for _ in range(options.rounds):
        for size in SIZES:
            found[size].append(measured(__file__, "--size", size))
            print(f"{size:,} images: {found[size][-1]:.0f} microseconds an image", flush=True)
    options.output.mkdir(parents=True, exist_ok=True)
    sizes = [(size, f"{value:.1f}") for size in SIZES for value in found[size]]
    write_csv(options.output / "growth_size.csv", ("images", "microseconds_per_image"), sizes)
    epochs = run_epochs()
    rows = [(epoch, f"{seconds:.3f}", f"{mib:.1f}") for epoch, seconds, mib in epochs]
    write_csv(options.output / "growth_epochs.csv", ("epoch", "seconds", "mib"), rows)
    half = len(epochs) // 2
    for name, column in (("seconds an epoch", 1), ("MiB", 2)):
        first, second = (statistics.median(row[column] for row in part) for part in (epochs[:half], epochs[half:]))
        print(f"{EPOCHS} epochs of digits: {name} {first:.2f} in the first half, {second:.2f} in the second (medians)")
    draw(found, epochs, options.output / "growth.png")


def draw(found, epochs, path):
    figure = matplotlib.figure.Figure(figsize=(11, 3.2), layout="constrained")
    sizes, seconds, memory = figure.subplots(1, 3)
    middles = [statistics.median(values) for values in found.values()]
    spreads = [(max(values) - min(values)) / 2 for values in found.values()]
    sizes.errorbar(list(found), middles, spreads, marker="o", capsize=3)
    sizes.set(xscale="log", xlabel="training images", ylabel="microseconds per image", title="vae on parts of MNIST")
    seconds.plot([row[0] for row in epochs], [row[1] for row in epochs], linewidth=1)
    seconds.set(xlabel="epoch", ylabel="seconds per epoch", title="dvae on digits, all that is saved included")
    memory.plot([row[0] for row in epochs], [row[2] for row in epochs])
    memory.set(xlabel="epoch", ylabel="MiB of the process", title="the same run")
    for axes in figure.axes:
        axes.set_ylim(0, 1.1 * axes.dataLim.y1)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--size"]:
        print(json.dumps(time_per_image(int(sys.argv[2]))))
    else:
        main()
