"""What the benchmarks share: processes of their own for what is measured, and what numbers depend on."""

import csv
import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess
import sys

MATRIX = """
import sys, time
import tensorflow as tf
a = tf.cast(tf.random.normal((2048, 2048)), sys.argv[1])
multiply = tf.function(lambda: tf.reduce_sum(tf.cast(a @ a, tf.float32)))
multiply().numpy()
best = float("inf")
for _ in range(20):
    began = time.perf_counter()
    multiply().numpy()
    best = min(best, time.perf_counter() - began)
print(2 * 2048**3 / best)
"""
PACKAGES = ("tfdvae", "tensorflow", "keras", "torch", "pythae", "numpy")


def measured(script, *words, **environment):
    """Run a Python script, or with "-c" some code, in a process of its own, on the CPU; return its last line, which is JSON.

    Raises:
        RuntimeError: it failed; the message has the end of what it said.
    """
    command = [sys.executable, script, *map(str, words)]
    settings = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""} | environment
    done = subprocess.run(command, capture_output=True, text=True, env=settings)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, words))} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def write_csv(path, header, rows):
    """Write rows of values, and a header above them."""
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def matrix_rate(precision):
    """Return the floating-point operations per second of a product of two 2048 x 2048 matrices in TensorFlow, the best of twenty."""
    return measured("-c", MATRIX, precision)


def precisions_of_processor():
    """Return the precisions that the processor multiplies in hardware."""
    return ("float32", "bfloat16") if {"avx512_bf16", "amx_bf16"} & set(describe_machine()["instructions"]) else ("float32",)


def describe_machine():
    """Return processor, cores, memory in GiB, system and versions."""
    information = pathlib.Path("/proc/cpuinfo").read_text() if pathlib.Path("/proc/cpuinfo").exists() else ""
    found = dict(tuple(map(str.strip, line.split(":", 1))) for line in information.splitlines() if ":" in line)
    return {
        "processor": found.get("model name", platform.processor()),
        "cores": os.cpu_count(),
        "instructions": sorted({"avx2", "avx512f", "avx512_bf16", "amx_bf16"} & set(found.get("flags", "").split())),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: version for name in PACKAGES if (version := version_of(name))},
    }


def version_of(package):
    """Return a package's version, or None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
