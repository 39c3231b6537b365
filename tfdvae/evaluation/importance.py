"""The importance-weighted bound on log p(x) (Burda et al. 2016), image by image.

It bounds a true log-probability for binary pixels and a Bernoulli likelihood. So grey images are binarised: a pixel is drawn once, with its
grey value as probability. The encoder may still receive the grey image that it was trained on. The bound holds for any proposal, and a
better proposal makes it tighter.
"""

import numpy as np
import tensorflow as tf

from ..models.base import TEST_SEED
from ..priors import normal_log_density

DECODED = 2_000  # latents decoded at once; bounds the memory for any number of samples


def log_weights(model, images, mean, log_variance, seed, samples):
    """Return log p(x, z) - log q(z) of draws z ~ q = N(mean, exp(log_variance)): (samples, B), nats.

    Args:
        model: a model that generates.
        images: (B, H, W, C), x.
        mean, log_variance: (B, latent_dim), the proposal.
        seed: pair of integers.
        samples: number of draws per image.
    """
    noise = tf.random.stateless_normal(tf.concat([[samples], tf.shape(mean)], axis=0), seed)
    latents = mean + tf.exp(0.5 * log_variance) * noise
    flat = tf.reshape(latents, (-1, mean.shape[1]))
    log_likelihood = -model.likelihood.negative_log_likelihood(tf.tile(images, (samples, 1, 1, 1)), model.output_of_latents(flat))
    joint = log_likelihood + model.prior.log_density(flat, model.encode_for_prior)
    return tf.reshape(joint, (samples, -1)) - normal_log_density(latents, mean, log_variance)


def importance_bounds(model, batches, samples, check=lambda: None):
    """Return log 1/k sum_j p(x, z_j) / q(z_j) of every image x, with z_j ~ q(z | received).

    Its expectation is a lower bound on log p(x) that rises with k (Burda et al. 2016, equation 8). The sum is computed in parts of
    `DECODED` latents and stored as its logarithm, so the memory does not grow with k.

    Args:
        model: a model that generates.
        batches: pairs (received, images) of (B, H, W, C): the encoder's input, and x.
        samples: k, per image.
        check: function called between parts; it may raise an exception to end early.

    Returns:
        (n,) array, nats.
    """
    encode = tf.function(model.encode, autograph=False, reduce_retracing=True)  # eager rounding differs from the committed results

    @tf.function(autograph=False, reduce_retracing=True)
    def add(total, images, mean, log_variance, seed, samples):
        weights = log_weights(model, images, mean, log_variance, seed, samples)
        return tf.reduce_logsumexp(tf.concat([total[tf.newaxis], weights], axis=0), axis=0)

    bounds = []
    for index, (received, images) in enumerate(batches):
        mean, log_variance = encode(received)
        at_once = max(1, DECODED // len(images))
        total = tf.fill((len(images),), -float("inf"))
        for part, first in enumerate(range(0, samples, at_once)):
            check()
            seed = tf.constant([TEST_SEED + 1 + index, part])
            total = add(total, images, mean, log_variance, seed, tf.constant(min(at_once, samples - first)))
        bounds.append(total.numpy() - np.log(samples))
    return np.concatenate(bounds)
