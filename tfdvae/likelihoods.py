"""The likelihoods p(x | decoder output).

A decoder emits `outputs` of shape (B, H, W, C * outputs_per_channel). A likelihood turns them into a negative log-likelihood in nats per
image, into the mean image, and into pixel-by-pixel samples. All arithmetic is float32, even where the layers compute in bfloat16.
"""

import math

import keras
import tensorflow as tf

LOG_2PI = math.log(2.0 * math.pi)


def bernoulli_nll(images, logits):
    """Return the cross-entropy of each image, summed over pixels.

    -log p(x) = sum_i softplus(l_i) - x_i l_i, for logits l and x in [0, 1].

    Args:
        images: (B, H, W, C), in [0, 1]. Grey values count as probabilities, as in Kingma & Welling (2014).
        logits: (B, H, W, C).

    Returns:
        (B,), nats per image.
    """
    return tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(labels=images, logits=logits), axis=(1, 2, 3))


def gaussian_nll(images, mean, log_variance):
    """Return the Gaussian negative log-likelihood of each image, with its constant.

    -log p(x) = 1/2 sum_i log 2 pi + v_i + (x_i - m_i)^2 exp(-v_i), for log-variance v.

    Args:
        images, mean: (B, H, W, C).
        log_variance: broadcastable to (B, H, W, C).

    Returns:
        (B,), nats per image.
    """
    terms = LOG_2PI + log_variance + tf.square(images - mean) * tf.exp(-log_variance)
    return 0.5 * tf.reduce_sum(terms, axis=(1, 2, 3))


class Likelihood:
    """Define the methods of every likelihood."""

    outputs_per_channel = 1  # numbers that the decoder emits per channel of a pixel
    learns_variance = False  # whether the decoder also emits the variance of a pixel

    def note(self, image_shape):
        """Return a note for readers of its numbers, or ""."""
        return ""

    def negative_log_likelihood(self, images, outputs):
        """Return -log p(images | outputs): (B,), nats per image."""
        raise NotImplementedError

    def mean(self, outputs):
        """Return E[x | outputs]: (B, H, W, C)."""
        raise NotImplementedError

    def variance(self, outputs):
        """Return Var[x | outputs] of each pixel: (B, H, W, C)."""
        raise NotImplementedError

    def sample(self, outputs, seed):
        """Draw x ~ p(x | outputs), every pixel independently: (B, H, W, C). `seed` is a pair of integers."""
        raise NotImplementedError

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


@keras.saving.register_keras_serializable("tfdvae")
class Bernoulli(Likelihood):
    """Bernoulli with logits, for images in [0, 1]."""

    def negative_log_likelihood(self, images, outputs):
        return bernoulli_nll(images, tf.cast(outputs, tf.float32))

    def mean(self, outputs):
        return tf.sigmoid(tf.cast(outputs, tf.float32))

    def variance(self, outputs):
        mean = self.mean(outputs)
        return mean * (1.0 - mean)

    def sample(self, outputs, seed):
        mean = self.mean(outputs)
        return tf.cast(tf.random.stateless_uniform(tf.shape(mean), seed) < mean, tf.float32)


class AnyGaussian(Likelihood):
    """Define the constant of the Gaussian likelihoods."""

    def constant(self, image_shape):
        """Return the constant part of an image's negative log-likelihood, in nats, and its formula per value."""
        return 0.5 * LOG_2PI * math.prod(image_shape), "log(2 pi)/2"

    def note(self, image_shape):
        constant, formula = self.constant(image_shape)
        return (
            f"Loss and -ELBO of likelihood {self.name} contain its constant, {formula} for each of the {math.prod(image_shape)} values of "
            f"an image: {constant:.2f} nats"
        )


@keras.saving.register_keras_serializable("tfdvae")
class FixedGaussian(AnyGaussian):
    """Gaussian around the decoder's output with one fixed standard deviation: squared error / 2 sigma^2, plus a constant."""

    name = "gaussian_fixed"

    def __init__(self, sigma=0.1):
        self.sigma = sigma

    def constant(self, image_shape):
        constant, _ = super().constant(image_shape)
        return constant + math.log(self.sigma) * math.prod(image_shape), f"log(2 pi sigma^2)/2 with sigma {self.sigma:g}"

    def negative_log_likelihood(self, images, outputs):
        return gaussian_nll(images, tf.cast(outputs, tf.float32), 2.0 * math.log(self.sigma))

    def mean(self, outputs):
        return tf.cast(outputs, tf.float32)

    def variance(self, outputs):
        return tf.fill(tf.shape(outputs), self.sigma**2)

    def sample(self, outputs, seed):
        mean = self.mean(outputs)
        return mean + self.sigma * tf.random.stateless_normal(tf.shape(mean), seed)

    def get_config(self):
        return {"sigma": self.sigma}


@keras.saving.register_keras_serializable("tfdvae")
class Gaussian(AnyGaussian):
    """Gaussian with a learned mean and log-variance for every pixel.

    The log-variance has a soft lower bound, v = m + softplus(v' - m). Without it, pixels that never vary would drive it to minus
    infinity.
    """

    name = "gaussian"
    outputs_per_channel = 2
    learns_variance = True

    def __init__(self, min_log_variance=-6.0):
        self.min_log_variance = min_log_variance

    def mean_and_log_variance(self, outputs):
        """Split the decoder's output into mean and bounded log-variance, each (B, H, W, C)."""
        mean, raw = tf.split(tf.cast(outputs, tf.float32), 2, axis=-1)
        return mean, self.min_log_variance + tf.nn.softplus(raw - self.min_log_variance)

    def negative_log_likelihood(self, images, outputs):
        return gaussian_nll(images, *self.mean_and_log_variance(outputs))

    def mean(self, outputs):
        return self.mean_and_log_variance(outputs)[0]

    def variance(self, outputs):
        return tf.exp(self.mean_and_log_variance(outputs)[1])

    def sample(self, outputs, seed):
        mean, log_variance = self.mean_and_log_variance(outputs)
        return mean + tf.exp(0.5 * log_variance) * tf.random.stateless_normal(tf.shape(mean), seed)

    def get_config(self):
        return {"min_log_variance": self.min_log_variance}
