import numpy as np
import pytest
import tensorflow as tf

from tfdvae.build import build_kl_schedule, build_model
from tfdvae.schedules import Linear, Wait

SMALL = {"image_shape": (5, 6, 1), "channels": (4,), "hidden_units": (8,), "latent_dim": 2}


def followed(schedule, full, reconstructions):
    """Return the weights after steps with these reconstruction terms, from zero."""
    weights = [tf.constant(0.0)]
    for reconstruction in reconstructions:
        weights.append(schedule.next(weights[-1], full, reconstruction))
    return [float(weight) for weight in weights[1:]]


def test_linear_reaches_the_full_weight_and_stays():
    assert followed(Linear(4), 2.0, [9.0] * 6) == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0, 2.0])


def test_wait_rises_once_the_threshold_is_passed_and_does_not_turn_back():
    assert followed(Wait(10.0, 0.4), 1.0, [12.0, 10.0, 9.0, 11.0, 11.0]) == pytest.approx([0.0, 0.0, 0.4, 0.8, 1.0])


def test_specifications():
    assert build_kl_schedule("constant") is None
    assert build_kl_schedule("linear:50").steps == 50
    wait = build_kl_schedule("wait:99.5:1e-3")
    assert (wait.threshold, wait.step) == (99.5, 1e-3)


def test_training_follows_the_schedule_and_validation_has_the_full_weight(images):
    model = build_model(
        model="vae", image_shape=(5, 6, 1), channels=(4,), hidden_units=(8,), latent_dim=2, kl_weight=2.0, kl_schedule="linear:4"
    )
    model.compile(optimizer="adam")
    for weight in (0.0, 0.5, 1.0):
        assert float(model.present_kl_weight) == pytest.approx(weight)
        terms = model.loss_terms(tf.constant(images), training=True, seed=[1, 2])
        np.testing.assert_allclose(terms["loss"], terms["reconstruction"] + weight * terms["kl"], rtol=1e-6)
        np.testing.assert_allclose(terms["kl_weight"], np.full(7, weight))
        tested = model.loss_terms(tf.constant(images), seed=[1, 2])
        np.testing.assert_allclose(tested["loss"], tested["reconstruction"] + 2.0 * tested["kl"], rtol=1e-6)
        model.train_step(tf.constant(images))


def test_the_weight_is_saved_with_the_model():
    model = build_model(model="dvae", kl_schedule="wait:9:0.1", **SMALL)
    assert "dvae/kl_weight" in {variable.path for variable in model.weights}
    assert all("kl_weight" not in variable.path for variable in model.trainable_variables)
