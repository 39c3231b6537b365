import keras
import numpy as np
import pytest
import tensorflow as tf

from tfdvae.kernels.optimizer import FusedAdam


def test_first_steps_by_hand():
    # one weight at 1, gradient 2 twice: m = 0.2, 0.38; v = 0.004, 0.007996; bias-corrected both steps are lr * 2 / (2 + eps')
    optimizer, weight = FusedAdam(0.1), keras.Variable([1.0])
    optimizer.build([weight])
    for expected in (0.9, 0.8):
        optimizer.apply_gradients([(tf.constant([2.0]), weight)])
        assert weight.numpy()[0] == pytest.approx(expected, abs=1e-5)


def test_it_goes_the_way_of_keras_adam():
    schedule = keras.optimizers.schedules.CosineDecay(1e-2, 20)
    ours, theirs = FusedAdam(schedule), keras.optimizers.Adam(schedule)
    start = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    weights = [keras.Variable(start, name="weight"), keras.Variable(start, name="weight")]
    draw = np.random.default_rng(1)
    for optimizer, weight in zip((ours, theirs), weights):
        optimizer.build([weight])
    for _ in range(20):
        gradient = tf.constant(draw.normal(size=(4, 3)).astype(np.float32))
        for optimizer, weight in zip((ours, theirs), weights):
            optimizer.apply_gradients([(gradient, weight)])
    np.testing.assert_allclose(weights[0], weights[1], rtol=1e-5, atol=1e-6)
    assert [v.path.split("/")[-1] for v in ours.variables] == [v.path.split("/")[-1] for v in theirs.variables]
    for one, two in zip(ours.variables, theirs.variables):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("settings", [{"amsgrad": True}, {"gradient_accumulation_steps": 2}, {"clipnorm": 0.1}, {"weight_decay": 0.1}])
def test_options_of_keras_adam_do_what_they_do_there(settings):
    weights = [keras.Variable(np.ones((3, 2), np.float32), name="weight") for _ in range(2)]
    for weight, kind in zip(weights, (FusedAdam, keras.optimizers.Adam)):
        optimizer, draw = kind(1e-2, **settings), np.random.default_rng(0)
        optimizer.build([weight])
        for _ in range(6):
            optimizer.apply_gradients([(tf.constant(draw.normal(size=(3, 2)), tf.float32), weight)])
    np.testing.assert_allclose(weights[0], weights[1], rtol=1e-5)
    assert np.abs(weights[0].numpy() - 1.0).max() > 1e-3


def test_it_goes_on_from_what_keras_adam_has_saved():
    weights = [keras.Variable(np.ones(3, np.float32), name="weight") for _ in range(2)]
    saved, draw = keras.optimizers.Adam(1e-2), np.random.default_rng(0)
    saved.build([weights[0]])
    for _ in range(10):
        saved.apply_gradients([(tf.constant(draw.normal(size=3), tf.float32), weights[0])])
    ours = FusedAdam.from_config(FusedAdam(1e-2).get_config())
    ours.build([weights[1]])
    for one, two in zip([*ours.variables, weights[1]], [*saved.variables, weights[0]]):
        one.assign(two)
    for optimizer, weight in zip((saved, ours), weights):
        optimizer.apply_gradients([(tf.constant([1.0, -2.0, 3.0]), weight)])
    np.testing.assert_allclose(weights[0], weights[1], rtol=1e-6)
