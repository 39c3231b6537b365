"""The denoising autoencoder (Vincent et al. 2008)."""

import keras
from keras import layers

from .base import Model


@keras.saving.register_keras_serializable("tfdvae")
class DAE(Model):
    """Minimises -log p(x | code of corrupted x): corrupted image in, clean image out.

    Args:
        encoder: layer, images -> hidden vector; the code is read off it linearly.
        decoder: layer, code -> the likelihood's parameters.
        corruption: of `tfdvae.corruptions`.
        likelihood: of `tfdvae.likelihoods`.
        latent_dim: size of the code.
    """

    term_names = ("loss", "reconstruction")
    config_names = ("encoder", "decoder", "corruption", "likelihood", "latent_dim")

    def __init__(self, encoder, decoder, corruption, likelihood, latent_dim, **kwargs):
        super().__init__(**kwargs)
        self.encoder, self.decoder = encoder, decoder
        self.corruption, self.likelihood = corruption, likelihood
        self.latent_dim = latent_dim
        self.code = layers.Dense(latent_dim, dtype="float32", name="code")

    def build(self, input_shape):
        self.encoder.build(input_shape)
        self.code.build(self.encoder.compute_output_shape(input_shape))
        self.decoder.build((None, self.latent_dim))
        self.built = True

    def encode(self, images):
        """Return the code of images taken as they are: (B, latent_dim)."""
        return self.code(self.encoder(images))

    def decode(self, codes):
        """Return the mean image of each code: (B, H, W, C)."""
        return self.likelihood.mean(self.decoder(codes))

    def reconstruct(self, images, seed=None):
        """Return the mean output of each image: (B, H, W, C).

        Args:
            images: (B, H, W, C), scaled as in training.
            seed: pair of integers to corrupt the images with; None takes them as they are.
        """
        return self.decode(self.encode(images if seed is None else self.corruption(images, seed=self.draw_seed(seed, 0))))

    def sample(self, n, seed=0):
        """Raise: a denoising autoencoder has no prior to draw from."""
        raise ValueError("Expected a model with a prior, vae or dvae, to sample from. Received a dae, which has none.")

    def call(self, images, training=False):
        return self.reconstruct(images)

    def loss_terms(self, images, labels=None, training=False, seed=None):
        corrupted = self.corruption(images, seed=None if seed is None else self.draw_seed(seed, 0))
        outputs = self.decoder(self.code(self.encoder(corrupted, training=training)), training=training)
        reconstruction = self.likelihood.negative_log_likelihood(images, outputs)
        return {"reconstruction": reconstruction, "loss": reconstruction}
