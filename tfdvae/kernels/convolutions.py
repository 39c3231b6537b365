"""Convolutions that compute their filter gradient, in bfloat16, as another convolution; and a faster last layer of a decoder.

A tap of the filter gradient is a sum over all positions and the whole batch: of images times upstream gradients. This sum is also a
convolution, with batch and channels exchanged. Its batch is the images' channels, its channels are the batch, and its filter is the
upstream gradient, dilated by the stride. oneDNN's own operation is slow in bfloat16 with many channels: for 128 images of 8x8x128 and
256 filters of 4x4 it takes 24 ms, against 7 ms here. A training step of a VAE on CIFAR-10 takes a sixth less time.

A transposed convolution with few filters is slow in oneDNN: one filter of 4x4 takes as long as 32. Outside training it is computed as a
plain convolution, in a third of the time. Training keeps the operation of TensorFlow, so its numbers stay what they were.
"""

import math

import keras
import tensorflow as tf
from keras import layers

# TensorFlow's own gradient is as fast or faster in float32, on a GPU, for fewer channels (channels in times channels out), or for more
# positions of the filter.
MANY_CHANNELS, FEW_POSITIONS = 64 * 128, 8 * 8
FEW_FILTERS = 8  # of a transposed convolution; 16 are as fast either way


def filter_gradient(images, upstream, kernel_size, stride):
    """Return the gradient of the filter of a convolution with "same" padding.

    Args:
        images: (B, H, W, C), the convolution's input.
        upstream: (B, ceil(H / stride), ceil(W / stride), D), the gradient of its output.
        kernel_size, stride: the same for height and width, the stride no larger than the kernel.

    Returns:
        (kernel_size, kernel_size, C, D).
    """
    padding = [[0, 0], *(_padding(images.shape[i], upstream.shape[i], kernel_size, stride) for i in (1, 2)), [0, 0]]
    by_channel = tf.transpose(tf.pad(images, padding), (3, 1, 2, 0))
    gradient = tf.nn.conv2d(by_channel, tf.transpose(upstream, (1, 2, 0, 3)), 1, "VALID", dilations=stride)
    return tf.transpose(gradient, (1, 2, 0, 3))


def _padding(size, steps, kernel_size, stride):
    """Return the number of zeros that "same" padding adds before and after."""
    total = (steps - 1) * stride + kernel_size - size
    return [total // 2, total - total // 2]


def convolve(images, kernel, stride):
    """Return `tf.nn.conv2d(images, kernel, stride, "SAME")`, with `filter_gradient`."""

    @tf.custom_gradient
    def operation(images, kernel):
        def gradient(upstream):
            of_images = tf.nn.conv2d_transpose(upstream, kernel, tf.shape(images), stride, "SAME")
            return of_images, filter_gradient(images, upstream, kernel.shape[0], stride)

        return tf.nn.conv2d(images, kernel, stride, "SAME"), gradient

    return operation(images, kernel)


def convolve_transposed(images, kernel, stride):
    """Return `tf.nn.conv2d_transpose(images, kernel, ..., stride, "SAME")`, `stride` times as high and wide, with `filter_gradient`."""

    @tf.custom_gradient
    def operation(images, kernel):
        def gradient(upstream):
            of_images = tf.nn.conv2d(upstream, kernel, stride, "SAME")
            return of_images, filter_gradient(upstream, images, kernel.shape[0], stride)

        _, height, width, _ = images.shape
        shape = (tf.shape(images)[0], stride * height, stride * width, kernel.shape[2])
        return tf.ensure_shape(tf.nn.conv2d_transpose(images, kernel, shape, stride, "SAME"), (None, *shape[1:])), gradient

    return operation(images, kernel)


def doubled(images, kernel):
    """Return `tf.nn.conv2d_transpose(images, kernel, ..., 2, "SAME")` for a 4x4 kernel, computed as a convolution.

    The four output pixels around a corner between positions depend on the same 2x2 positions. They are the channels of a 2x2 convolution,
    and `depth_to_space` puts them side by side. Corners on the border have pixels outside the image, which are cropped.

    Args:
        images: (B, H, W, C).
        kernel: (4, 4, D, C).

    Returns:
        (B, 2 H, 2 W, D).
    """
    _, _, filters, channels = kernel.shape
    # the kernel's rows 2 and 3 belong to the position above a corner, rows 0 and 1 to the position below it; likewise its columns
    taps = tf.reverse(tf.reshape(kernel, (2, 2, 2, 2, filters, channels)), axis=(0, 2))
    taps = tf.reshape(tf.transpose(taps, (0, 2, 5, 1, 3, 4)), (2, 2, channels, 4 * filters))
    corners = tf.nn.conv2d(images, taps, 1, [[0, 0], [1, 1], [1, 1], [0, 0]])
    return tf.nn.depth_to_space(corners, 2)[:, 1:-1, 1:-1]


def doubles(layer):
    """Return whether a transposed convolution may use `doubled`: 4x4 filters, few of them, stride 2, "same" padding, no GPU."""
    sizes = (tuple(layer.kernel_size), tuple(layer.strides), tuple(layer.dilation_rate)) == ((4, 4), (2, 2), (1, 1))
    plain = layer.padding == "same" and layer.data_format == "channels_last" and layer.output_padding is None
    return sizes and plain and layer.filters <= FEW_FILTERS and not tf.config.list_logical_devices("GPU")


def applies(layer, positions):
    """Return whether a layer uses `filter_gradient`: bfloat16, square filter, many channels, few positions, "same" padding, no GPU.

    Args:
        layer: a built Keras convolution.
        positions: height and width of the convolution's output, or of a transposed convolution's input.
    """
    if layer.compute_dtype != "bfloat16" or None in positions or tf.config.list_logical_devices("GPU"):
        return False
    (size, other_size), (stride, other_stride) = layer.kernel_size, layer.strides
    square = size == other_size and stride == other_stride <= size
    plain = layer.padding == "same" and layer.data_format == "channels_last" and tuple(layer.dilation_rate) == (1, 1)
    large = layer.kernel.shape[2] * layer.kernel.shape[3] >= MANY_CHANNELS and math.prod(positions) <= FEW_POSITIONS
    return square and plain and large and getattr(layer, "groups", 1) == 1


@keras.saving.register_keras_serializable("tfdvae")
class Conv2D(layers.Conv2D):
    """`keras.layers.Conv2D` with the faster filter gradient, where it applies."""

    def convolution_op(self, inputs, kernel):
        if not applies(self, self.compute_output_shape(inputs.shape)[1:3]):
            return super().convolution_op(inputs, kernel)
        return convolve(inputs, tf.convert_to_tensor(kernel), self.strides[0])


@keras.saving.register_keras_serializable("tfdvae")
class Conv2DTranspose(layers.Conv2DTranspose):
    """`keras.layers.Conv2DTranspose` with the faster filter gradient, and with `doubled` outside training, where they apply.

    Its call has the argument training. The default, True, leaves out `doubled`, whose gradients are slow.
    """

    def call(self, inputs, training=True):
        if not training and doubles(self):
            outputs = doubled(inputs, tf.convert_to_tensor(self.kernel))
        elif applies(self, inputs.shape[1:3]) and self.output_padding is None:
            outputs = convolve_transposed(inputs, tf.convert_to_tensor(self.kernel), self.strides[0])
        else:
            return super().call(inputs)
        outputs = outputs if self.bias is None else tf.nn.bias_add(outputs, tf.convert_to_tensor(self.bias))
        return self.activation(outputs)
