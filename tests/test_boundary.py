"""What a user gives to a model from Python: each mistake is one sentence, and what is right passes as it is."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdvae
from tfdvae.build import build_model
from tfdvae.errors import InputError
from tfdvae.models import VAE, inputs
from tfdvae.training.fit import compile_model

SMALL = {"network": "mlp", "hidden_units": (8,), "latent_dim": 3}


def small(model="vae", **parameters):
    built = build_model(image_shape=(5, 6, 1), model=model, **{**SMALL, **parameters})
    built.compile(optimizer="adam", jit_compile=False)
    return built


unchanged = functools.cache(small)  # for tests that leave a model as it is


def refused(call, *words):
    """Call a function that must raise an InputError of one sentence with these words; return the sentence."""
    with pytest.raises(InputError) as caught:
        call()
    sentence = str(caught.value)
    assert "\n" not in sentence and sentence.endswith(".") and len(sentence) < 330, sentence
    for word in words:
        assert word in sentence, sentence
    return sentence


WRONG = {
    "bytes": (lambda x: (255 * x).astype(np.uint8), "uint8, values from 0 to 25", "divide bytes by 255"),
    "bytes as floats": (lambda x: np.round(255 * x), "float32, values from 1 to 25", "divide bytes by 255"),
    "signed": (lambda x: 2 * x - 1, "values from -0.9", "(images + 1) / 2"),
    "standardised": (lambda x: (x - 0.5) / 0.2, "values from -2.", "scale or clip them to [0, 1]"),
    "NaN": (lambda x: np.where(x > x.max() - 1e-7, np.nan, x), "1 values that are NaN or infinite", "replace"),
    "infinite": (lambda x: np.where(x > x.max() - 1e-7, np.inf, x), "1 values that are NaN or infinite", "replace"),
    "one image": (lambda x: x[0], "shape (5, 6, 1), float32", "images[None]"),
    "one grey image": (lambda x: x[0, ..., 0], "shape (5, 6), float32", "images[None, ..., None]"),
    "no channel axis": (lambda x: x[..., 0], "shape (7, 5, 6), float32", "images[..., None]"),
    "flat": (lambda x: x.reshape(7, -1), "shape (7, 30), float32", "images.reshape(-1, 5, 6, 1)"),
    "channels first": (lambda x: np.moveaxis(x, -1, 1), "shape (7, 1, 5, 6)", "np.moveaxis(images, 1, -1)"),
    "colours": (lambda x: np.repeat(x, 3, axis=-1), "shape (7, 5, 6, 3)", "give them 1 channel"),
    "large": (lambda x: np.repeat(x, 2, axis=1), "shape (7, 10, 6, 1)", "resize them to 5x6 pixels"),
    "none": (lambda x: x[:0], "shape (0, 5, 6, 1), float32, no values", "at least one image"),
    "a number": (lambda x: 255, "shape (), int64, values from 255 to 255", "give a batch of images of this shape"),
    "words": (lambda x: "images.npz", "received str", "one array of numbers"),
    "two mistakes": (lambda x: (255 * x[0]).astype(int), "images[None], and scale them to [0, 1]"),
}


@pytest.mark.parametrize("spoil, words", [(spoil, words) for spoil, *words in WRONG.values()], ids=WRONG)
def test_wrong_images_are_one_sentence_wherever_they_come_in(spoil, words, images):
    vae, classifier = unchanged(), unchanged("classifier", num_classes=2)
    wrong = spoil(images)
    for call in (
        vae.encode,
        vae.reconstruct,
        vae,
        vae.predict,
        vae.fit,
        vae.evaluate,
        vae.train_on_batch,
        vae.test_on_batch,
        vae.predict_on_batch,
    ):
        refused(lambda call=call: call(wrong), "images: received ", "expected shape (any, 5, 6, 1) and floats in [0, 1]", *words)
    for call in (classifier.classify, classifier):
        refused(lambda call=call: call(wrong), "images: received ")
    refused(lambda: vae.fit(images, validation_data=(wrong,)), "images of validation_data: received ", *words)
    if isinstance(wrong, np.ndarray):
        refused(lambda: vae.encode(tf.constant(wrong)), *words)


RIGHT = {
    "float64": lambda x: x.astype(np.float64),
    "float16": lambda x: x.astype(np.float16),
    "bfloat16": lambda x: tf.cast(x, tf.bfloat16),
    "list": lambda x: x.tolist(),
    "rounding": lambda x: x * np.float32(1.0000001) + np.float32(1e-7),
    "whole 0 and 1": lambda x: (x > 0.5).astype(np.uint8),
    "booleans": lambda x: x > 0.5,
}


@pytest.mark.parametrize("change", RIGHT.values(), ids=RIGHT)
def test_right_images_of_any_type_pass(change, images):
    images[0] = 1.0
    model, right = unchanged(), change(images)
    expected = model.reconstruct(tf.cast(np.asarray(right), tf.float32))
    assert model.encode(right)[0].dtype == tf.float32
    np.testing.assert_array_equal(model.reconstruct(right), expected)
    np.testing.assert_array_equal(model(right), expected)
    if isinstance(right, np.ndarray):
        np.testing.assert_allclose(model.predict(right, verbose=0), expected, atol=1e-6)
        np.testing.assert_allclose(model.predict_on_batch(right), expected, atol=1e-6)


@pytest.mark.parametrize("kind", [np.float64, np.uint8, bool])
def test_right_images_of_any_type_train(kind, images):
    right = (images > 0.5).astype(kind)
    found, expected = (
        small().fit(values, validation_data=(values,), shuffle=False, verbose=0).history for values in (right, right.astype(np.float32))
    )
    assert {k: v[0] for k, v in found.items()} == pytest.approx({k: v[0] for k, v in expected.items()}, rel=1e-5)


def test_the_range_is_that_of_the_pixel_range(images):
    signed = small(pixel_range="signed", likelihood="gaussian")
    real = small("dae", pixel_range="real", likelihood="gaussian_fixed")
    refused(lambda: signed.encode(255 * images), "floats in [-1, 1];", "divide bytes by 127.5 and subtract 1")
    refused(lambda: real.encode(np.round(255 * images).astype(int)), "finite floats;", "convert them to floats")
    refused(lambda: real.encode(images * np.inf), "finite floats;")
    signed.encode(2 * images - 1), real.encode(255 * images - 100)
    bernoulli = VAE(encoder=signed.encoder, decoder=signed.decoder, likelihood=small().likelihood, prior=signed.prior, latent_dim=3)
    assert bernoulli.pixel_range == "unit"


def test_a_model_of_noisy_images_takes_noise_to_read_and_not_to_learn(images):
    noisy = images + np.float32(0.3) * np.random.default_rng(0).normal(size=images.shape).astype(np.float32)
    refused(lambda: small().reconstruct(noisy), "scale or clip them")
    for name in ("dae", "im_dvae"):
        model = small(name, corruption="gaussian:0.3")
        model.encode(noisy), model.reconstruct(noisy), model(noisy), model.predict(noisy, verbose=0)
        refused(lambda: model.reconstruct(255 * images), "floats in [0, 1], or at most 2.4 outside;")  # noqa: B023
        refused(lambda: model.fit(noisy), "floats in [0, 1];")  # noqa: B023
    outputs = small(likelihood="gaussian_fixed").reconstruct(images)  # leave [0, 1] a little
    assert small("classifier", num_classes=2).classify(outputs).shape == (7,)
    refused(lambda: small("dae", corruption="masking:0.5").reconstruct(noisy))


class Batches(keras.utils.PyDataset):
    def __init__(self, images):
        super().__init__()
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return (self.images[index][None],)


PIPELINES = {
    "tf.data": lambda images: tf.data.Dataset.from_tensor_slices(images).batch(1),
    "PyDataset": Batches,
    "generator": lambda images: ((image[None],) for image in images),
}


@pytest.mark.parametrize("pipeline", PIPELINES.values(), ids=PIPELINES)
def test_a_pipeline_is_looked_at_in_its_first_batch_and_loses_none(pipeline, images):
    model = small()
    for call in (model.fit, model.evaluate, model.predict):
        refused(lambda call=call: call(pipeline(np.round(255 * images))), "shape (1, 5, 6, 1), float32", "divide bytes by 255")
    refused(lambda: model.fit(images, validation_data=pipeline(2 * images)), "images of validation_data")
    expected = model.evaluate(images, batch_size=1, verbose=0, return_dict=True)
    assert model.evaluate(pipeline(images), verbose=0, return_dict=True) == pytest.approx(expected, rel=1e-6)
    assert model.predict(pipeline(images), verbose=0).shape == images.shape
    seen = keras.callbacks.LambdaCallback()
    steps = []
    seen.on_train_batch_end = lambda batch, logs: steps.append(batch)
    model.fit(pipeline(images), validation_data=pipeline(images), verbose=0, shuffle=False, callbacks=[seen])
    assert len(steps) == 7


def test_a_pipeline_is_read_once_where_its_first_batch_is_known_to_be_right(images):
    reads = []

    def read():
        reads.append(1)
        yield images

    pipeline = tf.data.Dataset.from_generator(read, output_signature=tf.TensorSpec((None, 5, 6, 1)))
    model = small()
    model.fit(pipeline, validation_data=pipeline, epochs=2, verbose=0, shuffle=False, check_inputs=False)
    assert len(reads) == 4  # two epochs of training and of validation
    model.fit(pipeline, validation_data=pipeline, epochs=2, verbose=0, shuffle=False)
    assert len(reads) == 10
    model.evaluate(pipeline, verbose=0, check_inputs=False), model.predict(pipeline, verbose=0, check_inputs=False)
    assert len(reads) == 12


def test_nothing_is_checked_in_a_traced_graph(images, monkeypatch):
    models, classifier = [small(name) for name in ("ae", "vae", "dvae", "dae")], small("classifier", num_classes=2)
    monkeypatch.setattr(inputs, "check_images", lambda *_: pytest.fail("checked"))
    for model in models:
        for method in (model.encode, model.reconstruct, model):
            tf.function(method, autograph=False)(tf.constant(255 * images))
    tf.function(classifier.classify, autograph=False)(tf.constant(255 * images))


@pytest.mark.parametrize(
    "labels, words",
    [
        (None, ["received none", "give images and labels"]),
        (np.full(7, 2), ["values from 2 to 2", "number the classes from 0"]),
        (np.arange(7) - 5, ["values from -5 to 1", "number the classes from 0"]),
        (np.zeros(7), ["float64", "labels.astype('int64')"]),
        (np.zeros((7, 1), int), ["shape (7, 1)", "labels.reshape(-1)"]),
        (np.eye(2)[[0] * 7], ["shape (7, 2)", "labels.argmax(axis=1)"]),
        (np.array(["a"] * 7), ["received ndarray"]),
    ],
)
def test_labels_that_name_no_class_are_one_sentence(labels, words, images):
    for model in (unchanged("classifier", num_classes=2), unchanged(num_classes=2, label_weight=1.0)):
        for call in (model.fit, model.evaluate):
            refused(lambda call=call: call(images, labels), "labels: received ", "expected one whole number from 0 to 1 per image", *words)
        refused(lambda: model.fit(images, np.zeros(7, int), validation_data=(images, labels)), "labels of validation_data: ")  # noqa: B023
        if labels is not None and labels.dtype.kind != "U":
            refused(lambda: model.fit(tf.data.Dataset.from_tensor_slices((images, labels)).batch(7)), *words)  # noqa: B023


def test_labels_that_a_model_does_not_read_are_not_checked(images):
    small(num_classes=2).fit(images, images, verbose=0)
    small(num_classes=2).evaluate(images, np.full(7, 5.5), verbose=0)


@pytest.mark.parametrize(
    "arguments",
    [
        {"loss": "mse"},
        {"loss": keras.losses.MeanSquaredError()},
        {"metrics": ["mae"]},
        {"weighted_metrics": ["mae"]},
        {"loss_weights": [2.0]},
    ],
)
def test_an_objective_beside_the_models_own_is_refused(arguments):
    (name,) = arguments
    refused(lambda: small().compile(optimizer="adam", **arguments), f"{name}: received ", "reports loss, neg_elbo", "leave it out")


def test_the_other_settings_of_compile_stay(images):
    model = small()
    model.compile("sgd", run_eagerly=True, steps_per_execution=2, jit_compile=False)
    assert model.run_eagerly and model.steps_per_execution == 2 and isinstance(model.optimizer, keras.optimizers.SGD)
    model.fit(images, batch_size=3, verbose=0)


@pytest.mark.parametrize("model", ["ae", "vae", "dvae", "dae", "im_dvae", "classifier"])
def test_a_model_that_was_never_called_can_be_exported(model, images, tmp_path):
    model = build_model(image_shape=(5, 6, 1), model=model, num_classes=2, **SMALL)
    model.export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(str(tmp_path / "exported"))
    np.testing.assert_allclose(exported.serve(images), model(images), atol=1e-6)
    np.testing.assert_allclose(exported.serve(images[:2]), model(images[:2]), atol=1e-6)


def test_the_model_of_a_run_folder_knows_its_images_and_can_be_exported(tmp_path):
    model = tfdvae.load("tests/formats/1")
    images = np.random.default_rng(0).random((2, 8, 8, 1)).astype(np.float32)
    refused(lambda: model.reconstruct(255 * images), "expected shape (any, 8, 8, 1) and floats in [0, 1]")
    model.export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(str(tmp_path / "exported"))
    np.testing.assert_allclose(exported.serve(images), model(images), atol=1e-6)


def test_a_saved_model_keeps_its_range_and_its_optimizer(images, tmp_path, recwarn):
    model = small(pixel_range="signed", likelihood="gaussian")
    compile_model(model, 0.125)
    model.fit(images, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert float(loaded.optimizer.learning_rate) == 0.125 and int(loaded.optimizer.iterations) == 1
    assert not [warning for warning in recwarn if "compile" in str(warning.message)]
    refused(lambda: loaded.encode(255 * images), "shape (any, 5, 6, 1) and floats in [-1, 1];")
    np.testing.assert_array_equal(loaded(images), model(images))
    loaded.fit(images, verbose=0)


def test_a_model_saved_without_a_range_takes_any_finite_values(images):
    config = small(pixel_range="signed", likelihood="gaussian").get_config()
    del config["pixel_range"]
    model = VAE.from_config(config)
    model.build((None, 5, 6, 1))
    model.encode(255 * images)
    refused(lambda: model.encode(images * np.inf), "finite floats")
