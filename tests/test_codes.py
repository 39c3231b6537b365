import keras
import numpy as np
import pytest
import tensorflow as tf

from tfdvae.build import build_model
from tfdvae.corruptions import Masking
from tfdvae.evaluation import codes, terms

FIVE = np.array([[-0.50, -0.40], [-0.40, -0.10], [0.10, 0.00], [0.30, 0.30], [0.50, 0.20]], np.float32)  # A to E of the published example
CODES = np.array([-0.63, -0.39, 0.09, 0.41, 0.53])
DECODED = np.array([[-0.54, -0.33], [-0.34, -0.20], [0.07, 0.04], [0.35, 0.21], [0.46, 0.27]])


def test_a_linear_autoencoder_of_five_points_finds_their_principal_component():
    """Trained by gradient descent, its outputs and, up to scale and sign, its codes are the published ones; its error is PCA's."""
    images = FIVE.reshape(5, 1, 2, 1)
    model = build_model(
        model="ae", network="linear", image_shape=(1, 2, 1), latent_dim=1, likelihood="gaussian_fixed", sigma=1.0, pixel_range="signed"
    )
    optimizer = keras.optimizers.Adam(0.02)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model.loss_terms(tf.constant(images), training=True)["loss"])
        optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))

    for _ in range(800):
        step()
    outputs = model.reconstruct(tf.constant(images)).numpy()
    np.testing.assert_allclose(outputs.reshape(5, 2), DECODED, atol=0.01)
    found = model.codes(tf.constant(images)).numpy()[:, 0]
    found = (found - found.mean()) * np.sign(found[-1] - found[0])  # a bias of the code, undone by the decoder's, is free
    np.testing.assert_allclose(found / np.linalg.norm(found), CODES / np.linalg.norm(CODES), atol=0.01)
    error = np.mean(np.square(outputs - images))
    assert error == pytest.approx(codes.principal_components(images, 1)(images).mean(), rel=0.01)


def test_pca_error_is_what_the_left_out_singular_values_hold():
    x = np.random.default_rng(0).normal(size=(50, 2, 3, 1)).astype(np.float32)
    flat = x.reshape(50, 6) - x.reshape(50, 6).mean(axis=0)
    left_out = np.linalg.svd(flat, compute_uv=False)[2:]
    assert codes.principal_components(x, 2)(x).mean() == pytest.approx(np.sum(left_out**2) / (50 * 6), rel=1e-4)
    assert codes.principal_components(x, 40)(x) == pytest.approx(0.0, abs=1e-9)


def test_linear_probe_cuts_a_line_in_two():
    train = np.array([[-1.0], [-1.1], [1.0], [1.1]])
    predict = codes.linear_probe(train, np.array([0, 0, 1, 1]))
    assert predict(np.array([[-2.0], [2.0], [0.9]])).tolist() == [0, 1, 1]
    assert codes.linear_probe(train, np.array([1, 1, 1, 1])) is None


def test_codes_of_two_dimensions_are_drawn_as_they_are():
    two = np.random.default_rng(0).normal(size=(20, 2))
    np.testing.assert_array_equal(codes.in_two_dimensions(two), two)
    assert codes.in_two_dimensions(two[:, :1]).shape == (20, 2)
    assert codes.in_two_dimensions(np.random.default_rng(0).normal(size=(20, 5))).shape == (20, 2)
    for impossible in (np.zeros((60, 5)), np.eye(3)):  # all alike, as of a collapsed posterior; too few
        np.testing.assert_array_equal(codes.in_two_dimensions(impossible), impossible[:, :2])


def test_a_probe_is_fitted_to_training_images_and_tried_on_every_test_image(images):
    """Two classes, bright and dark: any code tells them apart."""
    model = build_model(model="vae", image_shape=(5, 6, 1), channels=(4,), hidden_units=(8,), latent_dim=3)
    bright = np.arange(7) % 2
    pictures = 0.1 * images + 0.9 * bright[:, None, None, None].astype(np.float32)
    labelled = tf.data.Dataset.from_tensor_slices((pictures, bright)).batch(2)
    errors, found, classes = codes.probe_codes(model, labelled, labelled, 6)
    assert errors["probe_error"].tolist() == [0.0] * 7
    np.testing.assert_allclose(errors["pca_mse"], codes.principal_components(pictures[:6], 3)(pictures), rtol=1e-5)
    np.testing.assert_allclose(found, model.encode(pictures)[0], rtol=1e-4, atol=1e-5)
    assert classes.tolist() == bright.tolist()
    unlabelled = tf.data.Dataset.from_tensor_slices(pictures).batch(2)
    errors, _, classes = codes.probe_codes(model, unlabelled, unlabelled, 6)
    assert set(errors) == {"pca_mse"} and classes is None


def test_errors_of_and_from_corrupted_images(images):
    model = build_model(model="ae", image_shape=(5, 6, 1), channels=(4,), hidden_units=(8,), latent_dim=3)
    batches = tf.data.Dataset.from_tensor_slices(images).batch(4)
    errors, (clean, corrupted, restored) = terms.corrupted_errors(model, batches, Masking(1.0))  # all pixels become zero
    np.testing.assert_allclose(errors["mse_of_corrupted"], np.mean(images**2, axis=(1, 2, 3)), rtol=1e-5)
    black = model.reconstruct(tf.zeros((1, 5, 6, 1)))
    np.testing.assert_allclose(errors["mse_from_corrupted"], np.mean((images - black) ** 2, axis=(1, 2, 3)), rtol=1e-4)
    np.testing.assert_allclose(errors["mse_from_clean"], np.mean((images - model.reconstruct(images)) ** 2, axis=(1, 2, 3)), rtol=1e-4)
    assert not corrupted.any() and clean.shape == restored.shape == (4, 5, 6, 1)
