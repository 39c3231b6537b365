"""p(z), and the KL divergence of a diagonal Gaussian posterior from it, in nats per image."""

import keras
import tensorflow as tf


def kl_from_standard_normal(mean, log_variance):
    """Return KL(N(mean, exp(log_variance)) || N(0, I)) of each image (Kingma & Welling 2014, appendix B).

    KL = 1/2 sum_j exp(v_j) + m_j^2 - 1 - v_j

    Args:
        mean, log_variance: (B, latent_dim), float32.

    Returns:
        (B,), nats per image.
    """
    return 0.5 * tf.reduce_sum(tf.exp(log_variance) + tf.square(mean) - 1.0 - log_variance, axis=-1)


@keras.saving.register_keras_serializable("tfdvae")
class StandardNormal:
    """N(0, I)."""

    def kl(self, mean, log_variance):
        """Return KL(posterior || prior): (B,), nats per image."""
        return kl_from_standard_normal(mean, log_variance)

    def sample(self, n, latent_dim, seed):
        """Draw n latents: (n, latent_dim). `seed` is a pair of integers."""
        return tf.random.stateless_normal((n, latent_dim), seed)

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)
