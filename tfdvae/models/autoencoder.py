"""The autoencoder: it encodes an image to a short code and decodes the code, without noise."""

import keras
import tensorflow as tf
from keras import layers

from ..likelihoods import Bernoulli
from .base import Model


@keras.saving.register_keras_serializable("tfdvae")
class Autoencoder(Model):
    """Minimise -log p(x | code of x). The code is a linear function of the encoder's hidden vector.

    Args:
        encoder: layer, images -> hidden vector.
        decoder: layer, code -> the likelihood's parameters.
        likelihood: a likelihood from `tfdvae.likelihoods`.
        latent_dim: size of the code.
    """

    reconstructs = True
    term_names = ("loss", "reconstruction", "mse")
    config_names = ("encoder", "decoder", "likelihood", "latent_dim")
    head_name, head_size = "code", 1  # name of the layer that makes the code; its units per dimension of the code

    def __init__(self, encoder, decoder, likelihood, latent_dim, **kwargs):
        super().__init__(**kwargs)
        self.encoder, self.decoder = encoder, decoder
        self.likelihood, self.latent_dim = likelihood, latent_dim
        if isinstance(likelihood, Bernoulli):
            self.pixel_range = "unit"  # of other values its cross-entropy has no lower bound
        self.head = layers.Dense(self.head_size * latent_dim, dtype="float32", name=self.head_name)

    @classmethod
    def arguments(cls, parts, passes=1):
        return {
            "encoder": parts.encoder("encoder", passes),
            "decoder": parts.decoder("decoder"),
            "likelihood": parts.likelihood(),
            "latent_dim": parts.chosen.latent_dim,
        }

    def build(self, input_shape):
        super().build(input_shape)
        self.encoder.build(input_shape)
        self.head.build(self.encoder.compute_output_shape(input_shape))
        self.decoder.build((None, self.latent_dim))

    def encode(self, images):
        """Return the code of images: (B, latent_dim)."""
        return self.head(self.encoder(self.checked(images)))

    def codes(self, images):
        """Return one vector per image, for plots and the linear probe: (B, latent_dim)."""
        return self.head(self.encoder(images))

    def decode(self, codes):
        """Return the mean image of each code: (B, H, W, C)."""
        return self.likelihood.mean(self.decoder(codes))

    def output(self, images, seed=None):
        """Return the likelihood's parameters for each image's reconstruction; `seed` as in `reconstruct`. The images are not checked."""
        return self.decoder(self.codes(images))

    def reconstruct(self, images, seed=None):
        """Return the mean output of each image: (B, H, W, C).

        Args:
            images: (B, H, W, C), scaled as in training.
            seed: pair of integers for the noise that the model has in training; None means no noise.
        """
        return self.likelihood.mean(self.output(self.checked(images), seed))

    def sample(self, n, seed=0):
        """Raise ValueError: this model has no prior."""
        raise ValueError(f"Expected a model with a prior, such as vae or dvae. Received {self.name}, which has no prior to sample from.")

    def call(self, images, training=False):
        return self.likelihood.mean(self.output(images))

    def loss_terms(self, images, labels=None, training=False, seed=None):
        outputs = self.decoder(self.head(self.encoder(images, training=training)), training=training)
        return self.reconstruction_terms(images, outputs)

    def reconstruction_terms(self, images, outputs):
        """Return the terms of a loss that is only the reconstruction."""
        reconstruction = self.likelihood.negative_log_likelihood(images, outputs)
        return {"reconstruction": reconstruction, "mse": self.mean_squared_error(images, outputs), "loss": reconstruction}

    def notes(self, image_shape):
        return [note for note in [self.likelihood.note(image_shape)] if note]

    def mean_squared_error(self, images, outputs):
        """Return the mean squared error per pixel of the likelihood's mean: (B,)."""
        return tf.reduce_mean(tf.square(images - self.likelihood.mean(outputs)), axis=(1, 2, 3))
