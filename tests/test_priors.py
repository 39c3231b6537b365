import math

import numpy as np
import pytest
import tensorflow as tf

from tfdvae.priors import StandardNormal, kl_from_standard_normal


def test_kl_of_two_gaussians():
    # per dimension 1/2 (var + mean^2 - 1 - log var): (mean 1, var 1) gives 1/2, (mean 0, var 4) gives 1/2 (3 - log 4)
    kl = kl_from_standard_normal(tf.constant([[1.0, 0.0]]), tf.constant([[0.0, math.log(4.0)]]))
    assert kl.numpy() == pytest.approx([0.5 + 0.5 * (3 - math.log(4.0))])


def test_kl_of_the_prior_is_zero():
    assert StandardNormal().kl(tf.zeros((3, 5)), tf.zeros((3, 5))).numpy().tolist() == [0.0, 0.0, 0.0]


def test_kl_agrees_with_sampling():
    mean, log_variance = np.array([0.7, -1.2]), np.array([-0.5, 0.3])
    z = mean + np.exp(0.5 * log_variance) * np.random.default_rng(0).standard_normal((200_000, 2))
    log_q = -0.5 * (np.log(2 * np.pi) + log_variance + (z - mean) ** 2 / np.exp(log_variance)).sum(1)
    log_p = -0.5 * (np.log(2 * np.pi) + z**2).sum(1)
    estimate = log_q - log_p
    closed = kl_from_standard_normal(tf.constant([mean]), tf.constant([log_variance])).numpy()[0]
    assert estimate.mean() == pytest.approx(closed, abs=4 * estimate.std() / math.sqrt(len(z)))


def test_samples_repeat_with_their_seed_and_are_standard_normal():
    prior = StandardNormal()
    drawn = prior.sample(20_000, 2, [3, 0]).numpy()
    np.testing.assert_array_equal(drawn, prior.sample(20_000, 2, [3, 0]).numpy())
    assert np.abs(drawn.mean()) < 4 / math.sqrt(drawn.size)
    assert drawn.std() == pytest.approx(1.0, abs=4 / math.sqrt(2 * drawn.size))
