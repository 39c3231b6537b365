import keras
import numpy as np
import pytest
import tensorflow as tf

from tfdvae import blocks, networks
from tfdvae.errors import InputError
from tfdvae.kernels.normalization import BatchNorm


@pytest.mark.parametrize("network", networks.NETWORKS)
@pytest.mark.parametrize("image_shape", [(8, 8, 1), (28, 28, 1), (32, 32, 3), (9, 7, 3), (33, 50, 1), (1, 3, 1)])
def test_shapes_for_any_image_size(network, image_shape):
    dense = network in ("mlp", "linear")
    sizes = {"channels": () if dense else (4, 6), "units": (10,)}
    if network == "r1" and min(image_shape[:2]) <= 8:
        with pytest.raises(InputError, match=r"network: received r1 with images of .* expected more than 8"):
            networks.encoder(network, image_shape, **sizes)
        return
    encoder = networks.encoder(network, image_shape, **sizes)
    decoder = networks.decoder(network, image_shape, 2, **sizes)
    hidden = encoder(tf.zeros((3, *image_shape)))
    assert hidden.shape == (3, 10 if network != "linear" else np.prod(image_shape))
    assert decoder(hidden).shape == (3, *image_shape[:2], 2)
    assert tuple(decoder.compute_output_shape((None, 10))) == (None, *image_shape[:2], 2)


def test_published_parameter_counts_of_r0_on_mnist():
    # 5x5 convolutions 1-64-64 without biases, 7*7*64 -> 384 -> 192, a scale and an offset for every normalised unit
    encoder = networks.encoder("r0", (28, 28, 1))
    encoder.build((None, 28, 28, 1))
    weights = 25 * 64 + 25 * 64 * 64 + 3136 * 384 + 384 * 192
    assert sum(int(np.prod(v.shape)) for v in encoder.trainable_variables) == weights + 2 * (64 + 64 + 384 + 192)


def test_r0_decoder_goes_from_128_to_64_to_3_channels_on_colour_images():
    decoder = networks.decoder("r0", (32, 32, 3), 3)
    decoder.build((None, 100))
    kernels = [tuple(layer.kernel.shape) for layer in decoder.layers if layer.name.startswith("conv") and hasattr(layer, "kernel")]
    assert kernels == [(5, 5, 64, 128), (5, 5, 3, 64)]


def test_squares_of_pixels_become_one_position_and_back():
    images = tf.reshape(tf.range(1.0, 16.0), (1, 3, 5, 1))  # rows 1..5, 6..10, 11..15
    squares = blocks.SpaceToDepth()(images)
    assert squares[0, 0].numpy().tolist() == [[1, 2, 6, 7], [3, 4, 8, 9], [5, 0, 10, 0]]
    assert squares[0, 1, 2].numpy().tolist() == [15, 0, 0, 0]
    back = blocks.DepthToSpace()(squares)
    assert back.shape == (1, 4, 6, 1)
    np.testing.assert_array_equal(back[:, :3, :5], images)


def test_a_residual_block_adds_its_input_and_keeps_statistics_for_every_pass():
    block = blocks.Style(passes=2).residual(keras.layers.Dense, 4, name="dense")
    x = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    block.build(x.shape)
    dense, norm, _ = block.layers
    hidden = x @ dense.kernel.numpy()
    expected = x + np.maximum(0, (hidden - hidden.mean(0)) / np.sqrt(hidden.var(0) + norm.epsilon))
    np.testing.assert_allclose(block(x, training=True, pass_index=1), expected, atol=1e-4)
    assert np.all(norm.moving_mean[0] == 0) and np.all(norm.moving_mean[1] != 0)
    again = blocks.Residual.from_config(block.get_config())
    assert again(x).shape == x.shape


def test_classifier_varies_images_in_training_only():
    network = networks.classifier((16, 16, 3), 4, shift=0.2, blur=1.5)
    x = np.random.default_rng(0).random((32, 16, 16, 3)).astype(np.float32)
    np.testing.assert_array_equal(network(x), network(x))
    for layer in network.layers[:2]:
        np.testing.assert_array_equal(layer(x, training=False), x)
        assert not np.array_equal(layer(x, training=True), layer(x, training=True))


def test_gaussian_blur_spreads_a_point_and_leaves_a_plane():
    point = np.zeros((1, 41, 41, 2), np.float32)
    point[0, 20, 20, 1] = 1.0
    blurred = blocks.gaussian_blur(tf.constant(point), 2.0).numpy()[0]
    assert blurred[..., 1].sum() == pytest.approx(1.0, rel=1e-5) and not blurred[..., 0].any()
    assert blurred[20, 22, 1] / blurred[20, 20, 1] == pytest.approx(np.exp(-0.5), rel=1e-5)  # one standard deviation away
    plane = np.full((2, 5, 3, 1), 0.7, np.float32)
    np.testing.assert_allclose(blocks.gaussian_blur(tf.constant(plane), 4.0), plane, rtol=1e-5)


