"""Many image files to arrays of one shape: the first reading, which finds what is broken, and the second one, which keeps the pixels."""

import concurrent.futures
import contextlib
import dataclasses
import os
import threading

import numpy as np
import tensorflow as tf

from ..errors import InputError, counted, printable
from . import image_file
from .image_file import SIXTEEN_BITS, TWELVE_BITS, Unreadable
from .source import Preparation, hexadecimal

LISTED = 50  # most broken files named in a refusal
THREADS = os.cpu_count() or 1  # Pillow decodes without Python's lock


@dataclasses.dataclass(frozen=True)
class Reading:
    """How files become arrays of one shape.

    Args:
        image_shape: (H, W, C), C is 1 where all images are grey.
        preparation: `source.Preparation`.
        integer_range: the largest value of 32-bit integers, 255 or 65,535, None without any.
        notes: sentences about the files, without a full stop.
        transparent: whether some pixels are.
    """

    image_shape: tuple[int, int, int]
    preparation: Preparation
    integer_range: int | None = None
    notes: tuple[str, ...] = ()
    transparent: bool = False

    def pixels(self, path):
        """Return a file's (H, W, C) bytes, or raise `Unreadable`."""
        return image_file.pixels(path, self.image_shape, self.preparation, self.integer_range)


def reading_of(paths, preparation, subject):
    """Open every file once, and return the `Reading` of all of them.

    Args:
        paths: of the files.
        preparation: `source.Preparation`.
        subject: what the files are, for the sentences, such as the dataset's name.

    Raises:
        InputError: files are broken, all of which it names; or their sizes differ and there is no size to bring them to.
    """
    all_facts = dict(zip(paths, in_threads(lambda path: _attempt(path, preparation.background), paths)))
    integers = [facts for facts in all_facts.values() if isinstance(facts, image_file.Facts) and facts.mode == "I"]
    integer_range = 255 if all(facts.high <= 255 for facts in integers) else SIXTEEN_BITS
    refuse_broken({path: _complaint(facts) for path, facts in all_facts.items()}, subject)
    facts = list(all_facts.values())
    size, coloured_ground = preparation.image_size, len(set(preparation.border)) > 1
    sizes = {(size, size)} if size else {fact.size for fact in facts}
    if len(sizes) > 1:
        raise InputError(
            f"{subject} has images of {len(sizes)} sizes, such as {_listed(sizes)}: expected image_size to be set, received 0; try "
            "--image-size 64."
        )
    ((width, height),) = sizes
    transparent = any(fact.transparent for fact in facts)
    grey = all(fact.grey for fact in facts) and not (coloured_ground and (transparent or preparation.resize == "fit"))
    shape = (height, width, 1 if grey else 3)
    return Reading(shape, preparation, integer_range if integers else None, _notes(facts, preparation, integer_range), transparent)


def in_threads(function, paths):
    """Return the results of a function of a path for many paths, in their order."""
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(function, paths))


def _attempt(path, background):
    """Return the `Facts` of a file, or the `Unreadable` that reading it raised."""
    try:
        return image_file.facts_of(path, background)
    except Unreadable as error:
        return error


def _complaint(facts):
    """Return the reason why a file cannot be used, or ""; `facts` are its `Facts`, or an `Unreadable`."""
    if isinstance(facts, Unreadable):
        return str(facts)
    if 0 <= facts.low <= facts.high <= image_file.limit_of(facts.mode, SIXTEEN_BITS):  # pixels of 8 bits have 0 for both
        return ""
    return image_file.out_of_range(facts.mode, facts.low, facts.high)


def refuse_broken(complaints, subject):
    """Raise InputError that names every file with a complaint; `complaints` is a dict path -> reason or ""."""
    broken = {path: complaint for path, complaint in complaints.items() if complaint}
    if broken:
        listed = ", ".join(f"{printable(path)} ({complaint})" for path, complaint in list(broken.items())[:LISTED])
        more = f" and {len(broken) - LISTED:,} more" if len(broken) > LISTED else ""
        raise InputError(
            f"{subject}: {counted(len(broken), 'image')} of {len(complaints):,} cannot be read: {listed}{more}; repair, convert or "
            f"remove {'it' if len(broken) == 1 else 'them'}."
        )


def _notes(facts, preparation, integer_range):
    """Return sentences about how images are read, without a full stop."""
    notes = []
    transparent, animated = (sum(getattr(fact, kind) for fact in facts) for kind in ("transparent", "animated"))
    if transparent:
        ground = "whose transparency is ignored" if preparation.background is None else f"drawn on {_named(preparation.background)}"
        notes.append(f"{counted(transparent, 'image')} with transparent pixels, {ground} (--background)")
    if animated:
        notes.append(f"{counted(animated, 'image')} with more than one frame or page, of which only the first is used")
    integers = [fact for fact in facts if fact.mode == "I"]
    if integers:
        notes.append(f"{counted(len(integers), 'image')} of 32-bit integers, all within 0 to {integer_range:,}, taken as the range")
    sixteen = [fact for fact in facts if fact.mode.startswith("I;16")]
    if sixteen and max(fact.high for fact in sixteen) <= TWELVE_BITS:
        notes.append(
            f"{counted(len(sixteen), 'image')} of 16 bits with no value above {max(fact.high for fact in sixteen):,.0f} of 65,535, so very "
            "dark: a camera of 12 bits or fewer has values that must be multiplied first"
        )
    return tuple(notes)


def _listed(sizes):
    return " and ".join(f"{width}x{height}" for width, height in sorted(sizes)[:2])


def _named(colour):
    return {(255, 255, 255): "white", (0, 0, 0): "black"}.get(colour) or hexadecimal(colour)


def all_pixels(paths, reading, subject):
    """Return the (n, H, W, C) bytes of files, or raise InputError that names all that cannot be read."""
    images = np.empty((len(paths), *reading.image_shape), np.uint8)

    def keep(i):
        try:
            images[i] = reading.pixels(paths[i])
        except Unreadable as error:
            return str(error)

    refuse_broken(dict(zip(paths, in_threads(keep, range(len(paths))))), subject)
    return images


def decoder(paths, reading, room=0):
    """Return the function that reads files in a `tf.data` pipeline: (B,) indices -> (B, H, W, C) uint8.

    It takes a batch at once: a call of Python for every image would cost more than reading it. The files are read in threads that give way
    to those of the training. The first `room` images are kept in memory once they are read.
    """
    kept, known = np.zeros((room, *reading.image_shape), np.uint8), np.zeros(room, bool)
    readers = concurrent.futures.ThreadPoolExecutor(THREADS, initializer=_give_way)

    def pixels_or_complaint(indices):
        images = np.zeros((len(indices), *reading.image_shape), np.uint8)
        for image, i in zip(images, indices):
            if i < room and known[i]:
                image[:] = kept[i]
                continue
            try:
                image[:] = reading.pixels(paths[i])
            except Unreadable as error:  # raised here, it would come out of TensorFlow as a page of traceback
                return images, f"image {printable(paths[i])} cannot be read ({error}); repair or remove it"
            if i < room:
                kept[i], known[i] = image, True
        return images, ""

    def decode(indices):
        read = lambda indices: readers.submit(pixels_or_complaint, indices).result()  # noqa: E731
        images, complaint = tf.numpy_function(read, [indices], (tf.uint8, tf.string))
        with tf.control_dependencies([tf.debugging.Assert(complaint == "", [complaint])]):
            return tf.ensure_shape(images, (None, *reading.image_shape))

    return decode


def _give_way():
    """Lower the priority of this thread, where the system has one for each thread, as Linux has."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
