"""Named datasets to train / validation / test `tf.data` pipelines of float32 images.

    digits        the 1,797 8x8 handwritten digits that scikit-learn ships; no download
    folder:PATH   the user's own images: one folder per class, or all in one folder without classes
    anything else an image dataset of TensorFlow Datasets, by its name: mnist, cifar10, fashion_mnist, svhn_cropped, ...
    variance_NAME digits or one of TensorFlow Datasets, each pixel multiplied by an N(0, 1) draw of its own (R1): what was grey is variance

The validation set is the first part of the training set. Where a dataset has no test split, a fixed tenth of it, drawn with a seed of its
own, is the test set. Images stay uint8 in memory, or are streamed where they would take more than a stated limit; either way a batch is
converted to float when it is asked for.
"""

import dataclasses
import difflib
import functools
import hashlib
import json
import logging
import math
import os
import pathlib
import re
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

from .errors import InputError, check_choice
from .files import reason

fold_in = tf.random.experimental.stateless_fold_in
as_written = tf.autograph.experimental.do_not_convert  # no pipeline here branches on a tensor, and to convert them all takes seconds

SPLIT_SEED = 1797  # of the test set where a dataset brings none: the same for every run
FIXED_SEED = 784  # of what is drawn in images that are read in order: binarisation, and the pixels of variance_NAME
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
TRAIN, VALIDATION, TEST = 0, 1, 2
VARIANCE = "variance_"  # before a dataset's name
OFFICIAL_SIZES = {"mnist": (60_000, 10_000), "cifar10": (50_000, 10_000)}  # training, test


@dataclasses.dataclass(frozen=True)
class Source:
    """Images as stored, in a fixed order.

    Either `images` (n, H, W, C) uint8 and `labels` (n,) or None lie in memory, or `stream()` yields them one at a time, as something
    small that `decode` turns into an image and a label.
    """

    n: int
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...] = ()
    images: np.ndarray | None = None
    labels: np.ndarray | None = None
    stream: Callable[[], tf.data.Dataset] | None = None
    identity: str = ""  # of a stream: what changes where its images do
    shuffle_buffer: int = 0  # elements of the stream, kept while shuffling
    decode: Callable | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Three parts, each a pipeline of batches: images (B, H, W, C) float32, with labels (B,) int64 where there are classes."""

    name: str
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]  # empty without classes
    sizes: tuple[int, int, int]  # images in train, validation, test
    note: str  # what a reader of its numbers must know, or ""
    in_memory: bool
    pixel_range: str
    parts: tuple
    convert: Callable

    @property
    def num_classes(self):
        return len(self.class_names)

    def steps_per_epoch(self, batch_size):
        return math.ceil(self.sizes[TRAIN] / batch_size)

    @as_written
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
        return epochs.flat_map(epoch_batches).prefetch(tf.data.AUTOTUNE)

    def validation(self, batch_size):
        """Return a pipeline over the validation set, in order."""
        return self.in_order(VALIDATION, batch_size)

    def test(self, batch_size):
        """Return a pipeline over the test set, in order."""
        return self.in_order(TEST, batch_size)

    @as_written
    def in_order(self, part, batch_size):
        """Return a pipeline over a part, in order; what is drawn in its images is the same every time, and other than in other parts."""
        batches = self.parts[part].batches(batch_size).enumerate()
        return batches.map(lambda i, batch: self.convert(batch, fold_in(tf.stack([FIXED_SEED, i]), part))).prefetch(tf.data.AUTOTUNE)

    @as_written
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
            digest.update((batch[0] if isinstance(batch, tuple) else batch).tobytes())
        return digest.hexdigest()

    @functools.cached_property
    def stored_fingerprint(self):
        """SHA-256 over all that is stored: images and labels in memory, or what names a stream, such as its files and their sizes."""
        digest = hashlib.sha256()
        for part in self.parts:
            for array in part.arrays or ():
                digest.update(array.numpy())
            digest.update(part.identity.encode())
        return digest.hexdigest()


def selection(params):
    """Return the arguments of `load_dataset` that are in a run's parameters, a mapping."""
    names = ("validation_fraction", "image_size", "pixel_range", "binarize", "memory_limit")
    return {"name": params["dataset"]} | {name: params[name] for name in names}


