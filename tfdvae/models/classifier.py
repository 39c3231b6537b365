"""The CNN that judges a model's outputs. It is trained on original images and classifies the outputs for test images."""

import keras
import tensorflow as tf

from .base import Model, class_cross_entropy


@keras.saving.register_keras_serializable("tfdvae")
class Classifier(Model):
    """Minimise the softmax cross-entropy of the class.

    Args:
        network: layer, images -> (B, classes) logits.
    """

    term_names = ("loss", "error")
    config_names = ("network",)
    input_reach = 0.5  # it also judges outputs, and a Gaussian's mean image leaves the range a little
    label_classes = 0  # until `build` knows them

    def __init__(self, network, **kwargs):
        super().__init__(**kwargs)
        self.network = network

    @classmethod
    def arguments(cls, parts):
        return {"network": parts.classifier()}

    def build(self, input_shape):
        super().build(input_shape)
        self.network.build(input_shape)
        self.label_classes = self.network.compute_output_shape(input_shape)[-1]

    def logits(self, images, training=False):
        return tf.cast(self.network(images, training=training), tf.float32)

    def call(self, images, training=False):
        """Return class probabilities: (B, classes)."""
        return tf.nn.softmax(self.logits(images, training))

    def classify(self, images):
        """Return the most probable class of each image: (B,)."""
        return tf.argmax(self.logits(self.checked(images)), axis=-1)

    def loss_terms(self, images, labels=None, training=False, seed=None):
        """Return "loss", nats per image, and "error", 1 where the class is wrong and 0 where it is right or unknown (-1)."""
        if labels is None:
            raise ValueError("Expected images and labels to train or test a classifier. Received images alone.")
        logits = self.logits(images, training)
        labels = tf.cast(labels, tf.int64)
        wrong = tf.not_equal(tf.argmax(logits, axis=-1), labels) & (labels >= 0)
        return {"loss": class_cross_entropy(labels, logits), "error": tf.cast(wrong, tf.float32)}
