"""Failures as sentences: an `InputError` is for the user to mend, a `Fault` comes from the machine."""

import contextlib
import difflib
import re
import unicodedata

JOINERS = "\u200c\u200d"  # part of the spelling of Persian and of emoji; invisible


class InputError(ValueError):
    """An input cannot be used. The message is one sentence: the name of the input, its value, the expected values, and a way out."""


class Fault(RuntimeError):
    """The machine or the arithmetic failed; no check could foresee it. The message says what happened and which files are kept."""


class NonFiniteLoss(Fault, ArithmeticError):
    """A term of the objective became NaN or infinite. The message names the term and the step."""


def reason(error):
    """Return an exception's first line, for use within a sentence."""
    text = str(error).strip().splitlines()
    return printable(text[0]).rstrip(".") if text else type(error).__name__


def short_reason(error):
    """Return `reason`, of an error of the system without its number and its path."""
    return getattr(error, "strerror", None) or reason(error)


def printable(text):
    """Return a text from elsewhere as it can be printed: at most 200 characters, none of which steers a terminal."""
    text = str(text)[:200]
    return text if text.isprintable() else ascii(text)


def legible(text):
    r"""Return a name on one line, in characters that can be seen and encoded: \n for a newline, \xe9 for a byte that is not UTF-8."""
    return "".join(map(_legible_character, unicodedata.normalize("NFC", str(text))))


def _legible_character(character):
    if unicodedata.category(character) == "Zs":  # a wide or a no-break space
        return " "
    if character.isprintable() or character in JOINERS:
        return character
    if "\udc80" <= character <= "\udcff":  # a byte, as os.fsdecode gives it
        return f"\\x{ord(character) - 0xDC00:02x}"
    return ascii(character)[1:-1]


def counted(number, noun):
    """Return "1 epoch" or "1,000 epochs"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def refusal(name, value, expected, advice=""):
    """Return the InputError for a value: it names the parameter, the value, the expected values and a way out."""
    value = tuple(value) if isinstance(value, list) else value  # as a record gives it back, a tuple is a list
    return InputError(f"{name}: received {shortened(value)}; expected {expected}{advice and '; ' + advice}.")


def unknown(name, value, known, advice=""):
    """Return the InputError for a name that is not among those known, with the nearest of them."""
    near = nearest(value, known)
    hint = f"did you mean {near}? Expected" if near else "expected"
    return InputError(f"{name}: received {shortened(value)}; {hint} one of {', '.join(known)}{advice and '; ' + advice}.")


def shortened(value):
    """Return the `repr` of a value, at most 200 characters of it."""
    return repr(value) if len(repr(value)) <= 200 else f"{repr(value)[:200]}…"


def nearest(name, known):
    """Return the known name that is nearest to a misspelt one, or None where none is near."""
    return next(iter(difflib.get_close_matches(str(name), known, 1, cutoff=0.7)), None)


@contextlib.contextmanager
def reported_as_fault(folder, kept):
    """Turn failures of the machine into `Fault`: files that cannot be written or read, memory that ran out, an error in TensorFlow.

    Args:
        folder: the folder that is being written.
        kept: function that returns the last sentence, about the files that are kept.
    """
    try:
        yield
    except Exception as error:
        happened = _failure_of_machine(error, folder)
        if happened is None:
            raise
        raise Fault(f"{happened}. {kept()}") from None


def _failure_of_machine(error, folder):
    """Return a failure of the machine in words, or None for any other exception.

    TensorFlow's exceptions are known by their names: this module is also used where TensorFlow must not be imported.
    """
    if isinstance(error, BrokenPipeError):  # the reader of our output has ended, which is for `cli.exit_status`
        return None
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if isinstance(error, OSError):
        return f"{error.filename or folder} cannot be written or read ({short_reason(error)})"
    if isinstance(error, MemoryError) or "ResourceExhaustedError" in kinds:
        if "No space left" in str(error):  # TensorBoard's writer calls a full disk an exhausted resource
            return f"{folder} cannot be written (No space left on device)"
        return "memory ran out; smaller images, batches or networks need less"
    return f"TensorFlow failed ({_tensorflow_reason(error)})" if "OpError" in kinds else None


def _tensorflow_reason(error):
    """Return the line of a TensorFlow error that has the reason, without the lines that have the place."""
    places = ("Graph execution error", "Detected at node", "<stack traces", "Traceback", " ", "\t")
    lines = [re.sub(r"^{{.*?}} ", "", line) for line in str(error).splitlines() if line and not line.startswith(places)]
    line = (lines or [type(error).__name__])[0]
    return printable(line.rpartition("assertion failed: ")[2]).strip("[]'\" .")  # an assertion comes after the name of its pipeline
