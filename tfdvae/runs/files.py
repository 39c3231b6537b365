"""Files that survive what machines do: written whole or not at all, read within bounds, checked against a digest of themselves."""

import contextlib
import hashlib
import io
import json
import os
import pathlib
import stat
import zipfile

import numpy as np
import safetensors
import safetensors.numpy

from ..errors import InputError, printable, reason

TEMPORARY = ".{name}.{pid}.tmp"  # beside the file that it will become
PACKED_LIMIT = 2**30  # bytes of an .npz file, packed and unpacked; a million images and ten terms take 40 million


class Damaged(ValueError):
    """A file differs from the file that was written. The message says how."""


class Unexpected(ValueError):
    """A file is whole, but has other content than expected. The message names it."""


def expanded(path):
    """Return a path with `~` replaced by the home folder; an unknown user's stays as it is."""
    return pathlib.Path(os.path.expanduser(path))


def check_writable(folder, name):
    """Raise InputError where a folder, or the nearest one above it that exists, is not a folder that can be written.

    Args:
        folder: path.
        name: of the parameter that it came from.
    """
    try:
        os.stat(folder)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:
        received = printable(folder)
        raise InputError(f"{name}: received {received}, which cannot be a folder here ({reason(error)}); choose another.") from None
    absolute = pathlib.Path(folder).absolute()
    nearest = next(path for path in (absolute, *absolute.parents) if os.path.lexists(path))
    if not nearest.is_dir():
        raise InputError(f"{name}: received {folder}; expected a folder, but {nearest} is a file; choose another.")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(f"{name}: received {folder}; expected a folder that can be written, but {nearest} is read-only; choose another.")


def write(path, content, keep=None):
    """Write text or bytes so that a reader, or a machine that lost its power, sees the old file or the new one, never half of it.

    Args:
        path: the file.
        content: text or bytes.
        keep: where the old file is moved, once the new one is complete; None lets it go.

    Raises:
        OSError: it cannot be written; the old file is as it was, or where it is kept, and nothing else is left.
    """
    temporary = path.with_name(TEMPORARY.format(name=path.name, pid=os.getpid()))
    temporary.unlink(missing_ok=True)
    try:
        with open(temporary, "xb") as file:  # never through a link that somebody has put there
            file.write(content.encode(errors="backslashreplace") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        if keep is not None:
            with contextlib.suppress(FileNotFoundError):
                os.replace(path, keep)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder):
    """Have the names in a folder outlast a power cut, where the system can do it."""
    with contextlib.suppress(OSError):  # Windows and some network drives cannot
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_temporaries(folder):
    """Remove what interrupted writes have left in a folder."""
    for path in folder.glob(TEMPORARY.format(name="*", pid="*")):
        path.unlink(missing_ok=True)


