"""The denoising autoencoder (Vincent et al. 2008)."""

import keras
import tensorflow as tf

from .autoencoder import Autoencoder


@keras.saving.register_keras_serializable("tfdvae")
class DAE(Autoencoder):
    """Minimise -log p(x | code of corrupted x): corrupted image in, clean image out.

    Args:
        corruption: a layer from `tfdvae.corruptions`.
        gate: whether the output is the corrupted image times the sigmoid of the decoder's output. For x ~ N(0, s^2) and noise
            N(0, n^2) the best denoiser has this form: E[x | corrupted x] = corrupted x * s^2 / (s^2 + n^2).
        kwargs: see `Autoencoder`.
    """

    config_names = (*Autoencoder.config_names, "corruption", "gate")

    def __init__(self, *, corruption, gate=False, **kwargs):
        super().__init__(**kwargs)
        self.corruption, self.gate = corruption, gate
        self.input_reach = corruption.reach

    @classmethod
    def arguments(cls, parts):
        return super().arguments(parts) | {"corruption": parts.corruption(), "gate": parts.chosen.gate}

    def decode(self, codes):
        if self.gate:
            raise ValueError("Expected images to reconstruct. Received codes, but a gate needs a corrupted image to multiply.")
        return super().decode(codes)

    def gates(self, corrupted, training=False):
        """Return the gate for corrupted images, the sigmoid of the decoder's output: (B, H, W, C)."""
        logits = self.decoder(self.head(self.encoder(corrupted, training=training)), training=training)
        return tf.sigmoid(tf.cast(logits, tf.float32))

    def denoise(self, corrupted, training=False):
        """Return the likelihood's parameters for the clean image, given a corrupted one."""
        if self.gate:
            return corrupted * self.gates(corrupted, training)
        return self.decoder(self.head(self.encoder(corrupted, training=training)), training=training)

    def corrupted(self, images, seed=None):
        """Corrupt images; `seed` is a pair of integers, or None to draw from training's generator."""
        return self.corruption(images, seed=None if seed is None else self.draw_seed(seed, 0))

    def output(self, images, seed=None):
        return self.denoise(images if seed is None else self.corrupted(images, seed))

    def loss_terms(self, images, labels=None, training=False, seed=None):
        return self.reconstruction_terms(images, self.denoise(self.corrupted(images, seed), training))
