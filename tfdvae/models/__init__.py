"""One file a model; `base` has the one training and test step."""

from .autoencoder import Autoencoder
from .classifier import Classifier
from .dae import DAE
from .dvae import DVAE
from .im_dvae import ImDVAE
from .vae import VAE

__all__ = ["DAE", "DVAE", "VAE", "Autoencoder", "Classifier", "ImDVAE"]
