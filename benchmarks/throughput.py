"""Images per second in training: tfdvae, stock Keras and PyTorch on the same network, batch and data.

    pip install -e ".[bench]"
    python benchmarks/throughput.py [--rounds 3] [--output results/speed]

Everything runs on the CPU, and every measurement in a process of its own; the frameworks take turns within a round, so that a slow minute
of the machine meets all of them. Before it trains, each network must have as many parameters as tfdvae's and, with tfdvae's weights and
no noise, the same loss. bfloat16 is measured where the processor multiplies it; elsewhere it is five times slower than float32.
"""

import argparse
import contextlib
import csv
import json
import pathlib
import resource
import statistics
import sys
import tempfile
import time

import matplotlib.figure
import numpy as np
from machine import describe_machine, matrix_rate, measured, precisions_of_processor

BATCH = 128
SECONDS = 4.0  # of measurement, after the warm-up
WARM_UP = 10  # steps
NETWORKS = {  # data: channels, units, latent_dim
    "mnist": ((32, 64), (256,), 50),
    "cifar10": ((64, 128, 256), (512,), 100),
}
FRAMEWORKS = ("tfdvae", "keras", "pytorch-eager", "pytorch-compiled")
PRECISIONS = ("float32", "bfloat16")
COLOURS = {"float32": "#9ecae1", "bfloat16": "#08519c"}
MODELS = ("vae", "dvae")
TOLERANCES = {"float32": 1e-4, "bfloat16": 1e-2}  # of the loss, relative
SAVE_IMAGES = """
import sys
import numpy as np
from tfdvae import data
np.save(sys.argv[2], data.load_dataset(sys.argv[1]).parts[data.TRAIN].arrays[0])
print("{}")
"""
COLUMNS = ("framework", "precision", "model", "dataset", "batch_size", "images_per_second", "spread")
FURTHER_COLUMNS = ("start_up_seconds", "peak_mib", "share_of_matrix_rate", "evaluation_seconds")


class Clock:
    """Counts steps: seconds until the first, then images per second over at least `SECONDS` after the warm-up, and peak memory."""

    def __init__(self):
        self.steps, self.began, self.reading, self.rate = 0, time.perf_counter(), 0.0, None

    @contextlib.contextmanager
    def read(self):
        """Leave out the time within, in which images are read."""
        before = time.perf_counter()
        yield
        self.reading += time.perf_counter() - before

    def step(self):
        """Count a finished step; return whether that is enough."""
        now = time.perf_counter()
        self.steps += 1
        if self.steps == 1:
            self.start_up = now - self.began - self.reading
        if self.steps == WARM_UP:
            self.warm = now
        if self.steps > WARM_UP and now - self.warm >= SECONDS:
            self.rate = (self.steps - WARM_UP) * BATCH / (now - self.warm)
            self.peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return self.rate is not None


def stopping(clock):
    """Return a Keras callback that ends training when the clock has enough."""
    import keras

    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = clock.step()

    return Stop()


def weights_of(model):
    """Return the trainable weights of a tfdvae model in the order in which they are handed over: network by network."""
    networks = [model.encoder, model.head, model.decoder, *([model.denoising_decoder] if model.name == "dvae" else [])]
    return [np.asarray(v) for network in networks for v in network.trainable_variables]


def copy_weights(arrays, stock):
    """Give a stock Keras model these weights."""
    for variable, array in zip([v for network in stock.networks() for v in network.trainable_variables], arrays, strict=True):
        variable.assign(array)


def loss_without_noise(model, images):
    """Return the loss of a tfdvae model, averaged over images, where each latent is its posterior's mean."""
    import tensorflow as tf

    draw = model.draw_latent
    model.draw_latent = lambda mean, *_: (mean, tf.zeros_like(mean))
    loss = float(tf.reduce_mean(model.loss_terms(images, training=True)["loss"]))
    model.draw_latent = draw
    return loss


def build(model, dataset, image_shape, precision):
    """Return tfdvae's model with the network that is measured on this data."""
    from tfdvae.build import build_model

    channels, units, latent_dim = NETWORKS[dataset]
    return build_model(
        model=model, image_shape=image_shape, channels=channels, hidden_units=units, latent_dim=latent_dim, precision=precision
    )


