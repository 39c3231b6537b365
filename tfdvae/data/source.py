"""Images as they are stored, and the part of them that is one split."""

import copy
import dataclasses
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

SPLIT_SEED = 1797  # of the test set that is split off where a dataset has none, and of the order of a folder's images
UNLABELLED = -1


@dataclasses.dataclass(frozen=True)
class Preparation:
    """How stored images become images of one form.

    Args:
        image_size: height and width, 0 for the images' own.
        resize: "crop", "fit" or "stretch", as in `params.py`.
        background: (red, green, blue) from 0 to 255 behind transparent pixels and around images that are fitted; None ignores
            transparency and makes the border black.
    """

    image_size: int = 0
    resize: str = "crop"
    background: tuple[int, int, int] | None = (255, 255, 255)

    @property
    def border(self):
        return self.background or (0, 0, 0)

    def identity(self, transparent):
        """Return a text that changes where prepared images do; images may be `transparent`. It is empty for what tfdvae 0.5 did."""
        resize = self.resize if self.image_size and self.resize != "stretch" else ""
        background = self.background if transparent or resize == "fit" else None
        return "".join(f"\n{part}" for part in (resize, background) if part)


@dataclasses.dataclass(frozen=True)
class Source:
    """Images as stored, in a fixed order.

    Either `images` (n, H, W, C) uint8 are in memory, or `stream()` yields them one at a time in a small form, such as an index, that
    `decode` turns into an image. `labels` (n,) int64 are in memory, None without classes; `UNLABELLED` stands for an unknown label.
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
    decodes_batches: bool = False  # whether `decode` takes a batch of elements


@dataclasses.dataclass(frozen=True)
class Sources:
    """The sources of a dataset: one for each split that it has, with notes for readers of its numbers."""

    train: Source
    validation: Source | None = None
    test: Source | None = None
    notes: tuple[str, ...] = ()
    path: str = ""  # absolute path of the user's own images


def resized(images, preparation):
    """Return (..., H, W, C) images of bytes resized to a square of `image_size`, as uint8; unchanged where that is 0."""
    size = preparation.image_size
    if not size:
        return images
    if preparation.resize == "crop":
        height, width = tf.shape(images)[-3], tf.shape(images)[-2]
        side = tf.minimum(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        images = images[..., top : top + side, left : left + side, :]
    pixels = _framed(images, preparation) if preparation.resize == "fit" else tf.image.resize(images, (size, size), antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(pixels), 0, 255), tf.uint8)


def _framed(images, preparation):
    """Return (..., H, W, C) images within a square of `image_size`, with a border, as floats."""
    size, border = preparation.image_size, border_of(preparation, images.shape[-1])
    shape = tf.cast(tf.shape(images)[-3:-1], tf.float32)
    inner = tf.maximum(tf.cast(tf.round(shape * (size / tf.reduce_max(shape))), tf.int32), 1)
    pixels = tf.image.resize(images, inner, antialias=True)
    before = (size - inner) // 2
    return tf.image.pad_to_bounding_box(pixels - border, before[0], before[1], size, size) + border


def composited(images, preparation):
    """Return (..., H, W, 2 or 4) images of bytes, whose last channel is their opacity, on the background; others unchanged."""
    channels = images.shape[-1]
    if channels not in (2, 4):
        return images
    if preparation.background is None:
        return images[..., :-1]
    colours, opacity = tf.cast(images[..., :-1], tf.float32), tf.cast(images[..., -1:], tf.float32) / 255.0
    return tf.cast(tf.round(colours * opacity + border_of(preparation, channels - 1) * (1.0 - opacity)), tf.uint8)


def hexadecimal(colour):
    """Return (red, green, blue) as "#rrggbb"."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def border_of(preparation, channels):
    """Return the border's colour for images of 1 or 3 channels, as floats; grey images take its luma (ITU-R 601)."""
    red, green, blue = preparation.border
    return tf.constant([red, green, blue] if channels == 3 else [round(0.299 * red + 0.587 * green + 0.114 * blue)], tf.float32)


class Part:
    """Those images of a source for which `member` (n,) is true."""

    def __init__(self, source, member):
        self.source, self.member = source, member
        self.n = int(member.sum())
        self.identity = source.identity
        self.labels = None if source.labels is None else source.labels[member]
        self.arrays = None
        if source.images is not None:
            arrays = (source.images[member], *(() if self.labels is None else (self.labels,)))  # a copy, so that the source's can go
            with tf.device("CPU:0"):
                self.arrays = tuple(tf.constant(array) for array in arrays)
            self.source = self.member = None

    def without_labels(self):
        """Return the part with its images alone."""
        part = copy.copy(self)
        part.labels, part.arrays = None, self.arrays and self.arrays[:1]
        return part

    def labelled(self):
        """Return the part with its labelled images alone."""
        known = self.labels != UNLABELLED
        if self.arrays is None:
            member = self.member.copy()
            member[member] = known
            return Part(self.source, member)
        images = self.arrays[0].numpy()
        return Part(Source(len(images), images.shape[1:], images=images, labels=self.labels, identity=self.identity), known)

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
        examples = self.source.stream().enumerate()
        first, last = np.flatnonzero(self.member)[[0, -1]]
        if last - first + 1 == self.n:  # a function called for every image would cost a tenth of a small VAE's step
            examples = examples.skip(first).take(self.n)
        else:
            member = tf.constant(self.member)
            examples = examples.filter(lambda i, _: member[i])
        if shuffle_seed is not None:
            seed, epoch = shuffle_seed
            examples = examples.shuffle(self.source.shuffle_buffer, seed=seed + 1_000_003 * (epoch + 1), reshuffle_each_iteration=False)
        labels = None if self.labels is None else tf.constant(self.source.labels)

        def read(i, example):
            images = self.source.decode(example)
            return (images,) if labels is None else (images, tf.gather(labels, i))

        if self.source.decodes_batches:
            batches = examples.batch(batch_size).map(read, num_parallel_calls=tf.data.AUTOTUNE)
        else:
            batches = examples.map(read, num_parallel_calls=tf.data.AUTOTUNE).batch(batch_size)
        counted = tf.data.experimental.assert_cardinality(math.ceil(self.n / batch_size))  # or Keras warns that its data has ended
        return batches.apply(counted)
