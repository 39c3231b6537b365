"""Where does the time of a run go? Seconds of `python train.py` in training steps, and in what it does around them.

    python benchmarks/run_parts.py [--preset mnist_5k] [--rounds 3] [--output results/speed]

Each round is a run in a process of its own. Counted is what follows the import of TensorFlow. "steps" is the number of steps times the
median step; the first step of a process, which is traced, takes longer, and the excess is "tracing".
"""

import argparse
import contextlib
import functools
import json
import pathlib
import statistics
import sys
import tempfile
import time

from machine import measured, write_csv

ROOT = pathlib.Path(__file__).parent.parent


def parts_of(preset):
    """Return part -> seconds of a run of a preset, in this process; "all" is its whole time."""
    import train
    from tfdvae.startup import import_tensorflow

    import_tensorflow()
    import keras

    from tfdvae.models.base import Model
    from tfdvae.training import callbacks, run

    class Steps(keras.callbacks.Callback):
        """Collect the seconds of every step."""

        def on_train_begin(self, logs=None):
            self.seconds = []

        def on_train_batch_begin(self, batch, logs=None):
            self.began = time.perf_counter()

        def on_train_batch_end(self, batch, logs=None):
            self.seconds.append(time.perf_counter() - self.began)

    parts, steps = {}, Steps()
    timed(parts, "validation", Model, "evaluate")
    timed(parts, "ends of epochs", callbacks.SaveEveryEpoch, "on_epoch_end")  # state, best weights, posteriors, frame
    timed(parts, "pictures", run, "draw_pictures")
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        train.main(preset, run_dir=f"{folder}/run", callbacks=[steps])
        whole = time.perf_counter() - began
    middle = statistics.median(steps.seconds)
    parts["steps"], parts["tracing"] = middle * len(steps.seconds), steps.seconds[0] - middle
    return {**parts, "other": whole - sum(parts.values()), "all": whole}


def timed(parts, part, owner, name):
    """Replace a function by one that adds its seconds to a part."""
    function = getattr(owner, name)

    @functools.wraps(function)
    def timing(*args, **kwargs):
        began = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            parts[part] = parts.get(part, 0.0) + time.perf_counter() - began

    setattr(owner, name, timing)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="mnist_5k")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "results" / "speed")
    options = parser.parse_args()

    rounds = [measured(__file__, "--run", options.preset) for _ in range(options.rounds)]
    rows = []
    for part in sorted(rounds[0], key=rounds[0].get, reverse=True):
        seconds = statistics.median(found[part] for found in rounds)
        share = statistics.median(found[part] / found["all"] for found in rounds)
        rows.append((part, f"{seconds:.2f}", f"{share:.3f}"))
        print(f"{part:>14} {seconds:7.2f} s {100 * share:5.1f} %")
    options.output.mkdir(parents=True, exist_ok=True)
    write_csv(options.output / "run_parts.csv", ("part", "seconds", "share"), rows)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        sys.path.insert(0, str(ROOT))
        with contextlib.redirect_stdout(sys.stderr):
            found = parts_of(sys.argv[2])
        print(json.dumps(found))
    else:
        main()