def train_tfdvae(model, precision, dataset, images, weights, clock):
    """Train for as long as the clock wants, as `train.py` does; write the weights.

    Args:
        images: function that reads the training images, (n, H, W, C) uint8.
        weights: path of the file of the initial weights.

    Returns:
        dict with "loss" of the first images, the number of "parameters", and "evaluation_seconds" for 10,000 images.
    """
    from tfdvae.startup import import_tensorflow

    import_tensorflow()
    import tensorflow as tf

    from tfdvae import data
    from tfdvae.interrupts import Interrupts
    from tfdvae.training.callbacks import StopAtNonFinite, StopWhenAsked
    from tfdvae.training.fit import compile_model, make_deterministic

    make_deterministic(0)
    with clock.read():
        loaded, first = data.load_dataset(dataset), images()[:BATCH] / np.float32(255)
    built = build(model, dataset, loaded.image_shape, precision)
    np.savez(weights, *weights_of(built))
    loss = loss_without_noise(built, tf.constant(first))
    compile_model(built, 1e-3)
    callbacks = [StopAtNonFinite(), StopWhenAsked(Interrupts()), stopping(clock)]  # the first two as in `tfdvae.training.fit`
    built.fit(loaded.train(BATCH), steps_per_epoch=10**6, epochs=1, verbose=0, shuffle=False, callbacks=callbacks)
    parameters = sum(int(np.prod(v.shape)) for v in built.trainable_variables)
    return {"loss": loss, "parameters": parameters, "evaluation_seconds": evaluation_seconds(built, loaded)}


