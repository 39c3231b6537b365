"""Where a training step's time goes: TensorFlow's profiler over steps of `vae` and `dvae`, summed by kind of operation.

    python benchmarks/profile_step.py [--output results/speed]

Times are those of the operations on whichever thread ran them, so with two cores a step's operations can take up to twice its duration.
"""

import argparse
import collections
import csv
import json
import pathlib
import re
import sys
import tempfile

from machine import measured

ROOT = pathlib.Path(__file__).parent.parent
STEPS = 30
PREFIXES = re.compile("^_?(Mkl)?(Native)?(PadWith)?(Fused(?!Batch))?")  # of operations that are oneDNN's, or several in one
KINDS = {  # kind: beginnings of operations' names, without prefixes; the first that fits
    "convolutions": ("Conv2D", "Transpose", "Pad"),  # the latter are parts of `tfdvae.kernels.convolutions`
    "matrix products": ("MatMul",),
    "batch norm": ("FusedBatchNorm",),
    "casts": ("Cast",),
    "optimizer": ("ResourceApplyAdam",),
    "ReLU": ("Relu",),
}
OTHER = "other"


def work(model, dataset):
    """Profile one model in this process, and print milliseconds a step of each kind, as JSON."""
    from tfdvae.startup import import_tensorflow

    import_tensorflow()
    import keras
    import tensorflow as tf
    from throughput import BATCH, build

    from tfdvae import data
    from tfdvae.training.fit import compile_model, make_deterministic
    from tfdvae.training.run import resolve_precision

    make_deterministic(0)
    loaded = data.load_dataset(dataset)
    built = build(model, dataset, loaded.image_shape, resolve_precision("auto"))
    compile_model(built, 1e-3)
    with tempfile.TemporaryDirectory() as folder:

        class Watch(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                if batch == 20:
                    tf.profiler.experimental.start(folder)
                if batch == 20 + STEPS:
                    tf.profiler.experimental.stop()

        built.fit(loaded.train(BATCH), steps_per_epoch=21 + STEPS, epochs=1, verbose=0, shuffle=False, callbacks=[Watch()])
        print(json.dumps(read_profile(folder)))


def read_profile(folder):
    """Return milliseconds a step (kind -> number) of the newest profile in a folder."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    (path,) = pathlib.Path(folder).rglob("*.xplane.pb")
    planes = xplane_pb2.XSpace.FromString(path.read_bytes()).planes
    found = collections.Counter()
    for plane in (plane for plane in planes if plane.name == "/host:CPU"):
        names = {key: each.name for key, each in plane.event_metadata.items()}
        for line in plane.lines:
            for event in line.events:
                if kind := kind_of(names[event.metadata_id]):
                    found[kind] += event.duration_ps / 1e9 / STEPS
    return found


def kind_of(name):
    """Return the kind of an operation, whose event is named PATH:OPERATION; None of any other event, and of those that call others."""
    path, colon, operation = name.partition(":")
    if not colon or "/" not in path or ":" in operation:
        return None
    operation = PREFIXES.sub("", operation)
    if not operation or operation.startswith(("Partitioned", "StatefulPartitioned", "Iterator", "OptionalGetValue")):
        return None
    return next((kind for kind, beginnings in KINDS.items() if operation.startswith(beginnings)), OTHER)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "results" / "speed")
    options = parser.parse_args()

    options.output.mkdir(parents=True, exist_ok=True)
    kinds = [*KINDS, OTHER]
    with open(options.output / "profile.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("dataset", "model", "kind", "milliseconds", "share"))
        for dataset in ("mnist", "cifar10"):
            for model in ("vae", "dvae"):
                found = measured(__file__, "--work", model, dataset)
                total = sum(found.values())
                shares = ", ".join(f"{kind} {found.get(kind, 0) / total:.0%}" for kind in kinds)
                print(f"{dataset} {model}: {total:.0f} ms of operations a step: {shares}", flush=True)
                writer.writerows((dataset, model, kind, f"{found.get(kind, 0):.2f}", f"{found.get(kind, 0) / total:.3f}") for kind in kinds)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(*sys.argv[2:])
    else:
        main()
