import math

import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf

from tfdvae.build import build_model
from tfdvae.priors import Mixture, StandardNormal, VampPrior, kl_from_standard_normal, mixture_log_density


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


def mixture(weights, means, deviations):
    prior = Mixture(len(weights))
    prior.build((None, len(means[0])))
    prior.set_weights([np.log(weights), np.array(means), 2.0 * np.log(deviations)])
    return prior


def test_mixture_log_density_agrees_with_scipy():
    weights, means, deviations = np.array([0.2, 0.8]), np.array([[0.0, 1.0], [-2.0, 3.0]]), np.array([[1.0, 0.5], [2.0, 0.1]])
    z = np.random.default_rng(0).normal(size=(6, 2)) * 3
    parts = [np.log(w) + scipy.stats.norm.logpdf(z, m, s).sum(axis=1) for w, m, s in zip(weights, means, deviations)]
    expected = scipy.special.logsumexp(parts, axis=0)
    given = (tf.constant(each, tf.float32) for each in (z, np.log(weights), means, 2.0 * np.log(deviations)))
    np.testing.assert_allclose(mixture_log_density(*given), expected, rtol=1e-4)


def test_log_densities_of_priors_agree_with_scipy():
    z = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    normal = scipy.stats.norm.logpdf(z).sum(axis=1)
    np.testing.assert_allclose(StandardNormal().log_density(tf.constant(z)), normal, rtol=1e-5)
    wide = mixture([0.5, 0.5], [[1.0, 0.0], [1.0, 0.0]], [[2.0, 2.0], [2.0, 2.0]])  # two components alike are one
    np.testing.assert_allclose(wide.log_density(tf.constant(z)), scipy.stats.norm.logpdf(z, [1.0, 0.0], 2.0).sum(axis=1), rtol=1e-5)


def test_a_mixture_of_one_standard_normal_has_the_closed_form_kl():
    mean, log_variance = (tf.repeat(tf.constant([row]), 100_000, axis=0) for row in ([0.7, -1.2], [-0.5, 0.3]))
    noise = tf.random.stateless_normal(mean.shape, [1, 2])
    estimate = mixture([1.0], [[0.0, 0.0]], [[1.0, 1.0]]).kl(mean, log_variance, noise).numpy()
    closed = kl_from_standard_normal(mean[:1], log_variance[:1]).numpy()[0]
    assert estimate.mean(dtype=np.float64) == pytest.approx(closed, abs=4 * float(estimate.std()) / math.sqrt(len(estimate)))


def test_kl_of_the_mixture_from_far_away_is_finite():
    far = tf.fill((1, 2), 1e4)
    assert np.isfinite(mixture([0.5, 0.5], [[0.0, 0.0], [1.0, 1.0]], [[1.0, 1.0]] * 2).kl(far, tf.zeros((1, 2)), far).numpy()).all()


def test_kl_of_a_posterior_narrower_than_float32_can_add_to_its_mean():
    mean, log_variance, noise = tf.fill((1, 2), 3.0), tf.fill((1, 2), -90.0), tf.ones((1, 2))
    estimate = mixture([1.0], [[0.0, 0.0]], [[1.0, 1.0]]).kl(mean, log_variance, noise).numpy()
    assert estimate == pytest.approx([90.0 + 9.0 - 1.0], rel=1e-6)  # log q = 90 - 1 - log 2 pi, log p = -9 - log 2 pi


def test_samples_of_a_mixture_come_from_its_components():
    """A quarter around (-5, 0) with deviation 1, the rest around (5, 2) with deviation 1/2."""
    drawn = mixture([0.25, 0.75], [[-5.0, 0.0], [5.0, 2.0]], [[1.0, 1.0], [0.5, 0.5]]).sample(20_000, 2, [3, 0]).numpy()
    left = drawn[:, 0] < 0
    assert left.mean() == pytest.approx(0.25, abs=4 * math.sqrt(0.25 * 0.75 / 20_000))
    assert drawn[left].mean(axis=0) == pytest.approx([-5.0, 0.0], abs=4 / math.sqrt(5_000))
    assert drawn[~left].std(axis=0) == pytest.approx([0.5, 0.5], abs=4 * 0.5 / math.sqrt(2 * 15_000))


def test_vampprior_is_the_equal_mixture_of_the_posteriors_of_its_pseudo_inputs():
    prior = VampPrior(2, (1, 1, 1))
    prior.build((None, 1))
    prior.set_weights([np.array([-3.0, 3.0]).reshape(2, 1, 1, 1)])

    def encode(images):  # posterior N(x, 1)
        return images[:, 0, 0], tf.zeros((len(images), 1))

    z = tf.constant([[0.5], [3.0]])  # of posteriors N(0, 1), so the noise too
    expected = np.log(0.5 * scipy.stats.norm.pdf(z[:, 0], -3) + 0.5 * scipy.stats.norm.pdf(z[:, 0], 3))
    kl = prior.kl(tf.zeros((2, 1)), tf.zeros((2, 1)), z, encode)
    np.testing.assert_allclose(kl, scipy.stats.norm.logpdf(z[:, 0]) - expected, rtol=1e-5)
    assert set(np.sign(prior.sample(50, 1, [0, 1], encode).numpy().ravel())) == {-1.0, 1.0}


@pytest.mark.parametrize("prior", ["mixture", "vampprior"])
@pytest.mark.parametrize("model", ["vae", "dvae", "im_dvae"])
def test_every_variational_model_learns_its_prior(model, prior, images):
    built = build_model(model=model, prior=prior, prior_components=3, image_shape=(5, 6, 1), channels=(4,), hidden_units=(8,), latent_dim=2)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(built.loss_terms(tf.constant(images), training=True)["kl"])
    gradients = tape.gradient(loss, [variable.value for variable in built.prior.trainable_variables])
    assert len(gradients) >= 1 and all(np.any(gradient) for gradient in gradients)
    assert built.sample(4).shape == (4, 5, 6, 1)


def test_pseudo_inputs_have_batch_norm_statistics_of_their_own(images):
    sizes = {"image_shape": (5, 6, 1), "channels": (4,), "hidden_units": (8,), "latent_dim": 2, "prior_components": 3}
    for model, share, passes in (("vae", True, 2), ("dvae", True, 3), ("dvae", False, 2)):
        built = build_model(model=model, prior="vampprior", share_encoder=share, **sizes)
        norm = built.encoder.layers[1]
        assert norm.passes == passes and built.prior_pass == passes - 1
        before = norm.moving_mean[-1].numpy()
        built.loss_terms(tf.constant(images), training=True)
        assert np.any(norm.moving_mean[-1].numpy() != before)
