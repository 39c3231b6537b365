"""Import TensorFlow without its start-up lines; all other lines are printed."""

import contextlib
import logging
import os
import pathlib
import re
import signal
import sys

# Lines of information (I0000 …) and the notices around them. Warnings, errors and all other lines pass. TensorFlow reports a missing
# CUDA as an error; on a machine without an NVIDIA device it is not an error, so NO_CUDA is hidden there.
CHATTER = rb"^I\d{4} |^WARNING: All log messages before absl::InitializeLog|^To enable the following instructions:"
NO_CUDA = rb"|^[WE]\d{4} .*(cuInit|cuda drivers|libcuda)"
RETRACED = "triggered tf.function retracing"  # a warning about many tf.functions; every run needs its own


@contextlib.contextmanager
def importing(interrupts, importer=None):
    """Say that this block imports TensorFlow, which takes seconds, and let a signal wait for its end: an import must not be interrupted.

    Args:
        interrupts: `Interrupts`.
        importer: function that imports TensorFlow before anything else does, or None.
    """
    if "tensorflow" not in sys.modules:
        print("Importing TensorFlow ...", flush=True)
    with interrupts.deferred():
        if importer:
            importer()
        yield


def import_tensorflow():
    """Import TensorFlow, let it look for devices, and filter its start-up lines out of standard error.

    TF_CPP_MIN_LOG_LEVEL does not hide the lines that TensorFlow prints before its logging is set up. So during the import, standard error
    goes through a child process, which passes all other lines on, even if this process dies.
    """
    if "tensorflow" in sys.modules:
        return
    logging.getLogger("tensorflow").addFilter(lambda record: RETRACED not in record.getMessage())
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # hide later lines of information, keep warnings
    if not hasattr(os, "fork"):
        import tensorflow  # noqa: F401

        return
    pattern = re.compile(CHATTER if pathlib.Path("/dev/nvidiactl").exists() else CHATTER + NO_CUDA)
    sys.stderr.flush()
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent; when it ends, the pipe closes
            os.close(write_end)
            with os.fdopen(read_end, "rb") as lines, os.fdopen(2, "wb", buffering=0, closefd=False) as terminal:
                for line in lines:
                    if not pattern.search(line):
                        terminal.write(line)
        finally:
            os._exit(0)
    os.close(read_end)
    terminal = os.dup(2)
    os.dup2(write_end, 2)
    os.close(write_end)
    try:
        import tensorflow as tf

        tf.config.list_logical_devices()
    finally:
        sys.stderr.flush()
        os.dup2(terminal, 2)
        os.close(terminal)
        os.waitpid(child, 0)
