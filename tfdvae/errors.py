"""The exceptions that a script turns into a sentence."""


class InputError(ValueError):
    """Something that the user gave cannot be used. The message is a sentence: what, what was received, what is expected, what to do."""


class Fault(RuntimeError):
    """The machine failed, or the numbers did, which no check could foresee. The message is a sentence: what happened, what is kept."""


class NonFiniteLoss(Fault, ArithmeticError):
    """A term of the objective became NaN or infinite. The message names the term and the step."""


def check_choice(name, value, known):
    """Raise ValueError where a value is not among those known."""
    if value not in known:
        raise ValueError(f"Expected {name} to be one of {', '.join(known)}. Received {value!r}.")
