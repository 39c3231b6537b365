"""Batch normalisation with separate statistics for every input of a shared encoder."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tfdvae")
class BatchNorm(keras.layers.Layer):
    """Batch normalisation (Ioffe & Szegedy 2015) with one scale and offset, and separate moving statistics for every pass.

    A DVAE with a shared encoder has two input distributions: original images and the VAE's outputs. One moving average over both would
    fit neither at test time. The passes share scale and offset, which are weights, but not the statistics.

    It uses TensorFlow's fused kernel. On a CPU, the unfused operations of `keras.layers.BatchNormalization` take a third of a training
    step of a small VAE, and twice that in bfloat16. Statistics, scale and offset stay in float32.

    Args:
        passes: number of input distributions.
        momentum: share of the old moving average that a step keeps; 0.95 averages over about 20 batches.
        epsilon: added to the variance.
    """

    def __init__(self, passes=1, momentum=0.95, epsilon=1e-3, **kwargs):
        super().__init__(**kwargs)
        self.passes = passes
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, input_shape):
        def weight(name, initializer, trainable):
            return self.add_weight(
                shape=(input_shape[-1],), initializer=initializer, dtype="float32", autocast=False, trainable=trainable, name=name
            )

        self.scale = weight("scale", "ones", True)
        self.offset = weight("offset", "zeros", True)
        self.moving_mean = [weight(f"moving_mean_{i}", "zeros", False) for i in range(self.passes)]
        self.moving_variance = [weight(f"moving_variance_{i}", "ones", False) for i in range(self.passes)]

    def call(self, inputs, training=False, pass_index=0):
        images = inputs if len(inputs.shape) == 4 else tf.reshape(inputs, (-1, 1, 1, inputs.shape[-1]))
        mean, variance = self.moving_mean[pass_index], self.moving_variance[pass_index]
        statistics = {} if training else {"mean": mean.value, "variance": variance.value}
        outputs, batch_mean, batch_variance = tf.compat.v1.nn.fused_batch_norm(
            images, self.scale.value, self.offset.value, epsilon=self.epsilon, is_training=bool(training), **statistics
        )
        if training:
            mean.assign(self.momentum * mean + (1.0 - self.momentum) * batch_mean)
            variance.assign(self.momentum * variance + (1.0 - self.momentum) * batch_variance)
        return tf.reshape(outputs, tf.shape(inputs))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "passes": self.passes, "momentum": self.momentum, "epsilon": self.epsilon}
