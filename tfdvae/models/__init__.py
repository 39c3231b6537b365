"""The models, one file per model. `base` has the training and test step of all models."""

from .autoencoder import Autoencoder
from .classifier import Classifier
from .dae import DAE
from .dvae import DVAE
from .im_dvae import ImDVAE
from .vae import VAE

__all__ = ["DAE", "DVAE", "VAE", "Autoencoder", "Classifier", "ImDVAE"]
