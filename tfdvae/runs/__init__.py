"""Run folders: one training each, and all that is read from them. `checkpoint` needs TensorFlow, the rest does not."""

from .folder import Run

__all__ = ["Run"]
