"""Encoders, decoders and the classifier, for images of any height, width and number of channels.

An encoder maps (B, H, W, C) to a hidden vector (B, units); the layers on that vector (posterior heads, a class) belong to the model.
A decoder maps a vector to (B, H, W, output_channels), without squashing. Encoders with strides halve height and width, rounded up;
their decoders double them and crop the excess, so images may have any size.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable

from keras import layers

from .blocks import PLAIN, DepthToSpace, Network, RandomBlur, SpaceToDepth
from .errors import InputError
from .kernels.convolutions import Conv2D, Conv2DTranspose


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


def s2d_encoder(image_shape, channels, units, style):
    """Return squares of 2x2 pixels, a 3x3 convolution, 4x4 convolutions of stride 2, two residual 3x3 ones, and dense and residual layers.

    A square of pixels is one position of four channels, so that the first convolution is a larger matrix product. The residual layers
    make the network deeper where positions are few and operations fast.
    """
    stack = [SpaceToDepth(name="squares", dtype=style.dtype), *style.hidden(Conv2D, channels[0], 3, padding="same", name="conv_0")]
    for i, n in enumerate(channels[1:], 1):
        stack += style.hidden(Conv2D, n, 4, strides=2, padding="same", name=f"conv_{i}")
    return [*stack, *_residual_pair(channels[-1], style), style.flatten(), *style.residual_dense(units)]


def _residual_pair(channels, style):
    """Return two residual 3x3 convolutions."""
    return [style.residual(Conv2D, channels, 3, padding="same", name=f"conv_top_{part}") for part in "ab"]


def r0_encoder(image_shape, channels, units, style):
    """Return the encoder of dojoteef/dvae: 5x5 convolutions with 3x3 max-pooling of stride 2, then dense layers."""
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
        stack += _cropped(i, small, large, style)
    return stack


def _cropped(i, small, large, style):
    """Return the layer that crops the double of a size to the size before its halving, or none where they are equal."""
    excess = [(0, 2 * s - t) for s, t in zip(small, large)]
    return [layers.Cropping2D(excess, name=f"crop_{i}", dtype=style.dtype)] if any(sum(e) for e in excess) else []


def _upwards(i, last, channels, kernel, style, **settings):
    """Return the i-th transposed convolution of a decoder, with batch norm and activation unless it is the last."""
    if last:
        return [Conv2DTranspose(channels, kernel, name=f"conv_{i}", dtype=style.dtype, **settings)]
    return style.hidden(Conv2DTranspose, channels, kernel, name=f"conv_{i}", **settings)


def conv_decoder(image_shape, output_channels, channels, units, style):
    """Return the mirror of `conv_encoder`."""
    return _upsampling_decoder(image_shape, output_channels, channels, units, style, kernel=4)


def s2d_decoder(image_shape, output_channels, channels, units, style):
    """Return the mirror of `s2d_encoder`."""
    sizes = _halved(image_shape[:2], len(channels))
    (height, width), last = sizes[-1], len(channels) - 1
    stack = [*style.residual_dense(tuple(reversed(units))), *style.hidden(layers.Dense, height * width * channels[-1], name="dense_top")]
    stack += [layers.Reshape((height, width, channels[-1]), name="reshape", dtype=style.dtype)]
    stack += _residual_pair(channels[-1], style)
    for i, (n, small, large) in enumerate(zip(reversed(channels[:-1]), sizes[:0:-1], sizes[-2::-1])):
        stack += style.hidden(Conv2DTranspose, n, 4, strides=2, padding="same", name=f"conv_{i}") + _cropped(i, small, large, style)
    stack += [Conv2D(4 * output_channels, 3, padding="same", name=f"conv_{last}", dtype=style.dtype)]
    return [*stack, DepthToSpace(name="pixels", dtype=style.dtype), *_cropped(last, sizes[1], sizes[0], style)]


def r0_decoder(image_shape, output_channels, channels, units, style):
    """Return the decoder of dojoteef/dvae: dense layers in reverse order, then 5x5 transposed convolutions of stride 2.

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
    "s2d": Architecture(s2d_encoder, s2d_decoder, _by_size(((64, 128, 256), (512,)), ((32, 32), (512,)))),
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
