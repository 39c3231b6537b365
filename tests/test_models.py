import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfdvae.build import build_model
from tfdvae.likelihoods import Bernoulli
from tfdvae.models import DVAE, Classifier
from tfdvae.priors import StandardNormal

SMALL = {"channels": (4, 6), "hidden_units": (10,), "latent_dim": 3}
SEED = [1, 2]


def small(model, **parameters):
    return build_model(image_shape=(5, 6, 1), num_classes=2, **{**SMALL, "model": model, **parameters})


@keras.saving.register_keras_serializable("tests")
class Constant(keras.layers.Layer):
    """A network that answers every input with the same values."""

    def __init__(self, values, **kwargs):
        super().__init__(**kwargs)
        self.values = values

    def call(self, inputs, training=False, pass_index=0):
        values = tf.constant(self.values, tf.float32)
        return tf.tile(values[tf.newaxis], [tf.shape(inputs)[0]] + [1] * len(values.shape))

    def compute_output_shape(self, input_shape):
        return (None, *np.shape(self.values))


def test_dvae_loss_of_a_two_pixel_image():
    """Image (1, 0); VAE's output p = (3/4, 1/4); DAE's p = (9/10, 1/10); posterior N(1, 4) from the bias alone."""
    logit = math.log(3.0)
    model = DVAE(
        encoder=Constant([1.0]),
        decoder=Constant([[[logit], [-logit]]]),
        denoising_decoder=Constant([[[math.log(9.0)], [-math.log(9.0)]]]),
        likelihood=Bernoulli(),
        prior=StandardNormal(),
        latent_dim=1,
        kl_weight=0.5,
        denoise_weight=3.0,
    )
    model.build((None, 1, 2, 1))
    model.head.set_weights([np.zeros((1, 2)), np.array([1.0, math.log(4.0)])])
    terms = model.loss_terms(tf.constant([[[[1.0], [0.0]]]]), seed=SEED)
    vae, dae, kl = 2 * math.log(4 / 3), 2 * math.log(10 / 9), 0.5 * (4 + 1 - 1 - math.log(4.0))
    expected = {"vae_reconstruction": vae, "reconstruction": dae, "kl": kl, "neg_elbo": dae + kl, "mse": 0.01}
    expected["loss"] = 0.5 * kl + vae + 3 * dae
    assert {k: v.numpy()[0] for k, v in terms.items()} == pytest.approx(expected, rel=1e-5)


def test_vae_loss_weighs_the_kl(images):
    terms = small("vae", kl_weight=0.25).loss_terms(images, seed=SEED)
    np.testing.assert_allclose(terms["loss"], 0.25 * terms["kl"] + terms["reconstruction"], rtol=1e-6)
    np.testing.assert_allclose(terms["neg_elbo"], terms["kl"] + terms["reconstruction"], rtol=1e-6)


def gradients(model, term, images):
    """Gradient of a term's mean with respect to the weights of the VAE within a DVAE."""
    weights = [*model.encoder.trainable_variables, *model.head.trainable_variables, *model.decoder.trainable_variables]
    with tf.GradientTape() as tape:
        value = tf.reduce_mean(model.loss_terms(images, training=True, seed=SEED)[term])
    return tape.gradient(value, [w.value for w in weights], unconnected_gradients="zero")


def test_without_propagation_the_vae_gets_exactly_no_gradient_from_the_dae(images):
    apart = small("dvae", share_encoder=False, propagate=False)
    assert all(not np.any(g) for g in gradients(apart, "reconstruction", images))
    assert any(np.any(g) for g in gradients(apart, "vae_reconstruction", images))
    joint = small("dvae", share_encoder=False, propagate=True)
    assert any(np.any(g) for g in gradients(joint, "reconstruction", images))


def test_share_encoder_shares_the_weights_and_not_the_statistics(images):
    shared, apart = small("dvae"), small("dvae", share_encoder=False)
    encoder_weights = sum(int(np.prod(v.shape)) for v in shared.encoder.trainable_variables)
    assert sum(int(np.prod(v.shape)) for v in apart.trainable_variables) == encoder_weights + sum(
        int(np.prod(v.shape)) for v in shared.trainable_variables
    )
    before = shared.denoise(images)[0].numpy()
    first = shared.encoder.layers[0].kernel
    first.assign(first * 2.0 + 0.1)
    assert not np.allclose(before, shared.denoise(images)[0])

    shared.loss_terms(images, training=True)
    norm = shared.encoder.layers[1]
    assert not np.allclose(norm.moving_mean[0], norm.moving_mean[1])


def test_two_stages_through_a_shared_encoder_are_refused():
    with pytest.raises(ValueError, match="propagate: received False; expected True with a shared encoder"):
        small("dvae", share_encoder=True, propagate=False)


def test_vae_weight_weighs_the_reconstruction_of_the_vae_within(images):
    model = small("dvae", vae_weight=0.0)
    terms = model.loss_terms(images, seed=SEED)
    np.testing.assert_allclose(terms["loss"], terms["kl"] + terms["reconstruction"], rtol=1e-6)
    both = small("dvae", vae_weight=3.0).loss_terms(images, seed=SEED)
    np.testing.assert_allclose(both["loss"], terms["loss"] + 3.0 * terms["vae_reconstruction"], rtol=1e-6)


