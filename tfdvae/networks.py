"""Encoders, decoders and the classifier, for images of any height, width and number of channels.

An encoder maps (B, H, W, C) to a hidden vector (B, units); the layers on that vector (posterior heads, a class) belong to the model.
A decoder maps a vector to (B, H, W, output_channels), without squashing. Encoders with strides halve height and width, rounded up;
their decoders double them and crop the excess, so images may have any size.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable

import keras
import tensorflow as tf
from keras import layers

from .errors import InputError
from .kernels.convolutions import Conv2D, Conv2DTranspose
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
            if isinstance(layer, BatchNorm):
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


TRAINING_LAYERS = (layers.Dropout, layers.RandomTranslation, RandomBlur)


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

    def flatten(self):
        return layers.Flatten(name="flatten", dtype=self.dtype)


PLAIN = Style()


def _halved(size, times):
    """Return [(H, W), (ceil H/2, ceil W/2), ...], `times` halvings."""
    sizes = [tuple(size)]
    for _ in range(times):
        sizes.append(tuple(math.ceil(s / 2) for s in sizes[-1]))
    return sizes


def conv_encoder(image_shape, channels, units, style):
    """Return 4x4 convolutions of stride 2, then dense layers."""
    convs = [style.hidden(Conv2D, n, 4, strides=2, padding="same", name=f"conv_{i}") for i, n in enumerate(channels)]
    return [*itertools.chain(*convs), style.flatten(), *style.dense(units)]


def r0_encoder(image_shape, channels, units, style):
    """Return the published DVAE's encoder: 5x5 convolutions with 3x3 max-pooling of stride 2, then dense layers."""
    stack = []
    for i, n in enumerate(channels):
        stack += style.hidden(Conv2D, n, 5, padding="same", name=f"conv_{i}")
        stack += [layers.MaxPooling2D(3, strides=2, padding="same", name=f"pool_{i}", dtype=style.dtype)]
    return [*stack, style.flatten(), *style.dense(units)]


def r1_encoder(image_shape, channels, units, style):
    """Return 5x5 convolutions without padding, which remove 4 pixels of height and width, then dense layers.

    Raises:
        InputError: the images are too small for this number of convolutions.
    """
    if min(image_shape[:2]) <= 4 * len(channels):
        raise InputError(
            f"network: received r1 with images of {image_shape[0]}x{image_shape[1]} pixels; expected more than {4 * len(channels)}, since "
            f"each of its {len(channels)} convolutions removes 4; give fewer channels, or choose conv."
        )
    convs = [style.hidden(Conv2D, n, 5, name=f"conv_{i}") for i, n in enumerate(channels)]
    return [*itertools.chain(*convs), style.flatten(), *style.dense(units)]


def mlp_encoder(image_shape, channels, units, style):
    """Return dense layers only."""
    return [style.flatten(), *style.dense(units)]


def linear_encoder(image_shape, channels, units, style):
    """Return the flattened pixels, so that a model's code is a linear function of them."""
    return [style.flatten()]


def _upsampling_decoder(image_shape, output_channels, channels, units, style, kernel):
    """Return dense layers, then transposed convolutions of stride 2 that undo an encoder's halvings."""
    sizes = _halved(image_shape[:2], len(channels))
    height, width = sizes[-1]
    stack = style.dense((*reversed(units), height * width * channels[-1]))
    stack += [layers.Reshape((height, width, channels[-1]), name="reshape", dtype=style.dtype)]
    outputs = [*reversed(channels[:-1]), output_channels]
    for i, (n, small, large) in enumerate(zip(outputs, sizes[:0:-1], sizes[-2::-1])):
        stack += _upwards(i, i == len(outputs) - 1, n, kernel, style, strides=2, padding="same")
        excess = [(0, 2 * s - t) for s, t in zip(small, large)]
        if any(sum(e) for e in excess):
            stack += [layers.Cropping2D(excess, name=f"crop_{i}", dtype=style.dtype)]
    return stack


def _upwards(i, last, channels, kernel, style, **settings):
    """Return the i-th transposed convolution of a decoder, with batch norm and activation unless it is the last."""
    if last:
        return [Conv2DTranspose(channels, kernel, name=f"conv_{i}", dtype=style.dtype, **settings)]
    return style.hidden(Conv2DTranspose, channels, kernel, name=f"conv_{i}", **settings)


def conv_decoder(image_shape, output_channels, channels, units, style):
    """Return the mirror of `conv_encoder`."""
    return _upsampling_decoder(image_shape, output_channels, channels, units, style, kernel=4)


def r0_decoder(image_shape, output_channels, channels, units, style):
    """Return the published DVAE's decoder: dense layers in reverse order, then 5x5 transposed convolutions of stride 2.

    The channels keep the encoder's order.
    """
    return _upsampling_decoder(image_shape, output_channels, channels[::-1], units, style, kernel=5)


