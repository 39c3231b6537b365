"""One file a model; `base` has the one training and test step."""

from .classifier import Classifier
from .dae import DAE
from .dvae import DVAE
from .vae import VAE

__all__ = ["DAE", "DVAE", "VAE", "Classifier"]