def read(path, limit):
    """Return the bytes of a plain file of at most `limit` bytes.

    Raises:
        FileNotFoundError, OSError: there is none, or it cannot be read.
        Damaged: it is something else or larger, and was not read.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise Damaged("it is not a regular file")
    if status.st_size > limit:
        raise Damaged(f"it has {status.st_size:,} bytes, and {limit:,} are the most that it could have")
    return path.read_bytes()


def sealed(values):
    """Return JSON text of a dict, with a digest of the rest under "sha256"."""
    return json.dumps({**values, "sha256": _digest_of(values)}, indent=2, allow_nan=False)


def unsealed(content):
    """Return the dict of bytes that `sealed` made.

    Raises:
        Damaged: it is not such a file, or differs from its digest.
    """
    try:
        values = json.loads(content)
        if not isinstance(values, dict):
            raise Damaged("it is not a JSON object")
        digest = values.pop("sha256", None)
        if digest != _digest_of(values):
            raise Damaged("its content differs from its checksum")
    except Damaged:
        raise
    except (ValueError, RecursionError) as error:
        raise Damaged(f"it is not JSON ({type(error).__name__})") from None
    return values


def _digest_of(values):
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def packed_tensors(arrays, metadata):
    """Return named arrays and text metadata as the bytes of a safetensors file, with a digest of each."""
    digests = {"sha256": _digest_of_tensors(arrays), "metadata_sha256": _digest_of(metadata)}
    return safetensors.numpy.save(arrays, {**metadata, **digests})


def tensor_metadata(path):
    """Return the metadata of a file of `packed_tensors`, without reading its arrays; their digest is under "sha256".

    Raises:
        FileNotFoundError: there is no such file.
        Damaged: it is another kind of file, or its metadata differ from their digest.
    """
    with _opened_tensors(path) as file:
        return _checked_metadata(file)


def unpacked_tensors(path, expected=None, prefix=""):
    """Return what a file of `packed_tensors` holds: the arrays, all of them finite, and the metadata.

    Args:
        path: of the file.
        expected: name -> variable, or anything with a shape: the names and shapes that the file must have, compared before it is read.
        prefix: of the names that are compared, where the file holds others too.

    Raises:
        FileNotFoundError: there is no such file.
        Unexpected: it holds other names or shapes than those expected.
        Damaged: it is another kind of file, or differs from its digests.
    """
    with _opened_tensors(path) as file:
        metadata = _checked_metadata(file)
        names = list(file.keys())  # it cannot be iterated itself
        if expected is not None:
            _compare({name: tuple(file.get_slice(name).get_shape()) for name in names if name.startswith(prefix)}, expected)
        arrays = {name: file.get_tensor(name) for name in names}
        if metadata.pop("sha256", None) != _digest_of_tensors(arrays):
            raise Damaged("its content differs from its checksum")
        for name, array in arrays.items():
            if not np.all(np.isfinite(array)):
                raise Damaged(f"{name} has values that are not finite")
        return arrays, metadata


@contextlib.contextmanager
def _opened_tensors(path):
    """Open a safetensors file, turning every failure into Damaged."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise Damaged("it is not a regular file")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            yield file
    except (Damaged, Unexpected):
        raise
    except Exception as error:  # safetensors raises its own kinds for truncated and malformed files
        raise Damaged(reason(error)) from None


def _checked_metadata(file):
    metadata = dict(file.metadata() or {})
    digest = metadata.pop("metadata_sha256", None)
    if digest != _digest_of({name: text for name, text in metadata.items() if name != "sha256"}):
        raise Damaged("its metadata differ from their checksum")
    return metadata


def _compare(shapes, expected):
    if set(shapes) != set(expected):
        raise Unexpected("it holds the weights of another model")
    for name, shape in shapes.items():
        if shape != tuple(expected[name].shape):
            raise Unexpected(f"it has {name} of shape {shape}; expected {tuple(expected[name].shape)}")


def _digest_of_tensors(arrays):
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(json.dumps([name, str(arrays[name].dtype), arrays[name].shape]).encode())
        digest.update(np.ascontiguousarray(arrays[name]))
    return digest.hexdigest()


def packed(arrays):
    """Return named arrays as the bytes of a compressed .npz file."""
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()


def unpacked(content):
    """Return the named arrays of the bytes of an .npz file.

    Raises:
        Damaged: it is not such a file, or holds anything but one-dimensional arrays of plain numbers, or more than `PACKED_LIMIT` of
            them. Sizes are checked before memory is taken.
    """
    arrays = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > PACKED_LIMIT:
                raise Damaged("its arrays are larger than per-image values could be")
            for entry in archive.infolist():
                with archive.open(entry) as file:
                    version = np.lib.format.read_magic(file)
                    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                    shape, _, dtype = read_header(file)
                if len(shape) != 1 or dtype.kind not in "iufb" or shape[0] * dtype.itemsize > entry.file_size:
                    raise Damaged(f"{entry.filename} is no array of per-image numbers")
                with archive.open(entry) as file:
                    arrays[entry.filename.removesuffix(".npy")] = np.lib.format.read_array(file, allow_pickle=False)
    except Damaged:
        raise
    except Exception as error:  # zipfile, zlib and NumPy raise a dozen kinds for malformed files
        raise Damaged(f"it is no .npz file of plain arrays ({reason(error)})") from None
    return arrays
