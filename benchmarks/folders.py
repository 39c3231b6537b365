"""How long does a folder of image files take to open, and at which rate is it streamed? Files of many kinds and sizes, resized to 64x64.

    python benchmarks/folders.py [--files 10000] [--turns 8] [--output results/speed]

The files are written once into a temporary folder: JPEG, PNG (with transparency and of 16 bits, too), GIF, TIFF and WebP, of 48 to 127
pixels a side. A process of its own opens the folder in memory, as a stream of which memory may keep half, and as a stream of which it may
keep nothing. It trains the default model, a DVAE, of the default sizes for such a folder. The ways take turns, 50 steps each, since
machines change their speed. The first steps of a turn are not counted: their batches may have been read before.
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
WAYS = {"in memory": 2.0, "half in memory": 0.5, "streamed": 0.001}  # way: memory_limit, in shares of the images
COLUMNS = ("way", "turn", "opened_in", "images_per_second")
SIDE, STEPS, UNCOUNTED = 64, 50, 15


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


def work(folder, turns):
    """Measure both ways in this process, and print a row for each turn as JSON."""
    from tfdvae.startup import import_tensorflow

    import_tensorflow()
    import tensorflow as tf

    from tfdvae import data
    from tfdvae.build import build_model
    from tfdvae.training.defaults import fitting
    from tfdvae.training.fit import compile_model, make_deterministic
    from tfdvae.training.run import resolve_precision

    make_deterministic(0)
    files, opened_in = {}, {}
    size = sum(1 for _ in pathlib.Path(folder).glob("*/*")) * SIDE * SIDE * 3 / 2**30  # of all images, in GiB
    for way, share in WAYS.items():
        began = time.perf_counter()
        files[way] = data.load_dataset(f"folder:{folder}", image_size=SIDE, memory_limit=share * size)
        data.describe(files[way])  # as every training does: it reads the test images
        opened_in[way] = time.perf_counter() - began
        assert files[way].in_memory == (way == "in memory")
    shape, images = files["streamed"].image_shape, files["streamed"].sizes[data.TRAIN]
    settings = fitting(shape, images, "dvae")
    sizes = {name: settings[name] for name in ("network", "channels", "hidden_units", "latent_dim") if name in settings}
    model = build_model(model="dvae", image_shape=shape, precision=resolve_precision("auto"), **sizes)
    compile_model(model, 1e-4)
    step = tf.function(model.train_step)
    batches = {way: iter(dataset.train(settings["batch_size"])) for way, dataset in files.items()}
    rows = []
    for turn in range(int(turns) + 1):
        for way in WAYS:
            for number in range(STEPS):
                if number == UNCOUNTED:
                    began = time.perf_counter()
                float(step(next(batches[way]))["loss"])
            rate = (STEPS - UNCOUNTED) * settings["batch_size"] / (time.perf_counter() - began)
            if turn:  # the first one warms up
                rows.append({"way": way, "turn": turn, "opened_in": opened_in[way], "images_per_second": rate})
    print(json.dumps(rows))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "results" / "speed")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        measured(__file__, "--write", options.files, folder)
        rows = measured(__file__, "--work", folder, options.turns)
    rates = {way: [row["images_per_second"] for row in rows if row["way"] == way] for way in WAYS}
    for row in rows[: len(WAYS)]:
        rate = statistics.median(rates[row["way"]])
        print(f"{row['way']}: {options.files:,} files opened in {row['opened_in']:.1f} s, {rate:,.0f} images/s")
    for way in list(WAYS)[1:]:
        ratio = statistics.median(rate / held for rate, held in zip(rates[way], rates["in memory"]))
        print(f"{way}: {ratio:.2f} x the rate of those in memory (median of {options.turns} turns)")

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
