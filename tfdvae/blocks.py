"""Building blocks of networks: layers in order, the style of hidden layers, and a random blur."""

import dataclasses
import math

import keras
import tensorflow as tf
from keras import layers

from .kernels.convolutions import Conv2DTranspose
from .kernels.normalization import BatchNorm


@keras.saving.register_keras_serializable("tfdvae")
class Network(keras.layers.Layer):
    """Apply layers in order. Batch norm receives the index of the pass, so a shared network has separate statistics for every pass."""

    def __init__(self, layers, **kwargs):
        super().__init__(**kwargs)
        self.layers = layers

    def build(self, input_shape):
        for layer in self.layers:
            if not layer.built:
                layer.build(input_shape)
            input_shape = layer.compute_output_shape(input_shape)

    def call(self, inputs, training=False, pass_index=0):
        for layer in self.layers:
            if isinstance(layer, BatchNorm | Network):
                inputs = layer(inputs, training=training, pass_index=pass_index)
            elif isinstance(layer, TRAINING_LAYERS):
                inputs = layer(inputs, training=training)
            else:
                inputs = layer(inputs)
        return inputs

    def compute_output_shape(self, input_shape):
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    def get_config(self):
        return {**super().get_config(), "layers": [keras.saving.serialize_keras_object(layer) for layer in self.layers]}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "layers": [keras.saving.deserialize_keras_object(layer) for layer in config["layers"]]})


@keras.saving.register_keras_serializable("tfdvae")
class Residual(Network):
    """Add to its input what layers in order make of it (He et al. 2016); they keep its shape."""

    def call(self, inputs, training=False, pass_index=0):
        return inputs + super().call(inputs, training, pass_index)


@keras.saving.register_keras_serializable("tfdvae")
class SpaceToDepth(layers.Layer):
    """Make each square of 2x2 pixels one position: (B, H, W, C) to (B, ceil(H / 2), ceil(W / 2), 4 C), with zeros beyond the image."""

    def call(self, images):
        _, height, width, _ = images.shape
        return tf.nn.space_to_depth(tf.pad(images, ((0, 0), (0, height % 2), (0, width % 2), (0, 0))), 2)

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return batch, math.ceil(height / 2), math.ceil(width / 2), 4 * channels


@keras.saving.register_keras_serializable("tfdvae")
class DepthToSpace(layers.Layer):
    """Make each position a square of 2x2 pixels: (B, H, W, 4 C) to (B, 2 H, 2 W, C)."""

    def call(self, images):
        return tf.nn.depth_to_space(images, 2)

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return batch, 2 * height, 2 * width, channels // 4


def gaussian_blur(images, sigma):
    """Blur images (B, H, W, C) with a Gaussian of standard deviation sigma, in pixels, normalised at the edges."""
    reach = math.ceil(3 * sigma)
    taps = tf.exp(-0.5 * tf.square(tf.range(-reach, reach + 1, dtype=tf.float32) / sigma))

    def smooth(values):
        for shape in ((-1, 1, 1, 1), (1, -1, 1, 1)):
            kernel = tf.tile(tf.reshape(taps, shape), (1, 1, values.shape[-1], 1))
            values = tf.nn.depthwise_conv2d(values, kernel, (1, 1, 1, 1), "SAME")
        return values

    return smooth(images) / smooth(tf.ones_like(images[:1]))


@keras.saving.register_keras_serializable("tfdvae")
class RandomBlur(layers.Layer):
    """Remove a random share, uniform in [0, 1], of each image's fine detail in training: mix the image with a blurred copy.

    Args:
        sigma: standard deviation of the blur, in pixels.
    """

    def __init__(self, sigma, **kwargs):
        super().__init__(**kwargs)
        self.sigma = sigma
        self.noise = keras.random.SeedGenerator(name="noise")

    def call(self, images, training=False):
        if not training:
            return images
        share = tf.random.stateless_uniform((tf.shape(images)[0], 1, 1, 1), tf.cast(self.noise.next(), tf.int32))
        return images + share * (gaussian_blur(images, self.sigma) - images)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "sigma": self.sigma}


TRAINING_LAYERS = (layers.Dropout, layers.RandomTranslation, RandomBlur, Conv2DTranspose)


@dataclasses.dataclass(frozen=True)
class Style:
    """Settings that the hidden layers of a network share.

    Args:
        dtype: the layers' Keras dtype policy.
        passes: number of input distributions with separate batch-norm statistics.
        batch_norm: whether batch norm stands between a layer and its activation; the layer then has no bias.
        leaky: whether the activation is LeakyReLU with slope 0.2 instead of ReLU.
    """

    dtype: str = "float32"
    passes: int = 1
    batch_norm: bool = True
    leaky: bool = False

    def hidden(self, kind, *sizes, name, **settings):
        """Return a layer of this kind, with its batch norm and activation."""
        stack = [kind(*sizes, use_bias=not self.batch_norm, name=name, dtype=self.dtype, **settings)]
        if self.batch_norm:
            stack.append(BatchNorm(self.passes, name=f"{name}_norm", dtype=self.dtype))
        activation = layers.LeakyReLU(0.2, name=f"{name}_relu", dtype=self.dtype) if self.leaky else None
        return [*stack, activation or layers.ReLU(name=f"{name}_relu", dtype=self.dtype)]

    def dense(self, units):
        """Return dense layers, with their batch norm and activations."""
        return [part for i, n in enumerate(units) for part in self.hidden(layers.Dense, n, name=f"dense_{i}")]

    def residual(self, kind, *sizes, name, **settings):
        """Return a layer as `hidden` does, with its input added."""
        return Residual(self.hidden(kind, *sizes, name=name, **settings), name=f"{name}_residual", dtype=self.dtype)

    def residual_dense(self, units):
        """Return what `dense` does, each layer followed by a residual one of its size."""
        stack = []
        for i, n in enumerate(units):
            stack += [*self.hidden(layers.Dense, n, name=f"dense_{i}"), self.residual(layers.Dense, n, name=f"dense_{i}b")]
        return stack

    def flatten(self):
        return layers.Flatten(name="flatten", dtype=self.dtype)


PLAIN = Style()
