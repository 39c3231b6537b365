"""Encoders, decoders and the classifier, for images of any height, width and number of channels.

An encoder maps (B, H, W, C) to a hidden vector (B, units); what is read off that vector (posterior heads, a class) belongs to the model.
A decoder maps a vector to (B, H, W, output_channels), without squashing. Sizes halve, rounded up, at each convolution; the decoder crops
what doubling adds, so no size has to be a multiple of anything.
"""

import dataclasses
import itertools
import math

import keras
import tensorflow as tf
from keras import layers

from .convolutions import Conv2D, Conv2DTranspose
from .errors import InputError
from .normalization import BatchNorm


@keras.saving.register_keras_serializable("tfdvae")
class Network(keras.layers.Layer):
    """Layers applied in order. Batch norm is told which pass this is, so that a shared network keeps statistics for each."""

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
    """Return images (B, H, W, C) blurred with a Gaussian of standard deviation sigma, in pixels; beyond the edge there is nothing."""
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
    """In training, mixes each image with its blurred self: a share of the fine detail, drawn uniformly from all to none, is taken away.

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
    """What the hidden layers of a network have in common.

    Args:
        dtype: policy of the layers' arithmetic.
        passes: number of input distributions that batch norm keeps statistics for.
        batch_norm: whether there is one between each layer, then without bias, and its activation.
        leaky: whether the activation lets a fifth of what is negative through (R2's and R3's encoders), or nothing.
    """

    dtype: str = "float32"
    passes: int = 1
    batch_norm: bool = True
    leaky: bool = False

    def hidden(self, kind, *sizes, name, **settings):
        """Return a layer of this kind, and what follows it."""
        stack = [kind(*sizes, use_bias=not self.batch_norm, name=name, dtype=self.dtype, **settings)]
        if self.batch_norm:
            stack.append(BatchNorm(self.passes, name=f"{name}_norm", dtype=self.dtype))
        activation = layers.LeakyReLU(0.2, name=f"{name}_relu", dtype=self.dtype) if self.leaky else None
        return [*stack, activation or layers.ReLU(name=f"{name}_relu", dtype=self.dtype)]

    def dense(self, units):
        """Return dense layers, and what follows each."""
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
    """4x4 convolutions of stride 2, then dense layers."""
    convs = [style.hidden(Conv2D, n, 4, strides=2, padding="same", name=f"conv_{i}") for i, n in enumerate(channels)]
    return [*itertools.chain(*convs), style.flatten(), *style.dense(units)]


def r0_encoder(image_shape, channels, units, style):
    """R0's recognition network: 5x5 convolutions, 3x3 max-pooling of stride 2; then dense layers."""
    stack = []
    for i, n in enumerate(channels):
        stack += style.hidden(Conv2D, n, 5, padding="same", name=f"conv_{i}")
        stack += [layers.MaxPooling2D(3, strides=2, padding="same", name=f"pool_{i}", dtype=style.dtype)]
    return [*stack, style.flatten(), *style.dense(units)]


def r1_encoder(image_shape, channels, units, style):
    """R1's: 5x5 convolutions without padding, each taking 4 pixels off height and width; then dense layers."""
    convs = [style.hidden(Conv2D, n, 5, name=f"conv_{i}") for i, n in enumerate(channels)]
    return [*itertools.chain(*convs), style.flatten(), *style.dense(units)]


def mlp_encoder(image_shape, channels, units, style):
    """Dense layers only."""
    return [style.flatten(), *style.dense(units)]


def linear_encoder(image_shape, channels, units, style):
    """The pixels themselves: the code that a model reads off them is linear."""
    return [style.flatten()]


def _upsampling_decoder(image_shape, output_channels, channels, units, style, kernel):
    """Dense layers, then transposed convolutions of stride 2 that undo an encoder's halvings."""
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
    """Return the i-th transposed convolution of a decoder: a hidden one, or the last, which emits the outputs as they are."""
    if last:
        return [Conv2DTranspose(channels, kernel, name=f"conv_{i}", dtype=style.dtype, **settings)]
    return style.hidden(Conv2DTranspose, channels, kernel, name=f"conv_{i}", **settings)


