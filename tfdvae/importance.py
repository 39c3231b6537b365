"""The importance-weighted bound on log p(x) (Burda et al. 2016), image by image.

It is a bound on a likelihood where pixels are binary and the likelihood is Bernoulli. Grey images are then binarised, each pixel drawn
once with its grey value as probability, while the encoder may go on seeing the grey image that it was trained on: the bound holds for any
proposal, and is the tighter the better that is.
"""

import numpy as np
import tensorflow as tf

from .models.base import TEST_SEED
from .priors import normal_log_density

DECODED = 2_000  # latents at once: what bounds the memory, whatever the number of samples


def log_weights(model, images, mean, log_variance, seed, samples):
    """Return log p(x, z) - log q(z) of draws z ~ q = N(mean, exp(log_variance)), for each image: (samples, B), nats.

    Args:
        model: of `tfdvae.models`, one that generates.
        images: (B, H, W, C), x.
        mean, log_variance: (B, latent_dim), the proposal.
        seed: pair of integers.
        samples: number of draws for each image.
    """
    noise = tf.random.stateless_normal(tf.concat([[samples], tf.shape(mean)], axis=0), seed)
    latents = mean + tf.exp(0.5 * log_variance) * noise
    flat = tf.reshape(latents, (-1, mean.shape[1]))
    of_images = -model.likelihood.negative_log_likelihood(tf.tile(images, (samples, 1, 1, 1)), model.output_of_latents(flat))
    joint = of_images + model.prior.log_density(flat, model.encode_for_prior)
    return tf.reshape(joint, (samples, -1)) - normal_log_density(latents, mean, log_variance)


def importance_bounds(model, batches, samples, check=lambda: None):
    """Return log 1/k sum_j p(x, z_j) / q(z_j) with z_j ~ q(z | received), whose expectation is a lower bound on log p(x) that rises with
    k: equation 8 of Burda et al. (2016).

    The sum is taken in parts of `DECODED` latents and kept as its logarithm, so the memory does not grow with k.

    Args:
        model: of `tfdvae.models`, one that generates.
        batches: pairs (received, images) of (B, H, W, C): what the encoder sees, and x.
        samples: k, for each image.
        check: called between parts; may raise, to end early.

    Returns:
        (n,) array, nats.
    """
    encode = tf.function(model.encode, autograph=False, reduce_retracing=True)  # eagerly it rounds otherwise than in committed records

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
