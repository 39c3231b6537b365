"""Noise for a denoising autoencoder's input. A layer draws from its own generator, or from the caller's seed."""

import keras
import tensorflow as tf


class Corruption(keras.layers.Layer):
    """Add noise to images, (B, H, W, C) -> (B, H, W, C), in training and in testing.

    Args:
        seed: seed of training's draws.
    """

    reach = 0.0  # how far the noise can take values out of the range of clean images

    def __init__(self, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.noise = keras.random.SeedGenerator(seed, name="noise")

    def call(self, images, seed=None):
        """Corrupt images; `seed` is a pair of integers, or None to draw from training's generator."""
        return self.corrupt(images, tf.cast(self.noise.next(), tf.int32) if seed is None else seed)

    def corrupt(self, images, seed):
        raise NotImplementedError

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}


@keras.saving.register_keras_serializable("tfdvae")
class GaussianNoise(Corruption):
    """Add N(0, sigma^2) to every value; the result may leave [0, 1].

    Args:
        sigma: standard deviation, in units of pixel values.
    """

    def __init__(self, sigma=0.3, **kwargs):
        super().__init__(**kwargs)
        self.sigma = sigma
        self.reach = 8.0 * sigma  # one draw in 10^15 goes farther

    def corrupt(self, images, seed):
        return images + self.sigma * tf.random.stateless_normal(tf.shape(images), seed)

    def get_config(self):
        return {**super().get_config(), "sigma": self.sigma}


@keras.saving.register_keras_serializable("tfdvae")
class Masking(Corruption):
    """Set a fraction of the pixels, in all their channels, to zero (Vincent et al. 2008).

    Args:
        fraction: probability that a pixel is set to zero.
    """

    def __init__(self, fraction=0.3, **kwargs):
        super().__init__(**kwargs)
        self.fraction = fraction

    def corrupt(self, images, seed):
        kept = tf.random.stateless_uniform(tf.shape(images[..., :1]), seed) >= self.fraction
        return tf.where(kept, images, 0.0)

    def get_config(self):
        return {**super().get_config(), "fraction": self.fraction}


@keras.saving.register_keras_serializable("tfdvae")
class SaltAndPepper(Corruption):
    """Set a fraction of the pixels, in all their channels, to the lowest or highest value, with equal probability.

    Args:
        fraction: probability that a pixel is replaced.
        low, high: the values of pepper and salt.
    """

    def __init__(self, fraction=0.3, low=0.0, high=1.0, **kwargs):
        super().__init__(**kwargs)
        self.fraction, self.low, self.high = fraction, low, high

    def corrupt(self, images, seed):
        draw = tf.random.stateless_uniform(tf.shape(images[..., :1]), seed)
        peppered = tf.where(draw < self.fraction / 2, self.low, images)
        return tf.where(draw >= 1.0 - self.fraction / 2, self.high, peppered)

    def get_config(self):
        return {**super().get_config(), "fraction": self.fraction, "low": self.low, "high": self.high}