def load_dataset(name, *, validation_fraction=0.1, image_size=0, pixel_range="unit", binarize="none", memory_limit=2.0):
    """Return the named `Dataset`.

    Args:
        name: "digits", "folder:PATH" or a name in TensorFlow Datasets; "variance_" before digits or such a name.
        validation_fraction: share of the training set, from its beginning, that is held out.
        image_size: height and width that images are resized to; 0 keeps the dataset's own.
        pixel_range: "unit" scales pixels to [0, 1], "signed" to [-1, 1]; "real" is that of "variance_" datasets, and theirs alone.
        binarize: "none"; "threshold" at one half; "sample" draws each pixel as 1 with probability its grey value, anew each epoch.
        memory_limit: GiB of uint8 images that may be held in memory; larger datasets are streamed.

    Raises:
        InputError: the dataset is unknown, cannot be had, or holds no images.
    """
    check_choice("pixel_range", pixel_range, ("unit", "signed", "real"))
    check_choice("binarize", binarize, ("none", "threshold", "sample"))
    if (pixel_range == "real") != name.startswith(VARIANCE):
        raise ValueError(f"Expected pixel_range real with a {VARIANCE} dataset, and with no other. Received {pixel_range} with {name}.")
    limit = memory_limit * 2**30
    test = None
    stored = name.removeprefix(VARIANCE)
    if stored == "digits":
        train = _digits(image_size)
    elif stored.startswith("folder:"):
        train = _folder(stored, image_size, limit)
    else:
        train, test = _tfds(stored, image_size, limit)

    part = np.full(train.n, TRAIN, np.uint8)
    note = ""
    if test is None:
        held = np.random.default_rng(SPLIT_SEED).permutation(train.n)[: max(1, round(0.1 * train.n))]
        part[held] = TEST
        note = f"{name} has no test split: a fixed tenth ({len(held)} images) is the test set"
    elif (train.n, test.n) != OFFICIAL_SIZES.get(stored, (train.n, test.n)):
        official = " and ".join(f"{n:,}" for n in OFFICIAL_SIZES[stored])
        note = f"this copy of {stored} has {train.n:,} training and {test.n:,} test images, the official one {official}"
    remaining = np.flatnonzero(part == TRAIN)
    part[remaining[: math.floor(len(remaining) * validation_fraction)]] = VALIDATION

    parts = [Part(train, part == which) for which in (TRAIN, VALIDATION)]
    parts.append(Part(train, part == TEST) if test is None else Part(test, np.ones(test.n, bool)))
    sizes = tuple(p.n for p in parts)
    if min(sizes) < 1:
        raise InputError(
            f"dataset {name} has too few images: expected at least one each for training, validation and test, "
            f"received {sizes[0]}, {sizes[1]} and {sizes[2]}; add images or raise validation_fraction."
        )

    def convert(batch, seed):
        images, *labels = batch
        images = tf.cast(images, tf.float32) / 255.0
        if binarize == "threshold":
            images = tf.cast(images > 0.5, tf.float32)
        elif binarize == "sample":
            images = tf.cast(tf.random.stateless_uniform(tf.shape(images), seed) < images, tf.float32)
        if pixel_range == "signed":
            images = 2.0 * images - 1.0
        elif pixel_range == "real":
            images *= tf.random.stateless_normal(tf.shape(images), seed)
        return (images, *labels) if labels else images

    return Dataset(name, train.image_shape, train.class_names, sizes, note, train.images is not None, pixel_range, tuple(parts), convert)


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


def _digits(image_size):
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]  # 17 grey levels
    if image_size:
        images = _resize(images, image_size).numpy()
    return Source(len(images), images.shape[1:], tuple("0123456789"), images, digits.target.astype(np.int64))


def _resize(images, image_size):
    """Resize (..., H, W, C) images to a square, as uint8."""
    resized = tf.image.resize(images, (image_size, image_size), antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)


