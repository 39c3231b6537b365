"""Kill trainings at random moments, resume them, and compare what they end with: python tests/kill_and_resume.py [--trials 30].

A trial trains a model on digits, is killed with SIGKILL at a moment drawn uniformly from the time between the run's first file and its
end (drawn again where the end came first), is resumed until done, and must end with the very numbers of an uninterrupted run, bit for
bit: best.safetensors, last.safetensors (weights, optimizer, random state, history) and history.csv.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tfdvae.runs import files  # noqa: E402
from tfdvae.runs import folder as names  # noqa: E402


def start(model, folder, *words):
    """Start train.py on digits, its output going to a file beside the run's folder."""
    with open(folder.with_suffix(".log"), "ab") as log:
        command = [sys.executable, str(ROOT / "train.py"), "digits", "--model", model, "--run-dir", str(folder), *map(str, words)]
        return subprocess.Popen(command, stdout=log, stderr=log)


def digest(folder):
    """Return a SHA-256 over everything that a run ends with."""
    found = hashlib.sha256((folder / names.HISTORY).read_bytes())
    for name in (names.BEST, names.LAST):
        arrays, metadata = files.unpacked_tensors(folder / name)
        found.update(json.dumps(metadata, sort_keys=True).encode())
        for name, array in sorted(arrays.items()):
            found.update(name.encode() + array.tobytes())
    return found.hexdigest()


def wait_for_record(process, folder):
    """Return once the run has written its first file."""
    while not (folder / names.RECORD).exists() and process.poll() is None:
        time.sleep(0.01)


def uninterrupted(model, folder, *words):
    """Train without interruption; return its digest and the seconds between the run's first file and its end."""
    process = start(model, folder, *words)
    wait_for_record(process, folder)
    began = time.monotonic()
    if process.wait() != 0:
        raise RuntimeError(f"train.py failed: {folder.with_suffix('.log').read_text()}")
    return digest(folder), time.monotonic() - began


def killed_and_resumed(model, folder, draw, seconds, *words):
    """Train, kill after a random time up to `seconds` from the run's first file, resume; return the state that was found, and the digest.

    A run that ends before its kill does not count: it is made anew, with another moment.
    """
    while True:
        process = start(model, folder, *words)
        wait_for_record(process, folder)
        time.sleep(draw.uniform(0, seconds))
        process.send_signal(signal.SIGKILL)
        if process.wait() != 0:
            break
        shutil.rmtree(folder)
    partial = any(folder.glob(".*.tmp"))
    found = "while writing" if partial else "later" if (folder / names.LAST).exists() else "in the first epoch"
    if start(model, folder, "--resume", *words).wait() != 0:
        raise RuntimeError(f"train.py --resume failed: {folder.with_suffix('.log').read_text()}")
    return found, digest(folder)


def trials(model, count, folder, words, seed=0, jobs=1):
    """Return, for `count` trials, (state that the kill left, whether the end is that of an uninterrupted run)."""
    expected, seconds = uninterrupted(model, folder / f"{model}-uninterrupted", *words)
    draws = [random.Random(f"{model} {seed} {i}") for i in range(count)]
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        done = pool.map(lambda i: killed_and_resumed(model, folder / f"{model}-{i}", draws[i], seconds, *words), range(count))
        return [(found, ended == expected) for found, ended in done]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["vae", "dvae", "classifier"])
    parser.add_argument("--trials", type=int, default=30, help="kills of each model")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--jobs", type=int, default=1, help="trials at the same time")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    lost = 0
    print("| model | killed and resumed | equal to an uninterrupted run | killed in the first epoch | later | while writing |")
    print("|---|---|---|---|---|---|")
    for model in options.models:
        with tempfile.TemporaryDirectory() as folder:
            words = ("--epochs", options.epochs)
            results = trials(model, options.trials, pathlib.Path(folder), words, options.seed, options.jobs)
        equal = sum(same for _, same in results)
        lost += options.trials - equal
        states = [sum(found == state for found, _ in results) for state in ("in the first epoch", "later", "while writing")]
        print(f"| {model} | {options.trials} | {equal} | {' | '.join(map(str, states))} |", flush=True)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
