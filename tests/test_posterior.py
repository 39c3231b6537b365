import math

import numpy as np
import pytest
import tensorflow as tf

from tfdvae.build import build_model
from tfdvae.evaluation import posterior


def test_statistics_of_two_dimensions_of_which_one_has_collapsed():
    """Means (1, 0) and (-1, 0.1), variances (1/4, 1): variance of the mean 1 and 0.0025; KL per image by the closed form."""
    mean = np.array([[1.0, 0.0], [-1.0, 0.1]], np.float32)
    log_variance = np.log(np.array([[0.25, 1.0], [0.25, 1.0]], np.float32))
    found = posterior.posterior_statistics(mean, log_variance)
    assert found == {
        "active_units": 1,
        "posterior_mean_min": -1.0,
        "posterior_mean_max": 1.0,
        "posterior_std_min": pytest.approx(0.5),
        "posterior_std_max": 1.0,
        "kl_0": pytest.approx(0.5 * (0.25 + 1.0 - 1.0 + math.log(4.0)), rel=1e-6),
        "kl_1": pytest.approx(0.5 * 0.005, rel=1e-4),
    }


def test_the_kl_of_dimensions_adds_up_to_the_models(images):
    model = build_model(model="vae", image_shape=(5, 6, 1), channels=(4,), hidden_units=(8,), latent_dim=3)
    mean, log_variance = posterior.posteriors(model, tf.data.Dataset.from_tensor_slices(images).batch(3))
    assert mean.shape == log_variance.shape == (7, 3)
    found = posterior.posterior_statistics(mean, log_variance)
    whole = model.loss_terms(tf.constant(images), seed=[0, 0])["kl"].numpy().mean()
    assert sum(found[f"kl_{j}"] for j in range(3)) == pytest.approx(whole, rel=1e-5)


def test_no_more_dimensions_are_kept_than_a_history_should_hold():
    found = posterior.posterior_statistics(np.zeros((2, 500), np.float32), np.zeros((2, 500), np.float32))
    assert found["active_units"] == 0 and sum(name.startswith("kl_") for name in found) == posterior.SHOWN


@pytest.mark.parametrize("active, latent_dim, warned", [(0, 16, True), (1, 16, False), (4, 100, True), (5, 100, False)])
def test_collapse_is_told_where_fewer_than_a_twentieth_are_active(active, latent_dim, warned):
    warning = posterior.collapse_warning({"active_units": active}, latent_dim)
    assert bool(warning) == warned
    assert not warned or f"{active} of {latent_dim} latent dimensions" in warning


def test_a_model_without_a_posterior_cannot_collapse():
    assert posterior.collapse_warning({"loss": 1.0}, 10) == ""


def test_a_weight_that_has_not_risen_is_told():
    assert "threshold of kl_schedule" in posterior.schedule_warning({"val_kl_weight": 0.0})
    assert posterior.schedule_warning({"val_kl_weight": 0.1}) == posterior.schedule_warning({"loss": 1.0}) == ""
