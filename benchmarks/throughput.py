"""Images per second in training: tfdvae, stock Keras and PyTorch on the same network, batch and data.

    pip install -e ".[bench]"
    python benchmarks/throughput.py [--rounds 3] [--output results/speed]

Every measurement is a process of its own; the frameworks take turns within a round, so that a slow minute of the machine meets all of
them. Before anything is timed, the networks must have the same number of parameters and, with tfdvae's weights, the same loss.
"""

import argparse
import csv
import json
import os
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

BATCH = 128
SECONDS = 6.0  # of measurement, after the warm-up
WARM_UP = 12  # steps
IMAGES = 12_800
NETWORKS = {  # data: (channels, units, latent_dim)
    "mnist": ((32, 64), (256,), 50),
    "cifar10": ((64, 128, 256), (512,), 100),
}
FRAMEWORKS = ("tfdvae", "keras", "pytorch-eager", "pytorch-compiled")
COLUMNS = ("framework", "precision", "model", "dataset", "batch_size", "images_per_second", "spread")


class Clock:
    """Counts steps: the time to the first, then images per second over at least `SECONDS` after the warm-up."""

    def __init__(self):
        self.steps, self.first, self.rate = 0, None, None

    def step(self):
        """Count a finished step; return whether that is enough."""
        now = time.perf_counter()
        self.steps += 1
        if self.steps == 1:
            self.first = time.time()
        if self.steps == WARM_UP:
            self.began = now
        if self.steps > WARM_UP and now - self.began >= SECONDS:
            self.rate = (self.steps - WARM_UP) * BATCH / (now - self.began)
        return self.rate is not None


def train_tfdvae(model, precision, dataset, arrays, clock):
    import keras
    import tensorflow as tf

    from tfdvae import data, training
    from tfdvae.build import build_model

    channels, units, latent_dim = NETWORKS[dataset]
    images = data.load_dataset(dataset)
    built = build_model(
        model=model,
        image_shape=images.image_shape,
        channels=channels,
        hidden_units=units,
        latent_dim=latent_dim,
        precision=precision,
    )
    if not os.path.exists(arrays["weights"]):
        networks = [built.encoder, built.head, built.decoder, *([built.denoising_decoder] if model == "dvae" else [])]
        np.savez(arrays["weights"], *[np.asarray(v) for network in networks for v in network.trainable_variables])
    draw = built.draw_latent
    built.draw_latent = lambda mean, *_: (mean, tf.zeros_like(mean))
    loss = float(tf.reduce_mean(built.loss_terms(tf.constant(arrays["images"][:BATCH] / np.float32(255)), training=True)["loss"]))
    built.draw_latent = draw
    training.compile_model(built, 1e-3)

    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = clock.step()

    built.fit(images.train(BATCH), steps_per_epoch=10**6, epochs=1, verbose=0, shuffle=False, callbacks=[Stop()])
    return loss, sum(int(np.prod(v.shape)) for v in built.trainable_variables)


def train_keras(model, precision, dataset, arrays, clock):
    import keras
    import tensorflow as tf
    from stock_keras import StockVAE

    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")
    images = arrays["images"].astype(np.float32) / np.float32(255)
    built = StockVAE(model, images.shape[1:], *NETWORKS[dataset])
    built.build((None, *images.shape[1:]))
    with np.load(arrays["weights"]) as weights:
        variables = [v for network in built.networks() for v in network.trainable_variables]
        for variable, name in zip(variables, weights.files, strict=True):
            variable.assign(weights[name])
    loss = float(tf.reduce_mean(built.losses_of(tf.constant(images[:BATCH]), 0.0)))
    built.compile(optimizer=keras.optimizers.Adam(1e-3))

    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = clock.step()

    batches = tf.data.Dataset.from_tensor_slices(images).shuffle(len(images)).repeat().batch(BATCH).prefetch(2)
    built.fit(batches, steps_per_epoch=10**6, epochs=1, verbose=0, callbacks=[Stop()])
    return loss, sum(int(np.prod(v.shape)) for v in built.trainable_variables)


def train_pytorch(model, precision, dataset, arrays, clock, compiled):
    import contextlib

    import torch
    from pytorch import TorchVAE

    images = torch.from_numpy(arrays["images"]).permute(0, 3, 1, 2)  # channels last in memory
    built = TorchVAE(model, arrays["images"].shape[1:], *NETWORKS[dataset]).to(memory_format=torch.channels_last)
    with np.load(arrays["weights"]) as weights:
        built.set_weights([weights[name] for name in weights.files])
    latent_dim = NETWORKS[dataset][2]
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
                return loss, sum(p.numel() for p in built.parameters())


def work(framework, precision, model, dataset, folder):
    """Measure one configuration in this process, and print the result as JSON."""
    began = time.time()
    arrays = {"images": np.load(f"{folder}/{dataset}.npy"), "weights": f"{folder}/{model}-{dataset}.npz"}
    clock = Clock()
    if framework == "tfdvae":
        from tfdvae.startup import import_tensorflow

        import_tensorflow()
        loss, parameters = train_tfdvae(model, precision, dataset, arrays, clock)
    elif framework == "keras":
        loss, parameters = train_keras(model, precision, dataset, arrays, clock)
    else:
        loss, parameters = train_pytorch(model, precision, dataset, arrays, clock, framework == "pytorch-compiled")
    print(
        json.dumps(
            {
                "images_per_second": clock.rate,
                "start_up_seconds": clock.first - began,
                "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "loss": loss,
                "parameters": parameters,
            }
        )
    )