def test_random_blur_takes_away_a_share_of_the_detail():
    x = np.random.default_rng(0).random((4000, 6, 6, 1)).astype(np.float32)
    layer = blocks.RandomBlur(1.0)
    mixed, blurred = layer(x, training=True).numpy(), blocks.gaussian_blur(tf.constant(x), 1.0).numpy()
    share = ((mixed - x) * (blurred - x)).sum((1, 2, 3)) / ((blurred - x) ** 2).sum((1, 2, 3))
    np.testing.assert_allclose(mixed, x + share[:, None, None, None] * (blurred - x), atol=1e-5)
    assert share.min() >= -1e-5 and share.max() <= 1 + 1e-5
    assert share.mean() == pytest.approx(0.5, abs=4 / np.sqrt(12 * len(x)))  # a uniform draw's standard deviation is 1/sqrt(12)


@pytest.mark.parametrize("shape", [(640, 6), (32, 5, 4, 6)])
def test_batch_norm_agrees_with_keras(shape):
    x = np.random.default_rng(0).normal(3.0, 2.0, shape).astype(np.float32)
    ours, theirs = BatchNorm(momentum=0.9), keras.layers.BatchNormalization(momentum=0.9)
    for _ in range(3):
        np.testing.assert_allclose(ours(x, training=True), theirs(x, training=True), atol=1e-5)
    np.testing.assert_allclose(ours.moving_mean[0], theirs.moving_mean, rtol=1e-5)
    n = x.size / 6  # the fused kernel keeps the unbiased variance
    unbiased = 1.0 + (np.asarray(theirs.moving_variance) - 0.9**3) * n / (n - 1) - (1 - 0.9**3)
    np.testing.assert_allclose(ours.moving_variance[0], unbiased, rtol=1e-4)
    np.testing.assert_allclose(ours(x), theirs(x), atol=0.005)


def test_batch_norm_keeps_statistics_for_each_pass_and_shares_the_scale():
    layer = BatchNorm(passes=2, momentum=0.0)
    x = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    layer(x + 10.0, training=True, pass_index=0)
    layer(x - 10.0, training=True, pass_index=1)
    np.testing.assert_allclose(layer.moving_mean[0] - layer.moving_mean[1], [20.0] * 3, rtol=1e-5)
    assert len(layer.trainable_variables) == 2
    np.testing.assert_allclose(layer(x + 10.0, pass_index=0), layer(x - 10.0, pass_index=1), atol=1e-4)


def test_bfloat16_networks_keep_float32_weights():
    encoder = networks.encoder("conv", (8, 8, 1), style=blocks.Style("mixed_bfloat16"))
    assert encoder(tf.zeros((2, 8, 8, 1)), training=True).dtype == tf.bfloat16
    assert {v.dtype for v in encoder.variables} == {"float32"}


def test_published_parameter_counts_of_r1():
    # 5x5 convolutions 1-6-16 without padding leave 20x20x16 = 6400, then dense 250; all with biases, without batch norm
    encoder = networks.encoder("r1", (28, 28, 1), style=blocks.Style(batch_norm=False))
    encoder.build((None, 28, 28, 1))
    assert sum(int(np.prod(v.shape)) for v in encoder.weights) == (25 * 6 + 6) + (25 * 6 * 16 + 16) + (6400 * 250 + 250)
    decoder = networks.decoder("r1", (28, 28, 1), 2, style=blocks.Style(batch_norm=False))
    decoder.build((None, 10))
    counts = (10 * 250 + 250) + (250 * 6400 + 6400) + (25 * 16 * 6 + 6) + (25 * 6 * 2 + 2)
    assert sum(int(np.prod(v.shape)) for v in decoder.weights) == counts


def test_a_leaky_encoder_lets_a_fifth_of_what_is_negative_through():
    encoder = networks.encoder("mlp", (1, 2, 1), units=(1,), style=blocks.Style(batch_norm=False, leaky=True))
    encoder.build((None, 1, 2, 1))
    encoder.layers[1].set_weights([np.array([[1.0], [1.0]]), np.array([0.0])])
    np.testing.assert_allclose(encoder(tf.constant([[[[-3.0], [-2.0]]]])), [[-1.0]], rtol=1e-6)
