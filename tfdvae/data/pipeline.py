"""`tf.data` pipelines of float32 images, for training, validation and test."""

import dataclasses
import functools
import hashlib
import math
import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from .source import UNLABELLED, Preparation

fold_in = tf.random.experimental.stateless_fold_in
no_autograph = tf.autograph.experimental.do_not_convert  # no pipeline here branches on a tensor, and to convert them all takes seconds

FIXED_SEED = 784  # of the draws in images that are read in order: binarisation, and the pixels of variance_NAME
TRAIN, VALIDATION, TEST = 0, 1, 2


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Three parts, each a pipeline of batches: images (B, H, W, C) float32, with labels (B,) int64 where there are classes."""

    name: str
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]  # empty without classes
    sizes: tuple[int, int, int]  # images in train, validation, test
    notes: tuple[str, ...]  # for readers of its numbers, without a full stop
    in_memory: bool
    pixel_range: str
    parts: tuple
    convert: Callable
    preparation: Preparation  # of the stored images
    path: str = ""  # absolute path of the user's own images

    @property
    def num_classes(self):
        return len(self.class_names)

    def class_counts(self):
        """Return the number of images of every class, of all parts together: dict class name -> number; {} without classes."""
        labels = [part.labels for part in self.parts if part.labels is not None]
        numbers = sum(np.bincount(each[each != UNLABELLED], minlength=self.num_classes) for each in labels)
        return dict(zip(self.class_names, np.atleast_1d(numbers).tolist()))

    def labelled(self):
        """Return the dataset without the training and validation images that have no label: itself where all have one."""
        parts = list(self.parts)
        for which in (TRAIN, VALIDATION):
            if np.any(parts[which].labels == UNLABELLED):
                parts[which] = parts[which].labelled()
        return dataclasses.replace(self, parts=tuple(parts), sizes=tuple(part.n for part in parts))

    def steps_per_epoch(self, batch_size):
        return math.ceil(self.sizes[TRAIN] / batch_size)

    @no_autograph
    def train(self, batch_size, seed=0, first_epoch=0, flip=False):
        """Return an endless pipeline over the training set; give `fit` this dataset's `steps_per_epoch`.

        The order of images in an epoch depends on the seed and the number of the epoch alone, whichever epoch comes first.

        Args:
            batch_size: images.
            seed: of the order, of binarisation and of mirroring.
            first_epoch: number of the epoch to begin with.
            flip: whether each image is mirrored left to right with probability one half.
        """

        def epoch_batches(epoch):
            def finish(i, batch):
                # folded, or it would be the seed that a layer draws its noise with at step i: a variance_NAME's pixels and their corruption
                of_pixels, of_flips = (fold_in(tf.stack([seed + epoch * 1_000_003, i]), FIXED_SEED + j) for j in range(2))
                images, *labels = batch
                if flip:
                    images = tf.image.stateless_random_flip_left_right(images, of_flips)
                return self.convert((images, *labels), of_pixels)

            batches = self.parts[TRAIN].batches(batch_size, shuffle_seed=(seed, epoch))
            return batches.enumerate().map(finish)

        epochs = tf.data.Dataset.counter(first_epoch)
        return self.apart(epochs.flat_map(epoch_batches).prefetch(tf.data.AUTOTUNE))

    def apart(self, pipeline):
        """Return a pipeline that does not hold up a training: streamed images are read in threads of its own."""
        options = tf.data.Options()
        if self.in_memory:  # then there is nothing to tune, and the end of a training had to wait up to a minute for the thread that tunes
            options.autotune.enabled = False
        else:
            options.threading.private_threadpool_size = os.cpu_count() or 1
        return pipeline.with_options(options)

    def validation(self, batch_size):
        """Return a pipeline over the validation set, in order."""
        return self.in_order(VALIDATION, batch_size)

    def test(self, batch_size):
        """Return a pipeline over the test set, in order."""
        return self.in_order(TEST, batch_size)

    @no_autograph
    def in_order(self, part, batch_size):
        """Return a pipeline over a part, in order; its random draws are the same every time, and differ from those of other parts."""
        batches = self.parts[part].batches(batch_size).enumerate()
        converted = batches.map(lambda i, batch: self.convert(batch, fold_in(tf.stack([FIXED_SEED, i]), part)))
        return self.apart(converted.prefetch(tf.data.AUTOTUNE))

    @no_autograph
    def pixel_variances(self, part, batch_size):
        """Return a pipeline over the true variance of every pixel of the images of a variance_NAME, in order: (B, H, W, C)."""
        return self.parts[part].batches(batch_size).map(lambda images, *_: tf.square(tf.cast(images, tf.float32) / 255.0))

    @functools.cached_property
    def test_fingerprint(self):
        """SHA-256 over the test images as pipelines deliver them: two runs with the same one were tested on the same images.

        Of a variance_NAME it is over the variances of the pixels, which make the images.
        """
        digest = hashlib.sha256()
        varied = self.pixel_range == "real"  # normal draws, whose last digit another machine may round in another way
        batches = self.pixel_variances(TEST, 500) if varied else self.test(500)
        for batch in batches.as_numpy_iterator():
            digest.update(images_of(batch).tobytes())
        return digest.hexdigest()

    @functools.cached_property
    def stored_fingerprint(self):
        """SHA-256 over all that is stored: images and labels in memory, or what names a stream, such as its files and their sizes."""
        digest = hashlib.sha256()
        for part in self.parts:
            for array in part.arrays or ():
                digest.update(array.numpy())
            digest.update(part.identity.encode(errors="surrogateescape"))  # names of files may be other bytes than UTF-8
        return digest.hexdigest()


def images_and_labels(batch):
    """Return the images and the labels of a batch; None for the labels of images alone."""
    return batch if isinstance(batch, tuple) else (batch, None)


def images_of(batch):
    """Return the images of a batch, which may have labels beside them."""
    return images_and_labels(batch)[0]
