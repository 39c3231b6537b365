"""Our convolutions are Keras', forwards and backwards."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfdvae.build import build_model
from tfdvae.kernels import convolutions

BFLOAT16 = "mixed_bfloat16"


@pytest.fixture(autouse=True)
def without_gpu(monkeypatch):
    monkeypatch.setattr(convolutions.tf.config, "list_logical_devices", lambda kind: [])


def results(layer, weights, images, upstream, **settings):
    """Return a layer's outputs, and the gradients of its weights and of the images; the settings are arguments of the layer's call."""
    layer.set_weights(weights)
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = layer(images, **settings)
    return outputs, *tape.gradient(outputs, [*layer.trainable_variables, images], tf.cast(upstream, outputs.dtype))


@pytest.mark.parametrize("kernel_size, stride", [(4, 2), (5, 1), (5, 2), (3, 3)])
@pytest.mark.parametrize("kind", ["Conv2D", "Conv2DTranspose"])
def test_outputs_and_gradients_are_those_of_keras(kind, kernel_size, stride, monkeypatch):
    monkeypatch.setattr(convolutions, "MANY_CHANNELS", 0)
    monkeypatch.setattr(convolutions, "FEW_POSITIONS", 100)
    draw = np.random.default_rng(0)
    images = tf.constant(draw.normal(size=(3, 7, 10, 4)), tf.float32)  # an odd and an even side
    made = [getattr(place, kind)(5, kernel_size, strides=stride, padding="same", dtype=BFLOAT16) for place in (convolutions, keras.layers)]
    for layer in made:
        layer.build(images.shape)
    assert convolutions.applies(made[0], (7, 10))
    weights = [draw.normal(size=v.shape) for v in made[0].weights]
    upstream = draw.normal(size=made[0](images).shape)
    for one, two in zip(*(results(layer, weights, images, upstream) for layer in made)):
        assert one.shape == two.shape and one.dtype == two.dtype
        one, two = (each.numpy().astype(np.float32) for each in (one, two))
        np.testing.assert_allclose(one, two, atol=0.03 * np.abs(two).max())  # bfloat16 has 8 bits


def test_a_filter_gradient_by_hand():
    # one image of 1 to 4, a 2x2 filter, one output: each tap's gradient is its pixel times the upstream
    images = tf.constant([[1.0, 2.0], [3.0, 4.0]])[tf.newaxis, :, :, tf.newaxis]
    found = convolutions.filter_gradient(images, tf.fill((1, 1, 1, 1), 10.0), kernel_size=2, stride=2)
    np.testing.assert_array_equal(tf.squeeze(found), [[10.0, 20.0], [30.0, 40.0]])


def test_doubled_by_hand():
    # two positions side by side; the upper row of pixels has the kernel's row 1, the lower row its row 2, ten times as large
    kernel = tf.constant(np.outer([5.0, 1.0, 10.0, 5.0], [1.0, 2.0, 3.0, 4.0])[:, :, None, None], tf.float32)
    found = convolutions.doubled(tf.constant([1.0, 100.0], shape=(1, 1, 2, 1)), kernel)
    row = np.array([2.0, 3.0 + 100.0, 4.0 + 200.0, 300.0])
    np.testing.assert_array_equal(found[0, :, :, 0], [row, 10.0 * row])


@pytest.mark.parametrize("filters", [1, 3, 8])
@pytest.mark.parametrize("dtype, tolerance, compared", [("float32", 1e-5, 4), (BFLOAT16, 0.03, 1)])
def test_outside_training_few_filters_give_the_outputs_and_gradients_of_keras(filters, dtype, tolerance, compared, monkeypatch):
    """In bfloat16 the outputs alone are compared: a bias gradient is a sum of 840 numbers, which Keras' layers round in another order."""
    draw = np.random.default_rng(0)
    images = tf.constant(draw.normal(size=(3, 7, 10, 4)), tf.float32)
    made = [place.Conv2DTranspose(filters, 4, strides=2, padding="same", dtype=dtype) for place in (convolutions, keras.layers)]
    for layer in made:
        layer.build(images.shape)
    weights = [draw.normal(size=v.shape) for v in made[0].weights]
    upstream = draw.normal(size=(3, 14, 20, filters))
    expected = results(made[1], weights, images, upstream)
    for one, two in zip(results(made[0], weights, images, upstream), expected):
        np.testing.assert_array_equal(one.numpy(), two.numpy())  # as in training
    monkeypatch.setattr(keras.layers.Conv2DTranspose, "call", None)  # not used below
    for one, two in zip(results(made[0], weights, images, upstream, training=False)[:compared], expected):
        assert one.shape == two.shape and one.dtype == two.dtype
        one, two = (each.numpy().astype(np.float32) for each in (one, two))
        np.testing.assert_allclose(one, two, atol=tolerance * np.abs(two).max())


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({}, True),
        ({"filters": 9}, False),
        ({"kernel_size": 5}, False),
        ({"strides": 1}, False),
        ({"padding": "valid"}, False),
        ({"output_padding": 0}, False),
        ({"data_format": "channels_first"}, False),
        ({"strides": 1, "dilation_rate": 2}, False),
    ],
)
def test_which_transposed_convolutions_are_doubled(settings, expected, monkeypatch):
    layer = convolutions.Conv2DTranspose(**{"filters": 8, "kernel_size": 4, "strides": 2, "padding": "same", **settings})
    assert convolutions.doubles(layer) == expected
    monkeypatch.setattr(convolutions.tf.config, "list_logical_devices", lambda kind: ["a GPU"])
    assert not convolutions.doubles(layer)