def test_label_weight_adds_the_class_cross_entropy_of_every_pass(images):
    labels = tf.constant([0, 1, 0, 1, 0, 1, 0])
    for name, passes in (("vae", 1), ("dvae", 2)):
        model = small(name, label_weight=2.0)
        model.label_head.set_weights([np.zeros((10, 2)), np.zeros(2)])  # both classes equally probable
        terms = model.loss_terms(images, labels, seed=SEED)
        np.testing.assert_allclose(terms["label"], np.full(7, passes * math.log(2.0)), rtol=1e-6)
        without = terms["kl"] + terms["reconstruction"] + terms.get("vae_reconstruction", 0.0)
        np.testing.assert_allclose(terms["loss"], without + 2.0 * terms["label"], rtol=1e-6)
        with pytest.raises(ValueError, match="labels"):
            model.loss_terms(images)
    assert small("vae").label_head is None


def test_dae_denoises_a_corrupted_input(images):
    model = small("dae", corruption="masking:0.5")
    corrupted = model.corruption(images, seed=model.draw_seed(SEED, 0))
    expected = model.likelihood.negative_log_likelihood(images, model.decoder(model.encode(corrupted)))
    np.testing.assert_allclose(model.loss_terms(images, seed=SEED)["loss"], expected, rtol=1e-6)
    with pytest.raises(ValueError, match="prior"):
        model.sample(3)


def test_classifier_terms_of_hand_made_logits():
    model = Classifier(Constant([math.log(3.0), 0.0]))
    terms = model.loss_terms(tf.zeros((2, 5, 6, 1)), tf.constant([0, 1]))
    np.testing.assert_allclose(terms["loss"], [math.log(4 / 3), math.log(4.0)], rtol=1e-6)
    assert terms["error"].numpy().tolist() == [0.0, 1.0]


@pytest.mark.parametrize("model", ["vae", "dvae", "dae"])
def test_metrics_weigh_every_image_alike_over_a_ragged_last_batch(model, images):
    images[6] = 0.0  # the short batch unlike the others
    model = small(model)
    for decoder in {model.decoder, getattr(model, "denoising_decoder", model.decoder)}:
        next(layer for layer in reversed(decoder.layers) if hasattr(layer, "bias")).bias.assign(
            [3.0]
        )  # white pixels, so that black ones cost
    model.compile(optimizer="adam", jit_compile=False)
    found = model.evaluate(tf.data.Dataset.from_tensor_slices(images).batch(3), verbose=0, return_dict=True)
    batches = [images[:3], images[3:6], images[6:]]
    terms = [model.loss_terms(batch, seed=[20160, i]) for i, batch in enumerate(batches)]
    plain = {k: np.concatenate([t[k].numpy() for t in terms]).mean() for k in model.term_names}
    assert found == pytest.approx(plain, rel=1e-4, abs=1e-5)
    batch_means = np.mean([t["loss"].numpy().mean() for t in terms])
    assert found["loss"] != pytest.approx(batch_means, rel=1e-3)  # the mistake this test is for


def test_validation_repeats_and_leaves_training_s_randomness_alone(images):
    model = small("vae")
    model.compile(optimizer="adam", jit_compile=False)
    state = np.asarray(model.noise.state)
    first = model.evaluate(images, batch_size=3, verbose=0)
    assert model.evaluate(images, batch_size=3, verbose=0) == first
    np.testing.assert_array_equal(model.noise.state, state)


def test_fit_lowers_the_loss_the_keras_way(images):
    images = np.repeat(images[:1] > 0.5, 7, axis=0).astype(np.float32)  # one binary image, so that the decoders' biases could do it alone
    model = small("dvae")
    model.compile(optimizer=keras.optimizers.Adam(1e-2), jit_compile=False)
    history = model.fit(images, validation_data=(images,), batch_size=7, epochs=30, verbose=0).history
    assert set(history) == {p + k for k in model.term_names for p in ("", "val_")}
    assert history["loss"][-1] < 0.5 * history["loss"][0]


def test_sample_weights_are_refused(images):
    model = small("vae")
    model.compile(optimizer="adam", jit_compile=False)
    with pytest.raises(ValueError, match="sample weights"):
        model.fit(images, np.zeros(7), sample_weight=np.ones(7), verbose=0)


@pytest.mark.parametrize(
    "parameters",
    [
        {"model": "vae", "label_weight": 1.0},
        {"model": "vae", "network": "r0", "likelihood": "gaussian"},
        {"model": "dvae"},
        {"model": "dvae", "network": "s2d"},
        {"model": "dvae", "share_encoder": False, "propagate": False, "network": "mlp", "channels": (), "likelihood": "gaussian_fixed"},
        {"model": "dae", "corruption": "salt_and_pepper:0.2"},
        {"model": "classifier", "shift": 0.1, "blur": 1.0},
    ],
)
def test_keras_saving_round_trip(parameters, images, tmp_path):
    model = small(**parameters)
    if parameters["model"] != "classifier":
        model.loss_terms(images, tf.zeros(7, tf.int32), training=True)  # moves batch-norm statistics
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    np.testing.assert_array_equal(loaded(images), model(images))
    labels = tf.zeros(7, tf.int32)
    for name, term in model.loss_terms(images, labels, seed=SEED).items():
        np.testing.assert_array_equal(term, loaded.loss_terms(images, labels, seed=SEED)[name])