def conv_decoder(image_shape, output_channels, channels, units, style):
    """Mirror of `conv_encoder`."""
    return _upsampling_decoder(image_shape, output_channels, channels, units, style, kernel=4)


def r0_decoder(image_shape, output_channels, channels, units, style):
    """R0's generator: dense layers in reverse order, then 5x5 transposed convolutions of stride 2, channels in the encoder's order."""
    return _upsampling_decoder(image_shape, output_channels, channels[::-1], units, style, kernel=5)


def r1_decoder(image_shape, output_channels, channels, units, style):
    """Mirror of `r1_encoder`."""
    height, width = (side - 4 * len(channels) for side in image_shape[:2])
    stack = style.dense((*reversed(units), height * width * channels[-1]))
    stack += [layers.Reshape((height, width, channels[-1]), name="reshape", dtype=style.dtype)]
    outputs = [*reversed(channels[:-1]), output_channels]
    return stack + [part for i, n in enumerate(outputs) for part in _upwards(i, i == len(outputs) - 1, n, 5, style)]


def mlp_decoder(image_shape, output_channels, channels, units, style):
    """Mirror of `mlp_encoder`; of `linear_encoder`, which has no dense layers, likewise."""
    height, width = image_shape[:2]
    return [
        *style.dense(tuple(reversed(units))),
        layers.Dense(height * width * output_channels, name="outputs", dtype=style.dtype),
        layers.Reshape((height, width, output_channels), name="reshape", dtype=style.dtype),
    ]


NETWORKS = {
    "conv": (conv_encoder, conv_decoder),
    "r0": (r0_encoder, r0_decoder),
    "r1": (r1_encoder, r1_decoder),
    "mlp": (mlp_encoder, mlp_decoder),
    "linear": (linear_encoder, mlp_decoder),
}


def sizes(network, image_shape, channels=(), units=()):
    """Return the channels and dense units of a network for images of this shape: those given, or its own.

    Raises:
        InputError: images are too small for it.
    """
    large = max(image_shape[:2]) >= 32
    own_channels, own_units = {
        "conv": ((64, 128, 256), (512,)) if large else ((32, 64), (512,)),
        "r0": ((128, 64), (512, 256)) if image_shape[-1] == 3 else ((64, 64), (384, 192)),
        "r1": ((6, 16), (250,)),
        "mlp": ((), (512, 256)),
        "linear": ((), ()),
    }[network]
    channels, units = channels or own_channels, units or own_units
    if network == "r1" and min(image_shape[:2]) <= 4 * len(channels):
        raise InputError(
            f"network: received r1 with images of {image_shape[0]}x{image_shape[1]} pixels; expected more than {4 * len(channels)}, since "
            f"each of its {len(channels)} convolutions takes 4 away; name fewer channels, or choose conv."
        )
    return channels, units


def encoder(network, image_shape, channels=(), units=(), style=PLAIN, name="encoder"):
    """Return the named encoder, (B, H, W, C) -> (B, last of units); see `sizes`."""
    channels, units = sizes(network, image_shape, channels, units)
    return Network(NETWORKS[network][0](image_shape, channels, units, style), name=name, dtype=style.dtype)


def decoder(network, image_shape, output_channels, channels=(), units=(), style=PLAIN, name="decoder"):
    """Return the named decoder, (B, any) -> (B, H, W, output_channels); channels and units are named in the encoder's order."""
    channels, units = sizes(network, image_shape, channels, units)
    return Network(NETWORKS[network][1](image_shape, output_channels, channels, units, style), name=name, dtype=style.dtype)


def classifier(image_shape, num_classes, shift=0.0, blur=0.0, style=PLAIN, name="classifier"):
    """Return a small CNN, (B, H, W, C) -> (B, num_classes) logits: pairs of 3x3 convolutions between poolings, then one dense layer.

    In training, images are moved by up to `shift` of their size, and mixed with themselves blurred by `blur` pixels, at random.
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
