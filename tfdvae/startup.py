"""Import TensorFlow without the lines that it prints about itself, and without losing any other."""

import logging
import os
import pathlib
import re
import signal
import sys

# Lines of information (I0000 …) and the notices around them. Warnings, errors and whatever else is printed pass. That there is no
# usable CUDA is an error to TensorFlow; where the machine has no NVIDIA device, it is none to anyone.
CHATTER = rb"^I\d{4} |^WARNING: All log messages before absl::InitializeLog|^To enable the following instructions:"
NO_CUDA = rb"|^[WE]\d{4} .*(cuInit|cuda drivers|libcuda)"
RETRACED = "triggered tf.function retracing"  # a warning of functions made again and again; here every run must have its own


def import_tensorflow():
    """Import TensorFlow and have it look for devices, with its start-up lines filtered out of standard error.

    TF_CPP_MIN_LOG_LEVEL cannot do it: the lines printed before TensorFlow has set up its logging ignore it. So for the time of the
    import standard error goes through a child process, which passes on every other line even if this process should die.
    """
    if "tensorflow" in sys.modules:
        return
    logging.getLogger("tensorflow").addFilter(lambda record: RETRACED not in record.getMessage())
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # no lines of information later on, warnings stay
    if not hasattr(os, "fork"):
        import tensorflow  # noqa: F401

        return
    pattern = re.compile(CHATTER if pathlib.Path("/dev/nvidiactl").exists() else CHATTER + NO_CUDA)
    sys.stderr.flush()
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent; the pipe ends with it
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
