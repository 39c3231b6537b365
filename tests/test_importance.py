"""The importance-weighted bound, against a likelihood that is known."""

import itertools
import math
import types

import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf

from tfdvae.build import build_model
from tfdvae.evaluation import importance
from tfdvae.kernels import convolutions
from tfdvae.likelihoods import FixedGaussian
from tfdvae.models.base import TEST_SEED
from tfdvae.priors import StandardNormal

SIGMA = 0.5
LOADINGS = np.random.default_rng(0).normal(size=(2, 6)).astype(np.float32)
OFFSET = np.linspace(-1.0, 1.0, 6, dtype=np.float32)


def linear_gaussian(widening):
    """p(z) = N(0, I), p(x|z) = N(z W + b, SIGMA^2 I); the proposal is the true posterior with its variances widened and uncorrelated."""
    precision = np.eye(2) + LOADINGS @ LOADINGS.T / SIGMA**2
    covariance = np.linalg.inv(precision)

    def encode(images):
        flat = tf.reshape(images, (-1, 6)) - OFFSET
        mean = flat @ tf.constant(LOADINGS.T @ covariance / SIGMA**2, tf.float32)
        return mean, tf.zeros_like(mean) + tf.constant(np.log(widening * np.diag(covariance)), tf.float32)

    return types.SimpleNamespace(
        encode=encode,
        output_of_latents=lambda latents: tf.reshape(latents @ LOADINGS + OFFSET, (-1, 2, 3, 1)),
        likelihood=FixedGaussian(SIGMA),
        prior=StandardNormal(),
        encode_for_prior=None,
    )


@pytest.fixture
def drawn():
    rng = np.random.default_rng(1)
    flat = rng.normal(size=(40, 2)) @ LOADINGS + OFFSET + SIGMA * rng.normal(size=(40, 6))
    exact = scipy.stats.multivariate_normal(OFFSET, LOADINGS.T @ LOADINGS + SIGMA**2 * np.eye(6)).logpdf(flat)
    return tf.constant(flat.reshape(40, 2, 3, 1), tf.float32), exact


def test_bound_rises_with_k_to_the_closed_form_likelihood(drawn):
    images, exact = drawn
    model = linear_gaussian(4.0)
    bounds = [importance.importance_bounds(model, [(images, images)], k) for k in (1, 10, 100, 5_000)]
    for lower, higher in itertools.pairwise(bounds):
        gain = higher - lower
        assert gain.mean() > -3 * gain.std() / math.sqrt(len(gain))
    # with weights w of the normalised kind, the estimate of log p(x) has variance Var(w) / k, and lies Var(w) / 2k below; Var(w) < 2 here
    np.testing.assert_allclose(bounds[-1], exact, atol=5 * math.sqrt(2 / 5_000))
    assert bounds[-1].mean() == pytest.approx(exact.mean(), abs=5 * math.sqrt(2 / 5_000 / 40))
    assert bounds[0].mean() < exact.mean() - 0.1


def test_parts_of_the_sum_make_the_whole(drawn, monkeypatch):
    """With the true posterior as proposal all weights are alike, so that a draw counted twice or not at all would show: 1 % a draw."""
    images, exact = drawn
    for decoded in (40, 40 * 7, 10**6):
        monkeypatch.setattr(importance, "DECODED", decoded)
        found = importance.importance_bounds(linear_gaussian(1.0), [(images, images)], 100)
        assert found.mean() == pytest.approx(exact.mean(), abs=0.005)


def normal_density(values, mean, log_variance):
    return scipy.stats.norm(mean, np.exp(0.5 * log_variance)).logpdf(values).sum(axis=-1)


def plain_bound(model, received, images, noise):
    """Return the bound of one image, draw by draw, in double precision but for the networks, which Keras' operations compute."""
    mean, log_variance = (values.numpy()[0].astype(float) for values in model.encode(received[np.newaxis]))
    weights = []
    for draw in noise:
        latent = mean + np.exp(0.5 * log_variance) * draw
        logits = model.output_of_latents(tf.constant(latent[np.newaxis], tf.float32)).numpy()[0].astype(float)
        log_likelihood = scipy.stats.bernoulli(scipy.special.expit(logits)).logpmf(images).sum()
        if isinstance(model.prior, StandardNormal):
            log_prior = normal_density(latent, 0.0, 0.0)
        else:
            log_shares, *components = (values.numpy().astype(float) for values in model.prior.parameters(model.encode_for_prior))
            log_prior = scipy.special.logsumexp(log_shares + normal_density(latent, *components))
        weights.append(log_likelihood + log_prior - normal_density(latent, mean, log_variance))
    return scipy.special.logsumexp(weights) - np.log(len(noise))


@pytest.mark.parametrize("chosen", [{}, {"model": "vae"}, {"prior": "mixture"}, {"model": "vae", "prior": "vampprior"}])
def test_the_bound_is_that_of_a_plain_computation_from_the_same_draws(chosen, images, monkeypatch):
    """The draws of a part have the seed (TEST_SEED + 1 + batch, part). Committed bounds depend on them."""
    settings = {"model": "dvae", "channels": (4, 8), "hidden_units": (8,), "latent_dim": 3, "prior_components": 4, **chosen}
    model = build_model(image_shape=(5, 6, 1), **settings)
    rng = np.random.default_rng(0)
    for weight in model.weights:  # large weights, whose outputs vary from draw to draw
        if "moving_variance" in weight.path:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif "moving_mean" in weight.path or "kernel" in weight.path:
            weight.assign(rng.normal(scale=0.5 if "kernel" in weight.path else 0.2, size=weight.shape))
    batches = [(tf.constant(part), tf.constant((part > 0.5).astype(np.float32))) for part in (images, images[:4])]
    monkeypatch.setattr(importance, "DECODED", 15)  # 2 draws a part of 7 images, 3 of 4 images
    found = importance.importance_bounds(model, batches, 5)
    monkeypatch.setattr(convolutions, "FEW_FILTERS", 0)
    expected = []
    for index, ((received, binary), parts) in enumerate(zip(batches, ((2, 2, 1), (3, 2)))):
        shapes = [(draws, len(binary), 3) for draws in parts]
        noise = np.concatenate([tf.random.stateless_normal(shape, (TEST_SEED + 1 + index, i)) for i, shape in enumerate(shapes)])
        expected += [plain_bound(model, received[i], binary[i].numpy(), noise[:, i]) for i in range(len(binary))]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("chosen", [{"model": "vae"}, {"model": "dvae", "prior": "mixture"}, {"model": "im_dvae", "prior": "vampprior"}])
def test_one_sample_is_the_elbo_s_estimate(chosen, images):
    model = build_model(image_shape=(5, 6, 1), latent_dim=3, channels=(4,), hidden_units=(8,), prior_components=4, **chosen)
    received, binary = tf.constant(images), tf.constant((images > 0.5).astype(np.float32))
    many = importance.importance_bounds(model, [(received, binary)] * 300, 1).reshape(300, 7)
    mean, log_variance = model.encode(received)

    @tf.function
    def estimate(seed):
        latents, noise = model.draw_latent(mean, log_variance, seed)
        nll = model.likelihood.negative_log_likelihood(binary, model.output_of_latents(latents))
        return -(nll + model.kl(mean, log_variance, noise))

    elbos = np.array([estimate(tf.constant([9, i])) for i in range(300)])
    error = np.sqrt((many.var(axis=0) + elbos.var(axis=0)) / 300)
    assert np.all(np.abs(many.mean(axis=0) - elbos.mean(axis=0)) < 5 * error)
