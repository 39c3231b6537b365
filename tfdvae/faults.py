"""What a machine does to a process that trains or evaluates, told in one sentence."""

import contextlib
import re

import tensorflow as tf

from .errors import Fault
from .files import printable, reason


@contextlib.contextmanager
def told(where, ending):
    """Turn failures of the machine into `Fault`: files that cannot be written or read, memory that ran out, an error in TensorFlow.

    Args:
        where: folder that was being written.
        ending: function that returns the last sentence: what is kept.
    """
    try:
        yield
        return
    except OSError as error:
        stopped = f"{error.filename or where} cannot be written or read ({error.strerror or reason(error)})"
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        stopped = "memory ran out, of which smaller images, batches or networks need less"
        if "No space left" in str(error):  # TensorBoard's writer calls a full disk an exhausted resource
            stopped = f"{where} cannot be written (No space left on device)"
    except tf.errors.OpError as error:
        stopped = f"TensorFlow failed ({_core(error)})"
    raise Fault(f"{stopped}. {ending()}") from None


def _core(error):
    """Return the line of a TensorFlow error that says what happened, from among those that say where."""
    places = ("Graph execution error", "Detected at node", "<stack traces", "Traceback", " ", "\t")
    lines = [re.sub(r"^{{.*?}} ", "", line) for line in str(error).splitlines() if line and not line.startswith(places)]
    line = (lines or [type(error).__name__])[0]
    return printable(line.rpartition("assertion failed: ")[2]).strip("[]'\" .")  # an assertion may stand behind the pipeline it is in
