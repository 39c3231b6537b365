"""Encoders, decoders and the classifier, for images of any height, width and number of channels.

An encoder maps (B, H, W, C) to a hidden vector (B, units); what is read off that vector (posterior heads, a class) belongs to the model.
A decoder maps a vector to (B, H, W, output_channels), without squashing. Sizes halve, rounded up, at each convolution; the decoder crops
what doubling adds, so no size has to be a multiple of anything.
"""

import math

import keras
import tensorflow as tf
from keras import layers

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


def _normalized(layer, passes=1):
    """Batch norm between a layer without bias and its ReLU."""
    dtype = layer.dtype_policy
    return [layer, BatchNorm(passes, name=f"{layer.name}_norm", dtype=dtype), layers.ReLU(name=f"{layer.name}_relu", dtype=dtype)]


def _dense(units, passes, dtype):
    return [
        part for i, n in enumerate(units) for part in _normalized(layers.Dense(n, use_bias=False, name=f"dense_{i}", dtype=dtype), passes)
    ]


def _halved(size, times):
    """Return [(H, W), (ceil H/2, ceil W/2), ...], `times` halvings."""
    sizes = [tuple(size)]
    for _ in range(times):
        sizes.append(tuple(math.ceil(s / 2) for s in sizes[-1]))
    return sizes


def conv_encoder(image_shape, channels, units, passes, dtype):
    """4x4 convolutions of stride 2, then dense layers; batch norm before every ReLU."""
    stack = []
    for i, n in enumerate(channels):
        conv = layers.Conv2D(n, 4, strides=2, padding="same", use_bias=False, name=f"conv_{i}", dtype=dtype)
        stack += _normalized(conv, passes)
    return [*stack, layers.Flatten(name="flatten", dtype=dtype), *_dense(units, passes, dtype)]


def r0_encoder(image_shape, channels, units, passes, dtype):
    """R0's recognition network: 5x5 convolutions, batch norm, ReLU, 3x3 max-pooling of stride 2; then dense layers."""
    stack = []
    for i, n in enumerate(channels):
        stack += _normalized(layers.Conv2D(n, 5, padding="same", use_bias=False, name=f"conv_{i}", dtype=dtype), passes)
        stack += [layers.MaxPooling2D(3, strides=2, padding="same", name=f"pool_{i}", dtype=dtype)]
    return [*stack, layers.Flatten(name="flatten", dtype=dtype), *_dense(units, passes, dtype)]


def mlp_encoder(image_shape, channels, units, passes, dtype):
    """Dense layers only."""
    return [layers.Flatten(name="flatten", dtype=dtype), *_dense(units, passes, dtype)]


def _upsampling_decoder(image_shape, output_channels, channels, units, dtype, kernel):
    """Dense layers, then transposed convolutions of stride 2 that undo an encoder's halvings."""
    sizes = _halved(image_shape[:2], len(channels))
    height, width = sizes[-1]
    stack = _dense((*reversed(units), height * width * channels[-1]), 1, dtype)
    stack += [layers.Reshape((height, width, channels[-1]), name="reshape", dtype=dtype)]
    outputs = [*reversed(channels[:-1]), output_channels]
    for i, (n, small, large) in enumerate(zip(outputs, sizes[:0:-1], sizes[-2::-1])):
        last = i == len(outputs) - 1
        conv = layers.Conv2DTranspose(n, kernel, strides=2, padding="same", use_bias=last, name=f"conv_{i}", dtype=dtype)
        stack += [conv] if last else _normalized(conv)
        excess = [(0, 2 * s - t) for s, t in zip(small, large)]
        if any(sum(e) for e in excess):
            stack += [layers.Cropping2D(excess, name=f"crop_{i}", dtype=dtype)]
    return stack


def conv_decoder(image_shape, output_channels, channels, units, dtype):
    """Mirror of `conv_encoder`."""
    return _upsampling_decoder(image_shape, output_channels, channels, units, dtype, kernel=4)


def r0_decoder(image_shape, output_channels, channels, units, dtype):
    """R0's generator: dense layers in reverse order, then 5x5 transposed convolutions of stride 2, channels in the encoder's order."""
    return _upsampling_decoder(image_shape, output_channels, channels[::-1], units, dtype, kernel=5)


def mlp_decoder(image_shape, output_channels, channels, units, dtype):
    """Mirror of `mlp_encoder`."""
    height, width = image_shape[:2]
    return [
        *_dense(tuple(reversed(units)), 1, dtype),
        layers.Dense(height * width * output_channels, name="outputs", dtype=dtype),
        layers.Reshape((height, width, output_channels), name="reshape", dtype=dtype),
    ]


NETWORKS = {
    "conv": (conv_encoder, conv_decoder),
    "r0": (r0_encoder, r0_decoder),
    "mlp": (mlp_encoder, mlp_decoder),
}


def own_sizes(network, image_shape):
    """Return the channels and dense units that a network has for images of this shape where the user names none."""
    large = max(image_shape[:2]) >= 32
    return {
        "conv": ((64, 128, 256), (512,)) if large else ((32, 64), (512,)),
        "r0": ((128, 64), (512, 256)) if image_shape[-1] == 3 else ((64, 64), (384, 192)),
        "mlp": ((), (512, 256)),
    }[network]


def encoder(network, image_shape, channels=(), units=(), passes=1, dtype="float32", name="encoder"):
    """Return the named encoder, (B, H, W, C) -> (B, last of units)."""
    own_channels, own_units = own_sizes(network, image_shape)
    stack = NETWORKS[network][0](image_shape, channels or own_channels, units or own_units, passes, dtype)
    return Network(stack, name=name, dtype=dtype)


def decoder(network, image_shape, output_channels, channels=(), units=(), dtype="float32", name="decoder"):
    """Return the named decoder, (B, any) -> (B, H, W, output_channels)."""
    own_channels, own_units = own_sizes(network, image_shape)
    stack = NETWORKS[network][1](image_shape, output_channels, channels or own_channels, units or own_units, dtype)
    return Network(stack, name=name, dtype=dtype)


def classifier(image_shape, num_classes, shift=0.0, blur=0.0, dtype="float32", name="classifier"):
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
            stack += _normalized(layers.Conv2D(n, 3, padding="same", use_bias=False, name=f"conv_{i}{part}", dtype=dtype))
        stack += [layers.MaxPooling2D(2, padding="same", name=f"pool_{i}", dtype=dtype)]
    stack += [layers.Flatten(name="flatten", dtype=dtype)]
    stack += _normalized(layers.Dense(256, use_bias=False, name="dense_0", dtype=dtype))
    stack += [layers.Dropout(0.3, name="dropout", dtype=dtype), layers.Dense(num_classes, name="logits", dtype=dtype)]
    return Network(stack, name=name, dtype=dtype)
