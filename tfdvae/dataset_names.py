"""The names of datasets: a misspelt one is refused with the nearest name, before TensorFlow is imported."""

import os
import re

from .errors import InputError, nearest, shortened
from .rules import DATASET, OWN_IMAGES, SHIPPED, VARIANCE

FORM = r"\w+(/\w[\w.+-]*)*(:\d+\.\d+\.\d+)?"  # no path, and no community dataset, which brings code of its own


def check_dataset(name):
    """Raise InputError where the `dataset` of a run has the name of no dataset; paths are left to the code that reads them."""
    stored = name.removeprefix(VARIANCE)
    if stored not in SHIPPED and not stored.startswith(OWN_IMAGES):
        check_tfds_name(stored, tfds_folder(), name)


def at_path(name, path):
    """Return the name of a dataset of the user's own images with another path, such as the absolute one."""
    return next((kind for kind in OWN_IMAGES if name.startswith(kind)), "") + path


def tfds_folder():
    """Return the folder of prepared datasets of TensorFlow Datasets."""
    import tensorflow_datasets as tfds

    return os.path.expanduser(os.environ.get("TFDS_DATA_DIR") or tfds.core.constants.DATA_DIR)


def check_tfds_name(name, data_dir, received=None):
    """Raise InputError where TensorFlow Datasets knows no such name and has no such prepared dataset.

    Args:
        name: of the dataset, without `variance_` before it.
        data_dir: folder of prepared datasets.
        received: the name as the user wrote it, where it differs.
    """
    import tensorflow_datasets as tfds  # half a second, which only its names need; it does not import TensorFlow

    listed = tfds.list_builders(with_community_datasets=False)  # those would ask the network
    known = {*listed, *_folders(data_dir)}
    base, rest = re.match(r"([^/:]*)(.*)", name, re.DOTALL).groups()
    if base in known and re.fullmatch(FORM, name):
        return
    received = received or name
    meant = [*_paths_meant(received), *_names_meant(received.removesuffix(rest), rest, known)]
    hint = f"did you mean {' or '.join(meant)}? Expected" if meant else "expected"
    more = "" if meant else f"; TensorFlow Datasets has {len(listed)} names, such as mnist, cifar10, emnist/letters or mnist:3.0.1"
    raise InputError(f"dataset: received {shortened(received)}; {hint} {DATASET}{more}.")


def _folders(data_dir):
    """Return the names of the prepared datasets in a folder."""
    try:
        return {entry.name for entry in os.scandir(data_dir) if entry.is_dir()} - {"downloads"}
    except OSError:
        return set()


def _paths_meant(received):
    """Return the form of `dataset` for a folder or a file of arrays that was given without its prefix."""
    path = os.path.expanduser(received)
    if os.path.isdir(path):
        return [f"folder:{received}"]
    return [f"arrays:{received}"] if path.endswith(".npz") and os.path.isfile(path) else []


def _names_meant(base, rest, known):
    """Return the nearest name, if any is near: MNIST is mnist, cifar-10 is cifar10, svhn is svhn_cropped."""
    names = sorted(known) if rest else [*SHIPPED, *sorted(known)]
    names = {_letters(name): name for name in [*(VARIANCE + name for name in names), *names]}
    letters = _letters(base)
    longer = (name for name in names if len(letters) >= 3 and name.startswith(letters))
    near = names.get(nearest(letters, names) or next(longer, None))
    return [near + rest if re.fullmatch(FORM, near + rest) else near] if near else []


def _letters(name):
    """Return a name's letters and digits alone, in lower case."""
    return re.sub(r"[\W_]", "", name).lower()
