"""The importance-weighted bound, against a likelihood that is known."""

import itertools
import math
import types

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from tfdvae.build import build_model
from tfdvae.evaluation import importance
from tfdvae.likelihoods import FixedGaussian
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