def measure(framework, precision, model, dataset, folder):
    """Return what a process of its own measured."""
    words = [framework, precision, model, dataset, folder]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, __file__, "--work", *words], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def check_alike(results):
    """Raise where two frameworks have not the same number of parameters, or in float32 not the same loss."""
    for (framework, precision, model, dataset), rounds in results.items():
        ours = results["tfdvae", precision, model, dataset][0]
        tolerance = 1e-4 if precision == "float32" else 1e-2
        theirs = rounds[0]
        if theirs["parameters"] != ours["parameters"] or abs(theirs["loss"] / ours["loss"] - 1) > tolerance:
            raise RuntimeError(f"{framework} {precision} {model} {dataset}: {theirs} is another network than {ours}")


def training_flops(dataset, model):
    """Return floating-point operations per image of one training step: two per multiply-add, three passes."""
    channels, units, latent_dim = NETWORKS[dataset]
    side, inputs = (28, 1) if dataset == "mnist" else (32, 3)
    convolutions = 0
    for n in channels:
        side //= 2
        convolutions += 16 * inputs * n * side * side
        inputs = n
    flat = side * side * channels[-1]
    dense = flat * units[0]
    encode = convolutions + dense
    decode = convolutions + dense + latent_dim * units[0]
    total = encode + units[-1] * 2 * latent_dim + decode
    if model == "dvae":
        total += encode + convolutions + dense + units[-1] * units[0]
    return 6 * total


def matrix_rate(precision):
    """Return floating-point operations per second of a 2048 x 2048 x 2048 matrix product in TensorFlow, the best of ten."""
    code = (
        "import time, tensorflow as tf\n"
        f"a = tf.cast(tf.random.normal((2048, 2048)), '{precision}')\n"
        "f = tf.function(lambda: tf.reduce_sum(tf.cast(a @ a, tf.float32)))\n"
        "f().numpy()\n"
        "best = 9e9\n"
        "for _ in range(10):\n"
        "    t = time.perf_counter(); f().numpy(); best = min(best, time.perf_counter() - t)\n"
        "print(2 * 2048**3 / best)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"})
    return float(done.stdout.split()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frameworks", nargs="+", choices=FRAMEWORKS, default=FRAMEWORKS)
    parser.add_argument("--precisions", nargs="+", choices=("float32", "bfloat16"), default=("float32", "bfloat16"))
    parser.add_argument("--models", nargs="+", choices=("vae", "dvae"), default=("vae", "dvae"))
    parser.add_argument("--datasets", nargs="+", choices=tuple(NETWORKS), default=tuple(NETWORKS))
    parser.add_argument("--output", type=pathlib.Path)
    options = parser.parse_args()

    from tfdvae import data

    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for dataset in options.datasets:
            np.save(f"{folder}/{dataset}.npy", data.load_dataset(dataset).parts[0].arrays[0].numpy()[:IMAGES])
        for number in range(options.rounds):
            for dataset in options.datasets:
                for model in options.models:
                    for precision in options.precisions:
                        for framework in options.frameworks:
                            key = (framework, precision, model, dataset)
                            found = measure(*key, folder)
                            results.setdefault(key, []).append(found)
                            print(f"round {number + 1}: {' '.join(key)}: {found['images_per_second']:,.0f} images/s", flush=True)
    check_alike(results)
    report(results, {p: matrix_rate(p) for p in options.precisions}, options.output)


def report(results, rates, output):
    """Print a table, and write it as CSV where an output folder is given."""
    median = {key: statistics.median(r["images_per_second"] for r in rounds) for key, rounds in results.items()}
    rows = []
    print("| data | model | precision | framework | images/s | to stock Keras float32 | start-up, s | peak, MiB | share of matrix rate |")
    print("|---|---|---|---|---|---|---|---|---|")
    for (framework, precision, model, dataset), rounds in sorted(results.items(), key=lambda item: item[0][::-1]):
        values = [r["images_per_second"] for r in rounds]
        middle = median[framework, precision, model, dataset]
        spread = (max(values) - min(values)) / 2
        stock = median.get(("keras", "float32", model, dataset))
        share = middle * training_flops(dataset, model) / rates[precision]
        start_up = statistics.median(r["start_up_seconds"] for r in rounds)
        peak = statistics.median(r["peak_mib"] for r in rounds)
        ratio = f"{middle / stock:.2f}" if stock else ""
        print(
            f"| {dataset} | {model} | {precision} | {framework} | {middle:,.0f} ± {spread:,.0f} | {ratio} | {start_up:.1f} | {peak:,.0f} | {share:.0%} |"
        )
        rows.append((framework, precision, model, dataset, BATCH, f"{middle:.0f}", f"{spread:.0f}"))
    print(f"2048³ matrix product: {', '.join(f'{p} {rate / 1e9:,.0f} GFLOP/s' for p, rate in rates.items())}; {platform.machine()}, {os.cpu_count()} cores")
    if output:
        output.mkdir(parents=True, exist_ok=True)
        with open(output / "throughput.csv", "w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(rows)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(*sys.argv[2:])
    else:
        main()
