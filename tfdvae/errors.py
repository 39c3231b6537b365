"""The one exception that a script turns into a sentence."""


class InputError(ValueError):
    """Something that the user gave cannot be used. The message is one sentence or two: what, what was received, what to do."""