def r1_decoder(image_shape, output_channels, channels, units, style):
    """Return the mirror of `r1_encoder`."""
    height, width = (side - 4 * len(channels) for side in image_shape[:2])
    stack = style.dense((*reversed(units), height * width * channels[-1]))
    stack += [layers.Reshape((height, width, channels[-1]), name="reshape", dtype=style.dtype)]
    outputs = [*reversed(channels[:-1]), output_channels]
    return stack + [part for i, n in enumerate(outputs) for part in _upwards(i, i == len(outputs) - 1, n, 5, style)]


def mlp_decoder(image_shape, output_channels, channels, units, style):
    """Return the mirror of `mlp_encoder`, or of `linear_encoder`, which has no dense layers."""
    height, width = image_shape[:2]
    return [
        *style.dense(tuple(reversed(units))),
        layers.Dense(height * width * output_channels, name="outputs", dtype=style.dtype),
        layers.Reshape((height, width, output_channels), name="reshape", dtype=style.dtype),
    ]


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A network that can be chosen by name.

    Args:
        encoder: function (image_shape, channels, units, style) -> layers.
        decoder: function (image_shape, output_channels, channels, units, style) -> layers; channels and units in the encoder's order.
        own_sizes: function image_shape -> the default channels and dense units.
    """

    encoder: Callable
    decoder: Callable
    own_sizes: Callable


def _by_size(large, small):
    """Return a function image_shape -> `large` from 32 pixels on, otherwise `small`."""
    return lambda image_shape: large if max(image_shape[:2]) >= 32 else small


def _by_colour(colour, grey):
    return lambda image_shape: colour if image_shape[-1] == 3 else grey


NETWORKS = {  # `rules.Network` lists the same names
    "conv": Architecture(conv_encoder, conv_decoder, _by_size(((64, 128, 256), (512,)), ((32, 64), (512,)))),
    "r0": Architecture(r0_encoder, r0_decoder, _by_colour(((128, 64), (512, 256)), ((64, 64), (384, 192)))),
    "r1": Architecture(r1_encoder, r1_decoder, lambda _: ((6, 16), (250,))),
    "mlp": Architecture(mlp_encoder, mlp_decoder, lambda _: ((), (512, 256))),
    "linear": Architecture(linear_encoder, mlp_decoder, lambda _: ((), ())),
}


def sizes(network, image_shape, channels=(), units=()):
    """Return a network's channels and dense units for images of this shape: the given sizes, or its defaults."""
    own_channels, own_units = NETWORKS[network].own_sizes(image_shape)
    return channels or own_channels, units or own_units


def encoder(network, image_shape, channels=(), units=(), style=PLAIN, name="encoder"):
    """Return the named encoder, (B, H, W, C) -> (B, last of units); see `sizes`."""
    stack = NETWORKS[network].encoder(image_shape, *sizes(network, image_shape, channels, units), style)
    return Network(stack, name=name, dtype=style.dtype)


def decoder(network, image_shape, output_channels, channels=(), units=(), style=PLAIN, name="decoder"):
    """Return the named decoder, (B, any) -> (B, H, W, output_channels); channels and units are in the encoder's order."""
    stack = NETWORKS[network].decoder(image_shape, output_channels, *sizes(network, image_shape, channels, units), style)
    return Network(stack, name=name, dtype=style.dtype)


def classifier(image_shape, num_classes, shift=0.0, blur=0.0, style=PLAIN, name="classifier"):
    """Return a small CNN, (B, H, W, C) -> (B, num_classes) logits: pairs of 3x3 convolutions between poolings, then one dense layer.

    In training, images are randomly shifted by up to `shift` of their size, and mixed with copies blurred by `blur` pixels.
    """
    stack = []
    if blur:
        stack += [RandomBlur(blur, name="blur", dtype="float32")]
    if shift:
        stack += [layers.RandomTranslation(shift, shift, fill_mode="constant", interpolation="nearest", name="shift", dtype="float32")]
    levels = (32, 64, 128) if max(image_shape[:2]) >= 32 else (32, 64)
    for i, n in enumerate(levels):
        for part in "ab":
            stack += style.hidden(Conv2D, n, 3, padding="same", name=f"conv_{i}{part}")
        stack += [layers.MaxPooling2D(2, padding="same", name=f"pool_{i}", dtype=style.dtype)]
    stack += [style.flatten(), *style.dense((256,))]
    stack += [layers.Dropout(0.3, name="dropout", dtype=style.dtype), layers.Dense(num_classes, name="logits", dtype=style.dtype)]
    return Network(stack, name=name, dtype=style.dtype)
