"""The user's own images: one folder for each class, or all in one folder; in train, val and test, or split here."""

import collections
import dataclasses
import math
import os
import pathlib

import numpy as np
import tensorflow as tf

from ..errors import InputError, counted, printable
from .files import all_pixels, decoder, reading_of
from .pipeline import TEST, TRAIN, VALIDATION
from .source import SPLIT_SEED, UNLABELLED, Source, Sources

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
LINKED = "linked folder"
SPLITS = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("val", "valid", "validation"), VALIDATION),
    **dict.fromkeys(("test", "testing"), TEST),
}


def folder_sources(name, preparation, limit):
    """Return the `Sources` of a folder of images. Every file is opened once, so that broken files are found before any training.

    Args:
        name: "folder:PATH".
        preparation: `source.Preparation`.
        limit: bytes of images that may be held in memory.

    Raises:
        InputError: there is no such folder, it has no images or images that do not belong together, or files are broken.
    """
    root = pathlib.Path(os.path.expanduser(name.removeprefix("folder:")))
    found = images_below(root, name)
    reading = reading_of([path for split in found.splits.values() for path in split.paths], preparation, f"dataset {name}")
    share = limit / (math.prod(reading.image_shape) * sum(len(split.paths) for split in found.splits.values()))  # that memory can hold
    sources = {which: _source(split, root, found.class_names, reading, name, share) for which, split in found.splits.items()}
    path = os.path.abspath(root)
    return Sources(sources[TRAIN], sources.get(VALIDATION), sources.get(TEST), (*found.notes, *reading.notes), path)


def _source(split, root, class_names, reading, name, share):
    """Return the `Source` of a split's files, mixed in a fixed order, or the first tenth would be of the first class."""
    mixed = np.random.default_rng(SPLIT_SEED).permutation(len(split.paths))
    paths, labels = [split.paths[i] for i in mixed], split.labels[mixed] if class_names else None
    common = {"n": len(paths), "image_shape": reading.image_shape, "class_names": class_names, "labels": labels}
    if share >= 1:
        return Source(images=all_pixels(paths, reading, f"dataset {name}"), **common)
    lines = [f"{path.relative_to(root)} {path.stat().st_size}" for path in paths]
    identity = "\n".join(lines) + reading.preparation.identity(reading.transparent)
    stream = lambda: tf.data.Dataset.range(len(paths))  # noqa: E731
    return Source(
        stream=stream,
        identity=identity,
        shuffle_buffer=len(paths),
        decode=decoder(paths, reading, math.floor(share * len(paths))),
        decodes_batches=True,
        **common,
    )


# ---- which files are images, of which class and of which split


@dataclasses.dataclass
class Split:
    """The images of a split and the numbers of their classes, which mean nothing where there are no classes."""

    paths: list
    labels: np.ndarray


@dataclasses.dataclass
class Found:
    """The images below a folder."""

    splits: dict  # TRAIN, VALIDATION or TEST -> `Split`; TRAIN alone where the folder is not split
    class_names: tuple
    notes: list  # sentences without a full stop


def images_below(root, name):
    """Return what a folder holds: `Found`.

    Args:
        root: path of the folder.
        name: of the dataset, for the sentences.

    Raises:
        InputError: it is no folder, cannot be read, has no images, or has images in places that do not fit together.
    """
    if not os.path.isdir(root):
        raise InputError(
            f"dataset: received {name}, expected a folder of images after folder:, but {printable(root)} is not a folder; check the path."
        )
    images, left_out, without_images = walked(root, name)
    if not images:
        but = f", received {_left_out_sentence(left_out)}" if left_out else ""
        raise InputError(
            f"dataset {name} has no images: expected {', '.join(sorted(SUFFIXES))} files in it or in one folder per class{but}; add some."
        )
    _check_links(images, root, name)
    found = _found_in_splits(root, images, name) if _is_split(root, images, name) else _found_unsplit(root, images, name)
    if without_images:
        found.notes.append(f"{counted(len(without_images), 'folder')} without images: {', '.join(map(printable, without_images[:5]))}")
    if left_out:
        found.notes.append(_left_out_sentence(left_out))
    return found


def walked(root, name):
    """Return what is below a folder.

    Returns:
        The sorted paths of all images; the numbers of files that are left out, by reason (Counter); and the folders without images,
        relative to the root, without those below another one.
    """
    images, left_out, folders, visited = [], collections.Counter(), [root], []
    while folders:
        folder = folders.pop()
        visited.append(folder)
        try:
            names = os.listdir(folder)
        except OSError as error:
            raise InputError(
                f"dataset {name}: the folder {printable(folder)} cannot be read ({error.strerror}); give yourself the right to read it, or "
                "move it away."
            ) from None
        for path in (folder / each for each in names if not each.startswith(".") and each != "__MACOSX"):
            suffix = path.suffix.lower()
            if os.path.isdir(path):
                if not os.path.islink(path) or _is_linked_class(path, root):
                    folders.append(path)
                else:
                    left_out[LINKED] += 1
            elif not os.path.isfile(path):
                left_out["broken link" if os.path.islink(path) else "special file"] += 1
            elif suffix in SUFFIXES:
                images.append(path)
            else:
                left_out[printable(suffix)[:20] or "without a suffix"] += 1
    above = {pathlib.Path(), *(folder for path in images for folder in path.relative_to(root).parents)}
    empty = {folder.relative_to(root) for folder in visited} - above
    return sorted(images), left_out, sorted(folder for folder in empty if folder.parent not in empty)


