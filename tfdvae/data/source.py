"""Images as they are stored, and the part of them that is one split."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

SPLIT_SEED = 1797  # of the test set that is split off where a dataset has none, and of the order of a folder's images


@dataclasses.dataclass(frozen=True)
class Source:
    """Images as stored, in a fixed order.

    Either `images` (n, H, W, C) uint8 and `labels` (n,) or None are in memory, or `stream()` yields them one at a time in a small
    form, such as a path, that `decode` turns into an image and a label.
    """

    n: int
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...] = ()
    images: np.ndarray | None = None
    labels: np.ndarray | None = None
    stream: Callable[[], tf.data.Dataset] | None = None
    identity: str = ""  # of a stream: a text that changes where its images do
    shuffle_buffer: int = 0  # elements of the stream, kept while shuffling
    decode: Callable | None = None


def resize(images, image_size):
    """Return (..., H, W, C) images resized to a square, as uint8."""
    resized = tf.image.resize(images, (image_size, image_size), antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)


class Part:
    """Those images of a source for which `member` (n,) is true."""

    def __init__(self, source, member):
        self.n = int(member.sum())
        self.identity = source.identity
        self.arrays = None
        if source.images is None:
            self.source, self.member = source, member
        else:  # a copy, so that the source's memory can go
            arrays = (source.images[member], *(() if source.labels is None else (source.labels[member],)))
            with tf.device("CPU:0"):
                self.arrays = tuple(tf.constant(array) for array in arrays)

    def batches(self, batch_size, shuffle_seed=None):
        """Return batches of (uint8 images, labels) or (uint8 images,), in order or shuffled by a (seed, epoch) pair."""
        if self.arrays is None:
            return self.streamed(batch_size, shuffle_seed)

        def gather(first):
            index = tf.range(first, tf.minimum(first + batch_size, self.n))
            if shuffle_seed is not None:
                seed = tf.cast(tf.stack(shuffle_seed), tf.int32)
                index = tf.random.experimental.index_shuffle(tf.cast(index, tf.int32), seed, max_index=self.n - 1)
            return tuple(tf.gather(array, index) for array in self.arrays)

        return tf.data.Dataset.range(0, self.n, batch_size).map(gather, num_parallel_calls=tf.data.AUTOTUNE)

    def streamed(self, batch_size, shuffle_seed):
        first, last = np.flatnonzero(self.member)[[0, -1]]
        if last - first + 1 == self.n:  # a function called for every image would cost a tenth of a small VAE's step
            examples = self.source.stream().skip(first).take(self.n)
        else:
            member = tf.constant(self.member)
            examples = self.source.stream().enumerate().filter(lambda i, _: member[i]).map(lambda _, example: example)
        if shuffle_seed is not None:
            seed, epoch = shuffle_seed
            examples = examples.shuffle(self.source.shuffle_buffer, seed=seed + 1_000_003 * (epoch + 1), reshuffle_each_iteration=False)
        images = examples.map(self.source.decode, num_parallel_calls=tf.data.AUTOTUNE)
        counted = tf.data.experimental.assert_cardinality(math.ceil(self.n / batch_size))  # or Keras warns that its data has ended
        return images.batch(batch_size).apply(counted)
