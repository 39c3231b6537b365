"""The training step and the test step of every model. A model states its objective as named terms."""

import inspect

import keras
import tensorflow as tf

from .. import rules
from ..errors import refusal
from . import inputs

TEST_SEED = 20160  # validation and evaluation draw from this seed, never from training's generators
OBJECTIVE = ("loss", "loss_weights", "metrics", "weighted_metrics")  # arguments of Keras' `compile` that a model here has no use for


class Model(keras.Model):
    """A Keras model whose objective is stated once, in `loss_terms`.

    `train_step` and `test_step` use the same terms. They track every term's mean over images, so a short last batch has less weight.
    A subclass sets `term_names`, with "loss" among them, before `__init__` runs.

    Images from a user are checked once: an array whole, a pipeline at its first batch (see `inputs`). Methods for the package's own use,
    `loss_terms` among them, check nothing.

    Args:
        seed: seed of training's random draws. Validation draws from a fixed seed of its own.
        pixel_range: "unit", "signed" or "real", of the images; "real" allows all finite values.
    """

    reconstructs = False  # whether the model has `reconstruct`, `output`, `codes` and `likelihood`
    generates = False  # whether the model has a prior, `sample` and `output_of_prior`; `encode` then returns mean and log-variance
    gate = False  # whether the output is the input times a gate; the model then has `gates` and `corrupted`
    term_names = ("loss",)
    config_names = ()  # constructor arguments that `get_config` reads from attributes of the same names
    label_classes = 0  # number of classes of the labels that the objective uses, 0 where it uses none
    input_reach = 0.0  # how far images to encode, reconstruct or classify may leave the range
    image_shape = None  # (H, W, C), once the model is built

    def __init__(self, seed=0, pixel_range="real", **kwargs):
        super().__init__(**kwargs)
        rules.check_value("pixel_range", pixel_range)
        self.seed, self.pixel_range = seed, pixel_range
        self.noise = keras.random.SeedGenerator(seed, name="noise")
        self.means = [keras.metrics.Mean(name=name) for name in self.term_names]
        self.test_batches = tf.Variable(0, trainable=False)  # no Keras variable, so it is not saved with the weights

    @classmethod
    def arguments(cls, parts):
        """Return the constructor's arguments, made from `tfdvae.build.Parts`."""
        raise NotImplementedError

    def build(self, input_shape):
        """Note the shape of images, (any, H, W, C); a subclass builds its parts."""
        self.image_shape = tuple(input_shape[1:])
        self.built = True

    def loss_terms(self, images, labels=None, training=False, seed=None):
        """Return the objective's terms, one value per image.

        Args:
            images: (B, H, W, C), float32.
            labels: (B,) integers, or None for images without labels.
            training: whether batch statistics are used and updated.
            seed: pair of integers for the random draws; None draws from training's generator.

        Returns:
            dict of (B,) float32 tensors, nats per image; training minimises "loss".
        """
        raise NotImplementedError

    def evaluation_terms(self, images, labels=None, seed=None):
        """Return the terms that evaluation reports, in the form of `loss_terms`. They may include terms that training does not minimise."""
        return self.loss_terms(images, labels, seed=seed)

    def notes(self, image_shape):
        """Return notes for readers of an evaluation's numbers: sentences without a full stop."""
        return []

    def after_step(self, terms):
        """Update the schedules after a training step with these terms."""

    def draw_seed(self, seed, index):
        """Derive the index-th seed from `seed`, or from the next draw of training's generator where `seed` is None."""
        base = tf.cast(self.noise.next(), tf.int32) if seed is None else seed
        return tf.random.experimental.stateless_fold_in(base, index)

    def checked(self, images):
        """Return a user's images as float32, after a look at their shape and range; tensors of a graph are only converted.

        Raises:
            InputError: the model cannot take these images.
        """
        if isinstance(images, keras.KerasTensor):
            return images
        if not inputs.is_traced(images):
            inputs.check_images(images, inputs.Expected(self.image_shape, self.pixel_range, self.input_reach))
        return tf.cast(images, tf.float32)

    def checked_data(self, x, y=None, of=""):
        """Return data to train or test with, after a look at images and labels; see `inputs.check_data`."""
        return inputs.check_data(x, y, inputs.Expected(self.image_shape, self.pixel_range), self.label_classes, of)

    def __call__(self, images, *args, **kwargs):
        return super().__call__(self.checked(images), *args, **kwargs)

    def fit(self, *args, check_inputs=True, **kwargs):
        """Train as `keras.Model.fit` does, after a look at images and labels.

        Args:
            check_inputs: False skips the look, for a pipeline that is right and whose first batch takes long or cannot be read twice.
            others: as in Keras.

        Raises:
            InputError: the images or labels cannot be used.
        """
        if check_inputs:
            given = inspect.signature(super().fit).bind(*args, **kwargs)
            given.arguments["x"] = self.checked_data(given.arguments.get("x"), given.arguments.get("y"))
            validation = given.arguments.get("validation_data")
            if validation is not None:
                x, y, weights = keras.utils.unpack_x_y_sample_weight(validation)
                x = self.checked_data(x, y, " of validation_data")
                given.arguments["validation_data"] = keras.utils.pack_x_y_sample_weight(x, y, weights)
            args, kwargs = given.args, given.kwargs
        return super().fit(*args, **kwargs)

    def evaluate(self, x=None, y=None, *args, check_inputs=True, **kwargs):
        """Test as `keras.Model.evaluate` does, after a look at images and labels; see `fit`."""
        if check_inputs and not kwargs.get("_use_cached_eval_dataset"):  # so Keras' `fit` calls it; `fit` here has looked already
            x = self.checked_data(x, y)
        return super().evaluate(x, y, *args, **kwargs)

    def predict(self, x, *args, check_inputs=True, **kwargs):
        """Return what a call returns, in batches as `keras.Model.predict` does, after a look at the images; see `fit`."""
        if check_inputs:
            x = inputs.check_data(x, None, inputs.Expected(self.image_shape, self.pixel_range, self.input_reach))
        return super().predict(x, *args, **kwargs)

    def train_on_batch(self, x, y=None, *args, **kwargs):
        return super().train_on_batch(self.checked_data(x, y), y, *args, **kwargs)

    def test_on_batch(self, x, y=None, *args, **kwargs):
        return super().test_on_batch(self.checked_data(x, y), y, *args, **kwargs)

    def predict_on_batch(self, x):
        return super().predict_on_batch(self.checked(x))

    def compile(self, optimizer="rmsprop", loss=None, loss_weights=None, metrics=None, weighted_metrics=None, **kwargs):
        """Choose the optimizer, and how Keras runs a step. The model states its objective itself.

        Raises:
            InputError: a loss or metrics are given.
        """
        for name, value in zip(OBJECTIVE, (loss, loss_weights, metrics, weighted_metrics)):
            if value is not None:
                raise refusal(
                    name, value, f"none, since the model has its own objective and reports {', '.join(self.term_names)}", "leave it out"
                )
        super().compile(optimizer=optimizer, **kwargs)

    def compile_from_config(self, config):
        """Compile a saved model as it was; Keras does not do it for a class with a `compile` of its own."""
        settings = keras.saving.deserialize_keras_object(config)
        self.compile(**{name: value for name, value in settings.items() if name not in OBJECTIVE})  # of an older file; they had no effect
        if self.built:
            self.optimizer.build(self.trainable_variables)

    def export(self, filepath, format="tf_saved_model", verbose=None, input_signature=None, **kwargs):
        """Export as `keras.Model.export` does, but also a model that was never called."""
        if input_signature is None and self.image_shape:
            input_signature = [keras.InputSpec(shape=(None, *self.image_shape), dtype="float32")]
        super().export(filepath, format, verbose, input_signature, **kwargs)

    def train_step(self, data):
        images, labels = self.unpack(data)
        with tf.GradientTape() as tape:
            terms = self.loss_terms(images, labels, training=True)
            loss = tf.reduce_mean(terms["loss"])
        weights = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights))
        self.after_step(terms)
        return self.track(terms)

    def test_step(self, data):
        images, labels = self.unpack(data)
        terms = self.loss_terms(images, labels, seed=[TEST_SEED, self.test_batches])
        self.test_batches.assign_add(1)
        return self.track(terms)

    def reset_metrics(self):
        """Reset the means, and restart validation's random draws."""
        super().reset_metrics()
        self.test_batches.assign(0)

    def track(self, terms):
        """Add a batch of terms to the running means, and return the means."""
        for mean in self.means:
            mean.update_state(terms[mean.name])
        return {mean.name: mean.result() for mean in self.means}

    @staticmethod
    def unpack(data):
        """Return images and labels (or None) of a batch."""
        images, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        if weights is not None:
            raise ValueError("Expected images, or images and labels. Received sample weights, which no objective here uses.")
        return tf.cast(images, tf.float32), labels

    def get_config(self):
        parts = {name: getattr(self, name) for name in self.config_names}
        own = {"name": self.name, "seed": self.seed, "pixel_range": self.pixel_range}
        return {**own, **{k: keras.saving.serialize_keras_object(v) for k, v in parts.items()}}

    @classmethod
    def from_config(cls, config):
        return cls(**{k: keras.saving.deserialize_keras_object(v) for k, v in config.items()})


def class_cross_entropy(labels, logits):
    """Return the cross-entropy of each image's class, in nats: (B,); 0 for an image without a label, which is -1."""
    terms = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(labels, 0), logits)
    return tf.where(labels >= 0, terms, 0.0)