def test_public_methods_and_their_shapes(images):
    model = small("dvae", likelihood="gaussian")
    mean, log_variance = model.encode(images)
    assert mean.shape == log_variance.shape == (7, 3)
    assert model.decode(mean).shape == model.decode_vae(mean).shape == model.reconstruct(images).shape == images.shape
    np.testing.assert_array_equal(model.sample(4, seed=1), model.sample(4, seed=1))
    assert not np.array_equal(model.sample(4, seed=1), model.sample(4, seed=2))
    assert model.sample(4).shape == (4, 5, 6, 1)


@pytest.mark.parametrize("name, value", [("model", "VAE"), ("network", "cnn"), ("likelihood", "normal"), ("precision", "float16")])
def test_misspelt_names_are_refused(name, value):
    with pytest.raises(ValueError, match=f"^{name}: received '{value}'; .*xpected one of "):
        small(**{"model": "vae", name: value})


def test_building_leaves_the_caller_s_random_numbers_alone():
    import random

    random.seed(1)
    expected = random.random()
    random.seed(1)
    small("vae", seed=3)
    assert random.random() == expected


def test_the_seed_decides_the_initial_weights():
    for one, two, equal in ((0, 0, True), (0, 1, False)):
        pairs = zip(small("vae", seed=one).trainable_variables, small("vae", seed=two).trainable_variables)
        assert all(np.array_equal(a, b) for a, b in pairs) is equal


def test_an_autoencoder_explains_what_it_sees(images):
    model = small("ae", likelihood="gaussian_fixed", sigma=2.0)
    terms = model.loss_terms(images)
    outputs = model.decode(model.encode(images))
    squared = np.square(images - outputs).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(terms["mse"], squared / 30, rtol=1e-4)
    constant = 15 * math.log(2 * math.pi * 4.0)  # half of 30 pixels
    np.testing.assert_allclose(terms["loss"], squared / 8 + constant, rtol=1e-5)
    assert model.codes(images).shape == (7, 3)
    with pytest.raises(ValueError, match="prior"):
        model.sample(2)


def test_a_gate_multiplies_the_corrupted_image(images):
    model = small("dae", gate=True, likelihood="gaussian_fixed", corruption="gaussian:0.2")
    corrupted = model.corrupted(images, seed=SEED)
    gates = model.gates(corrupted).numpy()
    assert gates.min() > 0 and gates.max() < 1
    np.testing.assert_allclose(model.reconstruct(images, seed=SEED), corrupted * gates, rtol=1e-5)
    terms = model.loss_terms(images, seed=SEED)
    np.testing.assert_allclose(terms["mse"], np.mean((corrupted * gates - images) ** 2, axis=(1, 2, 3)), rtol=1e-4)
    with pytest.raises(ValueError, match="images to reconstruct"):
        model.decode(tf.zeros((1, 3)))


def test_im_dvae_sees_the_corrupted_image_and_explains_the_clean_one(images):
    model = small("im_dvae", corruption="masking:0.5")
    corrupted = model.corruption(images, seed=model.draw_seed(SEED, 1))
    mean, log_variance = model.encode(corrupted)
    outputs = model.decoder(model.draw_latent(mean, log_variance, SEED)[0])
    terms = model.loss_terms(images, seed=SEED)
    np.testing.assert_allclose(terms["reconstruction"], model.likelihood.negative_log_likelihood(images, outputs), rtol=1e-5)
    np.testing.assert_allclose(terms["kl"], model.prior.kl(mean, log_variance), rtol=1e-5)
    assert not np.allclose(terms["kl"], model.prior.kl(*model.encode(images)))


def test_im_dvae_is_evaluated_by_two_bounds(images):
    model = small("im_dvae", corruption="gaussian:0.5")
    terms = model.evaluation_terms(images, seed=SEED)
    np.testing.assert_allclose(terms["kl"], model.prior.kl(*model.encode(images)), rtol=1e-5)
    draws = [model.loss_terms(images, seed=model.draw_seed(SEED, 2 + i))["neg_elbo"] for i in range(8)]
    np.testing.assert_allclose(terms["corrupted_neg_elbo"], np.mean(draws, axis=0), rtol=1e-5)
    assert np.ptp(draws, axis=0).min() > 0


def test_im_dvae_without_noise_is_a_vae(images):
    quiet, vae = small("im_dvae", corruption="gaussian:1e-9"), small("vae")
    vae.set_weights(quiet.get_weights())
    for name, value in vae.loss_terms(images, seed=SEED).items():
        np.testing.assert_allclose(quiet.loss_terms(images, seed=SEED)[name], value, rtol=1e-4)