def evaluation_seconds(model, loaded):
    """Return the seconds that the evaluation of 10,000 images takes, from its first line to its last number."""
    from tfdvae import data
    from tfdvae.evaluation import terms

    batches = loaded.in_order(data.TRAIN, terms.BATCH).take(10_000 // terms.BATCH)
    began = time.perf_counter()
    terms.evaluate_model(model, batches)
    return time.perf_counter() - began


def train_keras(model, precision, dataset, images, weights, clock):
    """As `train_tfdvae`, but for the weights, which are read; images are floats in memory, given to `fit` as they are."""
    import keras
    import tensorflow as tf
    from stock_keras import StockVAE

    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")
    with clock.read():
        images = images().astype(np.float32) / np.float32(255)
    built = StockVAE(model, images.shape[1:], *NETWORKS[dataset])
    built.build((None, *images.shape[1:]))
    with np.load(weights) as arrays:
        copy_weights([arrays[name] for name in arrays.files], built)
    loss = float(tf.reduce_mean(built.losses_of(tf.constant(images[:BATCH]), 0.0)))
    built.compile(optimizer=keras.optimizers.Adam(1e-3))
    built.fit(images, batch_size=BATCH, epochs=10**6, verbose=0, callbacks=[stopping(clock)])
    return {"loss": loss, "parameters": sum(int(np.prod(v.shape)) for v in built.trainable_variables)}


def train_pytorch(model, precision, dataset, images, weights, clock, compiled=False):
    """As `train_keras`, but that images stay bytes, of which each batch is made floats."""
    import torch
    from pytorch import TorchVAE

    with clock.read():
        images = images()
    latent_dim = NETWORKS[dataset][2]
    built = TorchVAE(model, images.shape[1:], *NETWORKS[dataset]).to(memory_format=torch.channels_last)
    images = torch.from_numpy(images).permute(0, 3, 1, 2)  # channels last in memory
    with np.load(weights) as arrays:
        built.set_weights([arrays[name] for name in arrays.files])
    cast = torch.autocast("cpu", torch.bfloat16) if precision == "bfloat16" else contextlib.nullcontext()
    with torch.no_grad(), cast:
        loss = float(built(images[:BATCH].float() / 255, torch.zeros(BATCH, latent_dim)).mean())
    optimizer = torch.optim.Adam(built.parameters(), 1e-3, fused=True)
    forward = torch.compile(built) if compiled else built
    while True:
        order = torch.randperm(len(images))
        for first in range(0, len(images) - BATCH + 1, BATCH):
            batch = images[order[first : first + BATCH]].float() / 255
            optimizer.zero_grad(set_to_none=True)
            with cast:
                mean = forward(batch.contiguous(memory_format=torch.channels_last), torch.randn(BATCH, latent_dim)).mean()
            mean.backward()
            optimizer.step()
            if clock.step():
                return {"loss": loss, "parameters": sum(p.numel() for p in built.parameters())}


def work(framework, precision, model, dataset, folder):
    """Measure one configuration in this process, and print the result as JSON."""
    clock = Clock()
    train = {"tfdvae": train_tfdvae, "keras": train_keras}.get(framework, train_pytorch)
    further = {"compiled": True} if framework == "pytorch-compiled" else {}
    found = train(
        model, precision, dataset, lambda: np.load(f"{folder}/{dataset}.npy"), f"{folder}/{model}-{dataset}.npz", clock, **further
    )
    print(json.dumps(found | {"images_per_second": clock.rate, "start_up_seconds": clock.start_up, "peak_mib": clock.peak}))


def check_alike(configuration, found, ours):
    """Raise RuntimeError where a network has not as many parameters as tfdvae's, or not the same loss."""
    alike = found["parameters"] == ours["parameters"] and abs(found["loss"] / ours["loss"] - 1) < TOLERANCES[configuration[1]]
    if not alike:
        raise RuntimeError(f"{' '.join(configuration)} is another network than tfdvae's: {found}, where tfdvae has {ours}")


def training_operations(dataset, model):
    """Return the floating-point operations that one training step needs for one image: two a multiply-add, three passes."""
    channels, units, latent_dim = NETWORKS[dataset]
    side, inputs = (28, 1) if dataset == "mnist" else (32, 3)
    network = multiply_adds(side, inputs, channels, units[0])
    total = 2 * network + 3 * latent_dim * units[0]  # two heads, and one layer after the latent
    if model == "dvae":
        total += 2 * network + units[0] ** 2
    return 6 * total


def multiply_adds(side, inputs, channels, units):
    """Return the multiply-adds of an encoder for one image, or of its mirror: 4x4 convolutions of stride 2, and a dense layer."""
    convolutions = 0
    for n in channels:
        side //= 2
        convolutions += 16 * inputs * n * side * side
        inputs = n
    return convolutions + side * side * inputs * units


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--datasets", nargs="+", choices=tuple(NETWORKS), default=tuple(NETWORKS))
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=precisions_of_processor())
    parser.add_argument("--output", type=pathlib.Path, help="folder for throughput.csv, .md and .png, and machine.json")
    options = parser.parse_args()

    configurations = [(f, p, m, d) for d in options.datasets for m in options.models for p in options.precisions for f in FRAMEWORKS]
    results, rates = {}, {precision: [] for precision in options.precisions}
    with tempfile.TemporaryDirectory() as folder:
        for dataset in options.datasets:
            measured("-c", SAVE_IMAGES, dataset, f"{folder}/{dataset}.npy")
        for number in range(options.rounds):
            for precision in options.precisions:
                rates[precision].append(matrix_rate(precision))
            for configuration in configurations:
                found = measured(__file__, "--work", *configuration, folder)
                results.setdefault(configuration, []).append(found)
                check_alike(configuration, found, results[("tfdvae", *configuration[1:])][0])
                print(f"round {number + 1}: {' '.join(configuration)}: {found['images_per_second']:,.0f} images/s", flush=True)
            middle = {precision: statistics.median(each) for precision, each in rates.items()}
            rows = summarize(results, middle)
            if options.output:  # after each round, so that nothing is lost should the next one fail
                write(rows, describe_machine() | {"matrix_rate": middle}, options.output)
    print(table(rows))


def summarize(results, rates):
    """Return a row (a dict) for each configuration: median and half the range of its rounds."""
    rows = []
    for (framework, precision, model, dataset), rounds in results.items():
        values = [found["images_per_second"] for found in rounds]
        middle = statistics.median(values)
        settings = (framework, precision, model, dataset, BATCH, round(middle), round((max(values) - min(values)) / 2))
        row = dict(zip(COLUMNS, settings))
        for name in FURTHER_COLUMNS[:2]:
            row[name] = round(statistics.median(found[name] for found in rounds), 1)
        row["share_of_matrix_rate"] = round(middle * training_operations(dataset, model) / rates[precision], 3)
        if framework == "tfdvae":
            row["evaluation_seconds"] = round(statistics.median(found["evaluation_seconds"] for found in rounds), 2)
        rows.append(row)
    return rows