def test_a_decoder_doubles_outside_training_alone(monkeypatch):
    model = build_model(image_shape=(8, 8, 1), model="vae", channels=(4, 16), hidden_units=(8,), latent_dim=2)
    shapes = []
    doubled = convolutions.doubled
    monkeypatch.setattr(convolutions, "doubled", lambda images, kernel: shapes.append(kernel.shape) or doubled(images, kernel))
    latents = tf.ones((3, 2))
    model.decoder(latents, training=True)
    assert not shapes
    model.decoder(latents)
    assert shapes == [(4, 4, 4, 16), (4, 4, 1, 4)]


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({}, True),
        ({"padding": "valid"}, False),
        ({"kernel_size": (3, 5)}, False),
        ({"dilation_rate": 2}, False),
        ({"groups": 2, "filters": 256}, False),
        ({"dtype": "float32"}, False),
        ({"filters": 2}, False),
    ],
)
def test_what_it_does_not_fit_is_left_to_keras(settings, expected, monkeypatch):
    layer = convolutions.Conv2D(**{"filters": 128, "kernel_size": 3, "padding": "same", "dtype": BFLOAT16, **settings})
    layer.build((None, 6, 6, 64))
    assert convolutions.applies(layer, (6, 6)) == expected
    assert not convolutions.applies(layer, (9, 8)) and not convolutions.applies(layer, (None, 6))
    monkeypatch.setattr(convolutions.tf.config, "list_logical_devices", lambda kind: ["a GPU"])
    assert not convolutions.applies(layer, (6, 6))


def test_the_gradients_of_a_network_are_those_with_keras_layers(monkeypatch):
    images = np.random.default_rng(0).random((6, 16, 16, 3)).astype(np.float32)
    found = []
    for many in (convolutions.MANY_CHANNELS, 10**9):
        monkeypatch.setattr(convolutions, "MANY_CHANNELS", many)
        model = build_model(image_shape=(16, 16, 3), model="vae", channels=(64, 128), hidden_units=(8,), latent_dim=2, precision="bfloat16")
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model.loss_terms(images, training=True)["loss"])
        found.append({v.path: g.numpy() for v, g in zip(model.trainable_variables, tape.gradient(loss, model.trainable_variables))})
    for path, gradient in found[1].items():
        np.testing.assert_allclose(found[0][path], gradient, atol=0.05 * np.abs(gradient).max() + 1e-3, err_msg=path)
