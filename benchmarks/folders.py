"""How long does a folder of image files take to open, and at which rate is it streamed? Files of many kinds and sizes, resized to 64x64.

    python benchmarks/folders.py [--files 10000] [--rounds 3] [--output results/speed]

The files are written once into a temporary folder: JPEG, PNG (with transparency and of 16 bits, too), GIF, TIFF and WebP, of 48 to 127
pixels a side. A process of its own opens the folder in memory or as a stream, then trains the default model, a DVAE, of the default sizes
for such a folder on 200 batches.
"""

import argparse
import csv
import json
import pathlib
import statistics
import sys
import tempfile
import time

from machine import measured

ROOT = pathlib.Path(__file__).parent.parent
WAYS = {"in memory": 2.0, "streamed": 1e-9}  # way: memory_limit, in GiB
COLUMNS = ("way", "files", "opened_in", "images_per_second")
SIDE, STEPS, WARM_UP = 64, 200, 20


def write_files(number, folder):
    """Write a folder of four classes of smooth noise."""
    import numpy as np
    from PIL import Image

    draw = np.random.default_rng(0)
    for i in range(number):
        path = pathlib.Path(folder, f"class{i % 4}")
        path.mkdir(exist_ok=True)
        size = tuple(int(side) for side in draw.integers(48, 128, 2))
        image = Image.fromarray(draw.integers(0, 256, (6, 6, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
        kind = ("jpg", "jpg", "jpg", "png", "transparent", "sixteen", "gif", "tif", "webp")[i % 9]
        if kind == "transparent":
            image.putalpha(image.convert("L"))
        elif kind == "sixteen":
            image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
        image.save(path / f"{i}.{kind if len(kind) < 5 else 'png'}")


def work(folder, limit):
    """Measure one way in this process, and print the result as JSON."""
    from tfdvae.startup import import_tensorflow

    import_tensorflow()
    import tensorflow as tf

    from tfdvae import data
    from tfdvae.build import build_model
    from tfdvae.training.defaults import fitting
    from tfdvae.training.fit import compile_model, make_deterministic
    from tfdvae.training.run import resolve_precision

    make_deterministic(0)
    began = time.perf_counter()
    files = data.load_dataset(f"folder:{folder}", image_size=SIDE, memory_limit=float(limit))
    data.describe(files)  # as every training does: it reads the test images
    opened_in = time.perf_counter() - began
    settings = fitting(files.image_shape, files.sizes[data.TRAIN], "dvae")
    sizes = {name: settings[name] for name in ("network", "channels", "hidden_units", "latent_dim") if name in settings}
    model = build_model(model="dvae", image_shape=files.image_shape, precision=resolve_precision("auto"), **sizes)
    compile_model(model, 1e-4)
    step, batches = tf.function(model.train_step), iter(files.train(settings["batch_size"]))
    for number in range(WARM_UP + STEPS):
        if number == WARM_UP:
            began = time.perf_counter()
        float(step(next(batches))["loss"])
    rate = STEPS * settings["batch_size"] / (time.perf_counter() - began)
    print(json.dumps({"in_memory": files.in_memory, "opened_in": opened_in, "images_per_second": rate}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "results" / "speed")
    options = parser.parse_args()

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        measured(__file__, "--write", options.files, folder)
        for _ in range(options.rounds):
            for way, limit in WAYS.items():
                row = {"way": way, "files": options.files} | measured(__file__, "--work", folder, limit)
                if row.pop("in_memory") != (way == "in memory"):
                    raise RuntimeError(f"the folder is not {way} with a limit of {limit} GiB")
                rows.append(row)
                print(f"{way}: opened in {row['opened_in']:.1f} s, {row['images_per_second']:,.0f} images/s", flush=True)
    rates = {way: statistics.median(row["images_per_second"] for row in rows if row["way"] == way) for way in WAYS}
    print(f"streamed at {rates['streamed'] / rates['in memory']:.2f} x the rate of those in memory (medians)")

    options.output.mkdir(parents=True, exist_ok=True)
    with open(options.output / "folders.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: round(value, 2) if isinstance(value, float) else value for name, value in row.items()} for row in rows)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        write_files(int(sys.argv[2]), sys.argv[3])
        print("{}")
    elif sys.argv[1:2] == ["--work"]:
        work(*sys.argv[2:])
    else:
        main()