def _tfds(name, image_size, limit):
    """Return the training and the test source of a TensorFlow Datasets name; the test source is None where it brings none."""
    import tensorflow_datasets as tfds

    if not re.fullmatch(r"\w+(/\w[\w.+-]*)*(:\d+\.\d+\.\d+)?", name):  # no path, and none of the communities that bring code of their own
        raise InputError(
            f"dataset: received {name!r}; expected digits, folder:PATH or NAME, NAME/CONFIG or NAME:VERSION; correct the name."
        )
    data_dir = os.path.expanduser(os.environ.get("TFDS_DATA_DIR") or tfds.core.constants.DATA_DIR)
    known = tfds.list_builders(with_community_datasets=False)  # those would ask the network
    base = re.split("[/:]", name)[0]
    if base not in known and not os.path.isdir(os.path.join(data_dir, base)):
        near = difflib.get_close_matches(base, known, 5) or ["mnist", "fashion_mnist", "cifar10", "svhn_cropped"]
        raise InputError(
            f"dataset: received {name!r}; expected digits, folder:PATH or one of the {len(known)} names in TensorFlow Datasets, such as "
            f"{', '.join(near)}."
        )
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except Exception as error:  # a version or configuration that does not exist
        raise InputError(f"dataset: received {name!r}, which TensorFlow Datasets cannot open: {reason(error)}.") from None

    image_key, label_key = _image_and_label(name, builder.info.features, tfds)
    height, width, channels = builder.info.features[image_key].shape
    if image_size:
        height = width = image_size
    if None in (height, width):
        raise InputError(f"dataset {name} has images of different sizes: expected image_size to be set, received 0; try --image-size 64.")
    if channels not in (1, 3):
        raise InputError(f"dataset {name} has {channels} channels: expected images of 1 or 3 channels; choose another dataset.")
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # forty retries without a network are one failure, told below
    logging.getLogger("absl").addFilter(_is_news)
    try:
        builder.download_and_prepare()
    except Exception as error:
        raise InputError(
            f"dataset {name} is neither in {data_dir} nor could it be downloaded ({reason(error)}); connect to the network once, or "
            f"place its files by hand in {os.path.join(data_dir, 'downloads', 'manual')} (TFDS_DATA_DIR says where to look), or use "
            "--dataset digits, which needs nothing."
        ) from None

    if "train" not in builder.info.splits:
        raise InputError(
            f"dataset {name} has the splits {', '.join(builder.info.splits)}: expected one named train; choose another dataset."
        )
    image_shape = (height, width, channels)
    class_names = tuple(builder.info.features[label_key].names) if label_key else ()

    def decode(example):
        image = builder.info.features[image_key].decode_example(example[image_key])
        image = _resize(image, image_size) if image_size else image
        return (image, example[label_key]) if label_key else (image,)

    splits = [split for split in ("train", "test") if split in builder.info.splits]
    total = sum(builder.info.splits[split].num_examples for split in splits)

    def source(split):
        @as_written  # to convert would warn that what is called here cannot be
        def stream():
            read = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
            wanted = {key: True for key in (image_key, label_key) if key}
            decoders = tfds.decode.PartialDecoding(wanted, decoders={image_key: tfds.decode.SkipDecoding()})
            return builder.as_dataset(split=split, decoders=decoders, read_config=read)

        n = builder.info.splits[split].num_examples
        if total * math.prod(image_shape) > limit:
            buffer = int(min(max(limit / 4 / math.prod(image_shape), 100), 10_000))
            identity = f"{builder.info.full_name} {split} {n} {builder.info.splits[split].num_bytes}"
            return Source(n, image_shape, class_names, stream=stream, identity=identity, shuffle_buffer=buffer, decode=decode)
        images, labels = np.empty((n, *image_shape), np.uint8), np.empty(n, np.int64)
        batches = stream().map(decode, num_parallel_calls=tf.data.AUTOTUNE).batch(1000)
        start = 0
        try:
            for image, *label in batches.as_numpy_iterator():
                images[start : start + len(image)] = image
                if label:
                    labels[start : start + len(image)] = label[0]
                start += len(image)
        except tf.errors.OpError as error:
            raise InputError(
                f"dataset {name} in {data_dir} cannot be read ({reason(error)}); delete its folder and prepare it again."
            ) from None
        return Source(n, image_shape, class_names, images, labels if label_key else None)

    return source("train"), source("test") if "test" in splits else None


def _is_news(record):
    """Whether a log record is not TensorFlow Datasets' warning about what it does itself when it decodes a part of an example."""
    return "`FeatureConnector.dtype` is deprecated" not in record.getMessage()


def _image_and_label(name, features, tfds):
    """Return the keys of the one image and of the class label (or None) among a dataset's features."""
    items = dict(features.items()) if hasattr(features, "items") else {}
    images = [k for k, v in items.items() if isinstance(v, tfds.features.Image)]
    labels = [k for k, v in items.items() if isinstance(v, tfds.features.ClassLabel)]
    labels = ["label"] if "label" in labels else labels  # cifar100 has a coarse one beside it
    if len(images) != 1:
        raise InputError(
            f"dataset {name} is not an image-classification dataset: expected one image feature, received {', '.join(items) or 'none'}; "
            "choose another, such as mnist or cifar10."
        )
    return images[0], labels[0] if len(labels) == 1 else None


