import math

import numpy as np
import pytest
import tensorflow as tf

from tfdvae.likelihoods import Bernoulli, FixedGaussian, Gaussian, bernoulli_nll, gaussian_nll


def pixels(*values):
    return tf.constant(values, tf.float32, shape=(1, 1, len(values), 1))


def test_bernoulli_nll_of_two_pixels():
    # p = 3/4 for a white pixel and p = 1/2 for a grey one: -log 3/4 - 1/2 log 1/2 - 1/2 log 1/2
    logits = pixels(math.log(3.0), 0.0)
    assert bernoulli_nll(pixels(1.0, 0.5), logits).numpy() == pytest.approx([math.log(4 / 3) + math.log(2)])


def test_bernoulli_nll_of_extreme_logits_is_finite():
    assert bernoulli_nll(pixels(0.0, 1.0), pixels(1000.0, 1000.0)).numpy() == pytest.approx([1000.0])


def test_gaussian_nll_of_two_pixels():
    # log-variances 0 and log 4: 1/2 (log 2pi + 0 + 1) + 1/2 (log 2pi + log 4 + 9/4)
    nll = gaussian_nll(pixels(1.0, 3.0), pixels(0.0, 0.0), pixels(0.0, math.log(4.0)))
    assert nll.numpy() == pytest.approx([math.log(2 * math.pi) + 0.5 + math.log(2.0) + 9 / 8])


def test_fixed_gaussian_is_squared_error_and_a_constant():
    nll = FixedGaussian(sigma=0.5).negative_log_likelihood(pixels(1.0, 0.0), pixels(0.0, 0.0))
    assert nll.numpy() == pytest.approx([1 / (2 * 0.25) + 2 * (0.5 * math.log(2 * math.pi) + math.log(0.5))], rel=1e-5)


def test_learned_log_variance_is_bounded_below():
    outputs = tf.constant([[[[0.5, -1000.0], [0.5, 2.0]]]])
    mean, log_variance = Gaussian().mean_and_log_variance(outputs)
    np.testing.assert_allclose(mean[0, 0, :, 0], [0.5, 0.5])
    np.testing.assert_allclose(log_variance[0, 0, :, 0], [-6.0, -6.0 + math.log1p(math.exp(8.0))], rtol=1e-6)


@pytest.mark.parametrize(
    "likelihood, outputs, mean, std",
    [
        (Bernoulli(), [math.log(3.0)], 0.75, math.sqrt(0.75 * 0.25)),
        (FixedGaussian(0.2), [0.4], 0.4, 0.2),
        (Gaussian(), [0.4, math.log(0.09)], 0.4, 0.3),
    ],
)
def test_samples_have_the_mean_and_the_spread(likelihood, outputs, mean, std):
    n = 40_000
    drawn = likelihood.sample(tf.tile(tf.constant(outputs)[None, None, None, :], (n, 1, 1, 1)), seed=[1, 2]).numpy()
    # four standard errors of a mean, and of a standard deviation (at most std / sqrt(n) for these)
    assert drawn.mean() == pytest.approx(mean, abs=4 * std / math.sqrt(n))
    assert drawn.std() == pytest.approx(std, abs=4 * std / math.sqrt(n) + 0.002)  # the soft bound adds 0.001 to 0.3
    np.testing.assert_allclose(likelihood.mean(tf.constant([[[outputs]]])).numpy().ravel()[0], mean, rtol=1e-6)


def test_low_precision_outputs_are_judged_in_float32():
    outputs = tf.fill((1, 28, 28, 1), tf.constant(0.3, tf.bfloat16))
    nll = Bernoulli().negative_log_likelihood(tf.zeros((1, 28, 28, 1)), outputs)
    assert nll.dtype == tf.float32
    assert nll.numpy() == pytest.approx([784 * math.log1p(math.exp(float(outputs[0, 0, 0, 0])))], rel=1e-5)
