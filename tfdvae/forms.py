"""Parameters that are a text of a certain form, such as `gaussian:SIGMA`, and what the text says.

Each function raises ValueError for another text. This module needs no TensorFlow.
"""

import math

from PIL import ImageColor

CORRUPTIONS = ("gaussian", "masking", "salt_and_pepper")
COUNT_LIMIT = 2**31 - 1  # epochs, images or steps


def parse_corruption(spec):
    """Return kind and amount of "gaussian:SIGMA", "masking:FRACTION" or "salt_and_pepper:FRACTION"; raise ValueError for another text."""
    kind, _, amount = spec.partition(":")
    amount = float(amount)
    if kind not in CORRUPTIONS or not 1e-9 <= amount <= (1e9 if kind == "gaussian" else 1):
        raise ValueError
    return kind, amount


def parse_kl_schedule(spec):
    """Return kind and numbers of "constant", "linear:STEPS" or "wait:NATS:STEP"; raise ValueError for another text."""
    kind, *amounts = spec.split(":")
    numbers = tuple(map(int if kind == "linear" else float, amounts))
    valid = {
        "constant": numbers == (),
        "linear": len(numbers) == 1 and 1 <= numbers[0] <= COUNT_LIMIT,
        "wait": len(numbers) == 2 and all(map(math.isfinite, numbers)) and numbers[1] > 0,
    }
    if not valid.get(kind, False):
        raise ValueError
    return kind, numbers


def parse_background(spec):
    """Return red, green and blue (0 to 255) of a colour such as "white" or "#ff8000", or None for "none"."""
    if spec == "none":
        return None
    colour = ImageColor.getrgb(spec)
    if len(colour) != 3 or max(colour) > 255:  # "#ff800080" is half transparent
        raise ValueError
    return colour