def table(rows):
    """Return the rows as Markdown, with the ratio of each to stock Keras in float32, and of ours to the best of PyTorch."""
    lines = [
        "| data | model | precision | framework | images/s | to Keras float32 | start-up, s | peak, MiB | share of matrix rate |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: (row["dataset"], row["model"], row["precision"], row["images_per_second"])):
        stock = rate_of(rows, row["dataset"], row["model"], ["keras"], ["float32"])
        cells = [
            *(row[name] for name in ("dataset", "model", "precision", "framework")),
            f"{row['images_per_second']:,} ± {row['spread']:,}",
            f"{row['images_per_second'] / stock:.2f}",
            *(row[name] for name in FURTHER_COLUMNS[:2]),
            f"{row['share_of_matrix_rate']:.0%}",
        ]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    lines.append("")
    for dataset, model in sorted({(row["dataset"], row["model"]) for row in rows}):
        stock = rate_of(rows, dataset, model, ["keras"], ["float32"])
        compared = {precision: [precision] for precision in PRECISIONS if any(row["precision"] == precision for row in rows)}
        if len(compared) > 1:
            compared["its best precision"] = PRECISIONS
        for name, precisions in compared.items():
            ours, torch = (rate_of(rows, dataset, model, frameworks, precisions) for frameworks in (["tfdvae"], FRAMEWORKS[2:]))
            lines.append(
                f"{dataset} {model}, {name}: tfdvae {ours / stock:.2f} x stock Keras in float32, {ours / torch:.2f} x the better PyTorch  "
            )
    for row in rows:
        if row["framework"] == "tfdvae":
            what = " ".join(row[name] for name in ("dataset", "model", "precision"))
            lines.append(f"{what}: 10,000 images are evaluated in {row['evaluation_seconds']} s  ")
    for dataset in sorted({row["dataset"] for row in rows}):
        if {row["model"] for row in rows if row["dataset"] == dataset} == set(MODELS):
            vae, dvae = (rate_of(rows, dataset, model, ["tfdvae"]) for model in MODELS)
            lines.append(f"{dataset}: a step of the dvae takes {vae / dvae:.2f} x one of the vae  ")
    return "\n".join(lines)


def rate_of(rows, dataset, model, frameworks, precisions=PRECISIONS):
    """Return the highest images per second among these frameworks and precisions."""
    wanted = (row for row in rows if (row["dataset"], row["model"]) == (dataset, model))
    return max(row["images_per_second"] for row in wanted if row["framework"] in frameworks and row["precision"] in precisions)


def write(rows, machine, output):
    """Write the table, the machine's description and a plot."""
    with open(output / "throughput.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    (output / "throughput.md").write_text(table(rows) + "\n")
    (output / "machine.json").write_text(json.dumps(machine, indent=2) + "\n")
    cases = sorted({(row["dataset"], row["model"]) for row in rows}, reverse=True)
    precisions = [precision for precision in PRECISIONS if any(row["precision"] == precision for row in rows)]
    width = 0.8 / len(precisions)
    figure = matplotlib.figure.Figure(figsize=(3 * len(cases), 3.4), layout="constrained")
    for axes, (dataset, model) in zip(figure.subplots(1, len(cases), squeeze=False)[0], cases):
        for i, precision in enumerate(precisions):
            chosen = {r["framework"]: r for r in rows if (r["dataset"], r["model"], r["precision"]) == (dataset, model, precision)}
            heights = [chosen[framework]["images_per_second"] for framework in FRAMEWORKS]
            spreads = [chosen[framework]["spread"] for framework in FRAMEWORKS]
            places = np.arange(len(FRAMEWORKS)) + (i - (len(precisions) - 1) / 2) * width
            axes.bar(places, heights, width, yerr=spreads, color=COLOURS[precision], label=precision)
        axes.set_xticks(range(len(FRAMEWORKS)), [framework.replace("-", "\n") for framework in FRAMEWORKS], fontsize=8)
        axes.set_title(f"{model}, {dataset}")
    figure.axes[0].set_ylabel("training images per second")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8)
    figure.savefig(output / "throughput.png", dpi=150)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(*sys.argv[2:])
    else:
        main()
