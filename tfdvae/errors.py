"""The exceptions that a script turns into a sentence."""


class InputError(ValueError):
    """Something that the user gave cannot be used. The message is a sentence: what, what was received, what is expected, what to do."""


class NonFiniteLoss(ArithmeticError):
    """A term of the objective became NaN or infinite. The message names the term and the step."""
