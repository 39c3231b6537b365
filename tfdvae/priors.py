"""The priors p(z), and the KL divergence of a diagonal Gaussian posterior from them, in nats per image. All arithmetic is float32.

A prior is a layer, since some priors have weights. `encode` below is the model's function, images -> posterior mean and log-variance.
"""

import keras
import tensorflow as tf

from .likelihoods import LOG_2PI


def kl_from_standard_normal(mean, log_variance):
    """Return KL(N(mean, exp(log_variance)) || N(0, I)) of each image (Kingma & Welling 2014, appendix B).

    KL = 1/2 sum_j exp(v_j) + m_j^2 - 1 - v_j

    Args:
        mean, log_variance: (B, latent_dim), float32.

    Returns:
        (B,), nats per image.
    """
    return 0.5 * tf.reduce_sum(tf.exp(log_variance) + tf.square(mean) - 1.0 - log_variance, axis=-1)


def normal_log_density(latents, mean, log_variance):
    """Return log N(z; mean, exp(log_variance)), summed over the last axis; shapes broadcast."""
    return -0.5 * tf.reduce_sum(LOG_2PI + log_variance + tf.square(latents - mean) * tf.exp(-log_variance), axis=-1)


def mixture_log_density(latents, log_weights, means, log_variances):
    """Return log sum_k w_k N(z; m_k, exp(v_k)) of each latent.

    Args:
        latents: (B, latent_dim).
        log_weights: (K,), of weights that sum to one.
        means, log_variances: (K, latent_dim).

    Returns:
        (B,), nats.
    """
    return tf.reduce_logsumexp(log_weights + normal_log_density(latents[:, tf.newaxis], means, log_variances), axis=-1)


@keras.saving.register_keras_serializable("tfdvae")
class StandardNormal(keras.layers.Layer):
    """The standard normal distribution, N(0, I)."""

    passes = 0  # passes through the encoder that the prior adds to the model's own
    note = ""  # for readers of its numbers

    def kl(self, mean, log_variance, noise=None, encode=None):
        """Return KL(posterior || prior) of each image: (B,), nats.

        Args:
            mean, log_variance: (B, latent_dim), the posterior.
            noise: (B, latent_dim), standard normal, of the draw mean + exp(log_variance / 2) * noise. Only a prior that estimates the KL
                from a draw uses it.
            encode: see the module.
        """
        return kl_from_standard_normal(mean, log_variance)

    def log_density(self, latents, encode=None):
        """Return log p(z) of each latent, (B, latent_dim): (B,), nats."""
        return normal_log_density(latents, 0.0, tf.zeros_like(latents))

    def sample(self, n, latent_dim, seed, encode=None):
        """Draw n latents: (n, latent_dim). `seed` is a pair of integers."""
        return tf.random.stateless_normal((n, latent_dim), seed)


@keras.saving.register_keras_serializable("tfdvae")
class Mixture(keras.layers.Layer):
    """A mixture of Gaussians with learned weights, means and variances (after Dilokthanakul et al. 2016).

    The KL has no closed form. One draw of z estimates it without bias: log q(z|x) - log p(z).

    Args:
        components: number of Gaussians.
    """

    passes = 0
    note = "The KL divergence from a mixture is an estimate from one draw of z for each image, without bias"

    def __init__(self, components, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.components = components

    def build(self, input_shape):
        def weight(name, shape, initializer):
            return self.add_weight(name=name, shape=shape, initializer=initializer)

        self.logits = weight("logits", (self.components,), "zeros")
        self.means = weight("means", (self.components, input_shape[-1]), keras.initializers.RandomNormal(stddev=0.5))
        self.log_variances = weight("log_variances", (self.components, input_shape[-1]), "zeros")
        self.built = True

    def parameters(self, encode=None):
        """Return log-weights (K,), means and log-variances (K, latent_dim) of the components."""
        return tf.nn.log_softmax(self.logits), tf.convert_to_tensor(self.means), tf.convert_to_tensor(self.log_variances)

    def kl(self, mean, log_variance, noise, encode=None):
        """Estimate KL(posterior || prior) of each image from its draw: (B,), nats. See `StandardNormal.kl`."""
        # the noise is exact; z - mean would be rounded
        posterior_log_density = -0.5 * tf.reduce_sum(LOG_2PI + log_variance + tf.square(noise), axis=-1)
        latents = mean + tf.exp(0.5 * log_variance) * noise
        return posterior_log_density - self.log_density(latents, encode)

    def log_density(self, latents, encode=None):
        """Return log p(z) of each latent, (B, latent_dim): (B,), nats."""
        return mixture_log_density(latents, *self.parameters(encode))

    def sample(self, n, latent_dim, seed, encode=None):
        """Draw n latents: (n, latent_dim). `seed` is a pair of integers."""
        log_weights, means, log_variances = self.parameters(encode)
        component_seed, noise_seed = (tf.random.experimental.stateless_fold_in(seed, i) for i in range(2))
        components = tf.random.stateless_categorical(log_weights[tf.newaxis], n, component_seed)[0]
        noise = tf.random.stateless_normal((n, latent_dim), noise_seed)
        return tf.gather(means, components) + tf.exp(0.5 * tf.gather(log_variances, components)) * noise

    def get_config(self):
        return {**super().get_config(), "components": self.components}


@keras.saving.register_keras_serializable("tfdvae")
class VampPrior(Mixture):
    """A mixture, with equal weights, of the posteriors of learned pseudo-inputs (Tomczak & Welling 2018, equation 9).

    Args:
        components: number of pseudo-inputs.
        image_shape: (H, W, C).
    """

    passes = 1

    def __init__(self, components, image_shape, **kwargs):
        super().__init__(components, **kwargs)
        self.image_shape = tuple(image_shape)

    def build(self, input_shape):
        # wide noise: pseudo-inputs may leave the range of the pixels
        start = keras.initializers.RandomNormal(mean=0.5, stddev=0.5)
        self.pseudo_inputs = self.add_weight(name="pseudo_inputs", shape=(self.components, *self.image_shape), initializer=start)
        self.built = True

    def parameters(self, encode=None):
        equal = tf.fill((self.components,), -tf.math.log(float(self.components)))
        return equal, *encode(tf.convert_to_tensor(self.pseudo_inputs))

    def get_config(self):
        return {**super().get_config(), "image_shape": self.image_shape}