def _folder(name, image_size, limit):
    """Return the source of a folder of images; every file is opened once, so that a broken one is found before any training."""
    root = pathlib.Path(os.path.expanduser(name.removeprefix("folder:")))
    if not os.path.isdir(root):
        raise InputError(
            f"dataset: received {name}, expected a folder of images after folder:, but {root} is not a folder; check the path."
        )

    def images_in(folder, pattern):
        return sorted(p for p in folder.glob(pattern) if p.suffix.lower() in SUFFIXES and p.is_file())

    loose = images_in(root, "*")
    classes = {d.name: images_in(d, "**/*") for d in sorted(root.iterdir()) if d.is_dir()}
    classes = {k: v for k, v in classes.items() if v}
    if not loose and not classes:
        raise InputError(
            f"dataset {name} has no images: expected {', '.join(sorted(SUFFIXES))} files in it or in one folder per class; add some."
        )
    if loose and classes:
        raise InputError(
            f"dataset {name} has {len(loose)} images beside the folders {', '.join(list(classes)[:5])}: expected one folder per class or "
            "images alone; move them into one or the other."
        )
    paths = loose or [p for group in classes.values() for p in group]
    labels = np.repeat(np.arange(len(classes)), [len(v) for v in classes.values()]) if classes else None
    mixed = np.random.default_rng(SPLIT_SEED).permutation(len(paths))  # else the first tenth would be of the first class
    paths = [paths[i] for i in mixed]
    labels = labels[mixed] if classes else None

    sizes, grey = set(), True
    for path in paths:
        with _opened(path) as image:
            sizes.add((image_size, image_size) if image_size else ImageOps.exif_transpose(image).size)
            grey &= image.mode in ("1", "L", "LA") or image.mode.startswith("I")
    if len(sizes) > 1:
        raise InputError(
            f"dataset {name} has images of {len(sizes)} sizes: expected image_size to be set, received 0; try --image-size 64."
        )
    ((width, height),) = sizes
    image_shape = (height, width, 1 if grey else 3)

    def read(path):
        with _opened(path) as image:
            image = ImageOps.exif_transpose(image)
            if image.mode.startswith("I"):  # 16 bits, which Pillow would clip to the lowest 8
                image = Image.fromarray(np.clip(np.round(np.asarray(image, np.float64) / 257), 0, 255).astype(np.uint8))
            image = image.convert("L" if grey else "RGB").resize((width, height), Image.Resampling.LANCZOS)
            return np.asarray(image, np.uint8).reshape(image_shape)

    common = {"n": len(paths), "image_shape": image_shape, "class_names": tuple(classes)}
    if len(paths) * math.prod(image_shape) <= limit:
        return Source(images=np.stack([read(p) for p in paths]), labels=labels, **common)

    def stream():
        names = tf.data.Dataset.from_tensor_slices([str(p) for p in paths])
        return names if labels is None else tf.data.Dataset.zip(names, tf.data.Dataset.from_tensor_slices(labels))

    def read_or_tell(path):
        try:
            return read(pathlib.Path(os.fsdecode(path))), ""
        except InputError as error:  # raised here, it would come out of TensorFlow as a page of traceback
            return np.zeros(image_shape, np.uint8), str(error)

    def decode(path, *label):
        image, broken = tf.numpy_function(read_or_tell, [path], (tf.uint8, tf.string))
        with tf.control_dependencies([tf.debugging.Assert(broken == "", [broken])]):
            return (tf.ensure_shape(image, image_shape), *label)

    identity = "\n".join(f"{path.relative_to(root)} {path.stat().st_size}" for path in paths)
    return Source(stream=stream, identity=identity, shuffle_buffer=len(paths), decode=decode, **common)


def _opened(path):
    """Open an image and decode all of it, or say which file is broken."""
    try:
        image = Image.open(path)
        image.load()
        return image
    except Exception as error:  # Pillow raises many kinds for a broken file
        raise InputError(f"image {path} cannot be read ({reason(error)}); repair or remove it.") from None


def describe(dataset):
    """Return what a run's record says of its data, as plain values."""
    names = ("image_shape", "class_names", "sizes", "note", "test_fingerprint", "stored_fingerprint")
    return {name: getattr(dataset, name) for name in names}


def check_unchanged(dataset, described):
    """Raise InputError where a dataset is no longer the described one.

    A changed folder would mix test images with training images, and a resumed run would go on with other images than it began with.
    """
    now, described = (json.loads(json.dumps(each)) for each in (describe(dataset), described))  # tuples and lists alike
    changed = [name.replace("_", " ") for name, value in now.items() if described.get(name) != value and name != "note"]
    if changed:
        raise InputError(
            f"dataset: {dataset.name} is not what the run was trained on: expected the same data, received another {', '.join(changed)}; "
            "restore the data or train again."
        )