def _check_links(images, root, name):
    """Raise InputError where two folders of classes or splits are one folder, through a link: its images would count twice."""
    seen = {}
    for folder in sorted({parent for path in images for parent in path.parents if parent != root and root in parent.parents}):
        first = seen.setdefault(folder.resolve(), folder)
        if first != folder:
            raise InputError(
                f"dataset {name}: the folders {printable(first)} and {printable(folder)} are one folder, through a link; expected "
                "different images; remove the link."
            )


def _is_linked_class(link, root):
    """Return whether a link to a folder stands where the folders of classes and splits are, and does not lead to a folder around it."""
    at_top = link.parent == root or (link.parent.parent == root and link.parent.name.lower() in SPLITS)
    return at_top and not root.resolve().is_relative_to(link.resolve())


def _left_out_sentence(left_out):
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in left_out.most_common(8))
    others = f", {len(left_out) - 8} other kinds" if len(left_out) > 8 else ""
    total, linked = left_out.total(), left_out[LINKED]
    named = counted(total, "folder" if linked == total else "file") if linked in (0, total) else f"{total:,} files and folders"
    return f"{named} left out: {kinds}{others}"


def by_class(paths, folder, name):
    """Return the images of each class below a folder (dict class name -> paths), or {None: paths} where they are in it directly."""
    classes = {}
    for path in paths:
        parts = path.relative_to(folder).parts
        classes.setdefault(parts[0] if len(parts) > 1 else None, []).append(path)
    if None in classes and len(classes) > 1:
        folders = ", ".join(printable(each) for each in classes if each is not None)
        raise InputError(
            f"dataset {name} has {counted(len(classes[None]), 'image')} in {printable(folder)} beside the folders {folders[:200]}: "
            "expected one folder per class or images alone; move them into one or the other."
        )
    return classes


def _found_unsplit(root, images, name):
    classes = by_class(images, root, name)
    labels = np.repeat(np.arange(len(classes)), [len(paths) for paths in classes.values()])
    return Found({TRAIN: Split(images, labels)}, () if None in classes else tuple(classes), [])


def _is_split(root, images, name):
    """Return whether the folders with images are train and, perhaps, validation and test; raise InputError where only some of them are."""
    folders = {parts[0] for parts in (path.relative_to(root).parts for path in images) if len(parts) > 1}
    loose = any(path.parent == root for path in images)
    splits = {SPLITS[folder.lower()] for folder in folders if folder.lower() in SPLITS}
    others = sorted(folder for folder in folders if folder.lower() not in SPLITS)
    if splits and not others and not loose and TRAIN not in splits:
        raise InputError(
            f"dataset {name} has the folders {', '.join(sorted(folders))}: expected a folder train beside them; add it, or rename folders "
            "that are classes."
        )
    if len(splits) > 1 and others:
        raise InputError(
            f"dataset {name} has the folder {printable(others[0])} beside {', '.join(sorted(folders - set(others)))}: expected the splits "
            "alone, or classes alone; move it away, or rename folders that are classes."
        )
    return TRAIN in splits and not others and not loose


def _found_in_splits(root, images, name):
    """Return `Found` of a folder with train and, perhaps, val and test, each with the same classes; val and test may be without classes."""
    contents = {}
    for path in images:
        contents.setdefault(path.relative_to(root).parts[0], []).append(path)
    splits = {SPLITS[folder.lower()]: by_class(paths, root / folder, name) for folder, paths in contents.items()}
    if len(splits) < len(contents):
        raise InputError(f"dataset {name} has the folders {', '.join(contents)}: expected one for each split; move their images together.")
    class_names = () if None in splits[TRAIN] else tuple(splits[TRAIN])
    found = {}
    for folder, which in ((folder, SPLITS[folder.lower()]) for folder in contents):
        classes = splits[which]
        unknown = [each for each in classes if each is not None and each not in class_names]
        if unknown:
            raise InputError(
                f"dataset {name} has the class {printable(unknown[0])} in {folder} alone: expected the classes of train in every split; "
                "add it there, or rename the folders where these are no splits."
            )
        numbers = [class_names.index(each) if each is not None and class_names else UNLABELLED for each in classes]
        found[which] = Split(contents[folder], np.repeat(numbers, [len(paths) for paths in classes.values()]))
    named = f"the folders {', '.join(contents)} are the splits" if len(contents) > 1 else "the folder train is the only split"
    return Found(found, class_names, [named])
