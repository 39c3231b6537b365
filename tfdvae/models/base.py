"""The training step and the test step of every model. A model states its objective as named terms."""

import keras
import tensorflow as tf

TEST_SEED = 20160  # validation and evaluation draw from this seed, never from training's generators


class Model(keras.Model):
    """A Keras model whose objective is stated once, in `loss_terms`.

    `train_step` and `test_step` use the same terms. They track every term's mean over images, so a short last batch has less weight.
    A subclass sets `term_names`, with "loss" among them, before `__init__` runs.

    Args:
        seed: seed of training's random draws. Validation draws from a fixed seed of its own.
    """

    reconstructs = False  # whether the model has `reconstruct`, `output`, `codes` and `likelihood`
    generates = False  # whether the model has a prior, `sample` and `output_of_prior`; `encode` then returns mean and log-variance
    gate = False  # whether the output is the input times a gate; the model then has `gates` and `corrupted`
    term_names = ("loss",)
    config_names = ()  # constructor arguments that `get_config` reads from attributes of the same names

    def __init__(self, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.noise = keras.random.SeedGenerator(seed, name="noise")
        self.means = [keras.metrics.Mean(name=name) for name in self.term_names]
        self.test_batches = tf.Variable(0, trainable=False)  # no Keras variable, so it is not saved with the weights

    @classmethod
    def arguments(cls, parts):
        """Return the constructor's arguments, made from `tfdvae.build.Parts`."""
        raise NotImplementedError

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
        return {"name": self.name, "seed": self.seed, **{k: keras.saving.serialize_keras_object(v) for k, v in parts.items()}}

    @classmethod
    def from_config(cls, config):
        return cls(**{k: keras.saving.deserialize_keras_object(v) for k, v in config.items()})


def class_cross_entropy(labels, logits):
    """Return the cross-entropy of each image's class, in nats: (B,); 0 for an image without a label, which is -1."""
    terms = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(labels, 0), logits)
    return tf.where(labels >= 0, terms, 0.0)
