"""Convolutions whose filter gradient, in bfloat16, is taken as a convolution itself.

The gradient of a filter sums, for each of its taps, products of images and upstream gradients over all positions and the whole batch.
That is a convolution in which batch and channels change places: the images' channels are its batch, the batch its channels, and the
upstream gradient, spread out by the stride, its filter. oneDNN's own operation for it is slow in bfloat16 where there are many channels:
24 ms for 128 images of 8x8x128 and 256 filters of 4x4, against 7 ms. A step of a VAE on CIFAR-10 takes a sixth less time.
"""

import math

import keras
import tensorflow as tf
from keras import layers

# With fewer channels in times channels out, more positions that the filter is applied at, in float32, or on a GPU, TensorFlow's own
# gradient is as fast or faster.
MANY_CHANNELS, FEW_POSITIONS = 64 * 128, 8 * 8


def filter_gradient(images, upstream, kernel_size, stride):
    """Return the gradient of the filter of a convolution with "same" padding.

    Args:
        images: (B, H, W, C), what the filter was applied to.
        upstream: (B, ceil(H / stride), ceil(W / stride), D), the gradient of the result.
        kernel_size, stride: the same for height and width, the stride no larger than the kernel.

    Returns:
        (kernel_size, kernel_size, C, D).
    """
    padding = [[0, 0], *(_padding(images.shape[i], upstream.shape[i], kernel_size, stride) for i in (1, 2)), [0, 0]]
    by_channel = tf.transpose(tf.pad(images, padding), (3, 1, 2, 0))
    found = tf.nn.conv2d(by_channel, tf.transpose(upstream, (1, 2, 0, 3)), 1, "VALID", dilations=stride)
    return tf.transpose(found, (1, 2, 0, 3))


def _padding(size, steps, kernel_size, stride):
    """Return how many zeros "same" padding puts before and after."""
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


def applies(layer, positions):
    """Whether a layer takes its gradient from here: bfloat16, a square filter of many channels at few positions, "same" padding, no GPU.

    Args:
        layer: of Keras, built.
        positions: height and width of what the filter is applied at; of a transposed convolution, of its input.
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
    """`keras.layers.Conv2DTranspose` with the faster filter gradient, where it applies."""

    def call(self, inputs):
        if not applies(self, inputs.shape[1:3]) or self.output_padding is not None:
            return super().call(inputs)
        outputs = convolve_transposed(inputs, tf.convert_to_tensor(self.kernel), self.strides[0])
        outputs = outputs if self.bias is None else tf.nn.bias_add(outputs, tf.convert_to_tensor(self.bias))
        return self.activation(outputs)
