"""Does a step wait for data, and does streaming cost memory or time? A VAE on synthetic images, held in memory and streamed from disk.

    python benchmarks/streaming.py [--rounds 3] [--output results/speed]

The images, 28x28 of noise, are written once as a data set of TensorFlow Datasets into a temporary folder, in several sizes, the largest
six times the memory limit. For each size a process of its own passes through the training set once, which gives its peak memory. Then it
trains for an epoch, asking for each batch and taking each step in turn, so that time spent waiting for a batch is seen.
"""

import argparse
import csv
import json
import pathlib
import resource
import statistics
import sys
import tempfile
import time

import matplotlib.figure
from machine import measured

ROOT = pathlib.Path(__file__).parent.parent
SIZES = (20_000, 40_000, 80_000)  # images, of which a tenth is held out
LIMIT = 0.01  # GiB; the images take 0.015, 0.03 and 0.06
WAYS = {"in memory": 2.0, "streamed": LIMIT}  # way: memory_limit
COLUMNS = ("way", "images", "peak_mib", "images_per_second", "waiting")


def write_images(size, folder):
    """Write a data set of noise, named noise_SIZE."""
    import numpy as np
    import tensorflow as tf
    import tensorflow_datasets as tfds

    def images(n, seed):
        draw = np.random.default_rng(seed)
        for _ in range(n):
            yield {"image": draw.integers(0, 256, (28, 28, 1), np.uint8)}

    signature = {"image": tf.TensorSpec((28, 28, 1), tf.uint8)}
    splits = {
        name: tf.data.Dataset.from_generator(lambda n=n, seed=seed: images(n, seed), output_signature=signature)
        for seed, (name, n) in enumerate({"train": size, "test": 1_000}.items())
    }
    features = tfds.features.FeaturesDict({"image": tfds.features.Image(shape=(28, 28, 1))})
    tfds.dataset_builders.store_as_tfds_dataset(f"noise_{size}", "1.0.0", data_dir=folder, features=features, split_datasets=splits)


def work(name, limit):
    """Measure one data set in this process, and print the result as JSON."""
    from tfdvae.startup import import_tensorflow

    import_tensorflow()
    import tensorflow as tf
    from throughput import BATCH, build

    from tfdvae import data
    from tfdvae.training.fit import compile_model, make_deterministic
    from tfdvae.training.run import resolve_precision

    make_deterministic(0)
    noise = data.load_dataset(name, memory_limit=float(limit))
    batches, steps = iter(noise.train(BATCH)), noise.steps_per_epoch(BATCH)
    for _ in range(steps):
        next(batches)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    model = build("vae", "mnist", noise.image_shape, resolve_precision("auto"))
    compile_model(model, 1e-4)
    step = tf.function(model.train_step)
    for number in range(steps):  # a whole epoch, so that the next is measured from its first image; its first steps warm up
        batch = next(batches)
        if number < 20:
            step(batch)
    waiting, began = 0.0, time.perf_counter()
    for _ in range(steps):
        asked = time.perf_counter()
        batch = next(batches)
        waiting += time.perf_counter() - asked
        float(step(batch)["loss"])
    took = time.perf_counter() - began
    found = {"in_memory": noise.in_memory, "peak_mib": peak, "images_per_second": noise.sizes[0] / took, "waiting": waiting / took}
    print(json.dumps(found))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "results" / "speed")
    options = parser.parse_args()

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            measured(__file__, "--write", size, folder)
        for _ in range(options.rounds):
            for size in SIZES:
                for way, limit in WAYS.items():
                    row = {"way": way, "images": size} | measured(__file__, "--work", f"noise_{size}", limit, TFDS_DATA_DIR=folder)
                    if row.pop("in_memory") != (way == "in memory"):
                        raise RuntimeError(f"noise_{size} is not {way} with a limit of {limit} GiB")
                    rows.append(row)
                    print(
                        f"{way}, {size:,} images: peak {row['peak_mib']:,.0f} MiB, {row['images_per_second']:,.0f} images/s, "
                        f"{row['waiting']:.1%} of the time waiting for a batch",
                        flush=True,
                    )
    for size in SIZES:
        streamed, held = (
            statistics.median(row["images_per_second"] for row in rows if (row["way"], row["images"]) == (way, size))
            for way in ("streamed", "in memory")
        )
        print(f"{size:,} images: streamed at {streamed / held:.2f} x the rate of those in memory (medians)")

    options.output.mkdir(parents=True, exist_ok=True)
    with open(options.output / "streaming.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow(row | {name: round(row[name]) for name in COLUMNS[2:4]} | {"waiting": round(row["waiting"], 4)})
    figure = matplotlib.figure.Figure(figsize=(8, 3.2), layout="constrained")
    for axes, column, label in zip(figure.subplots(1, 2), ("peak_mib", "images_per_second"), ("peak memory, MiB", "images per second")):
        for way, marker in zip(WAYS, "os"):
            chosen = [row for row in rows if row["way"] == way]
            axes.plot([row["images"] for row in chosen], [row[column] for row in chosen], marker, label=way, alpha=0.7)
        axes.set(xlabel="images", ylabel=label, ylim=(0, 1.1 * max(row[column] for row in rows)))
        axes.legend(loc="lower right")
    figure.savefig(options.output / "streaming.png", dpi=150)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        write_images(int(sys.argv[2]), sys.argv[3])
        print("{}")
    elif sys.argv[1:2] == ["--work"]:
        work(*sys.argv[2:])
    else:
        main()
