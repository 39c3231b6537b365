"""One process at a time in a folder."""

import contextlib
import os
import socket
import time

import filelock

from ..errors import InputError, printable
from . import files

LOCK, OWNER = ".lock", ".owner"


@contextlib.contextmanager
def locked(folder, new, is_used):
    """Make a folder and keep other processes from writing in it; a process that dies lets go of it.

    A folder that is not used at the end is left as it was found: one that was made here is removed again.

    Args:
        folder: path.
        new: whether the folder must not be there yet.
        is_used: function that returns whether the folder has something to keep.

    Raises:
        FileExistsError: it is there, although it must not be.
        InputError: another process writes in it, or it cannot be made.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=not new)
        lock = filelock.FileLock(folder / LOCK)
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise InputError(
            f"run_dir: {folder} is being written by {owner(folder)}; wait for it, stop it, or choose another folder with --run-dir."
        ) from None
    except OSError as error:
        if new and isinstance(error, FileExistsError):
            raise
        raise InputError(f"run_dir: {folder} cannot be written ({error.strerror}); choose another with --run-dir.") from None
    except BaseException:  # a signal came
        if folder in made:
            (folder / LOCK).unlink(missing_ok=True)
        remove_empty(made)
        raise
    try:
        with contextlib.suppress(OSError):
            since = time.strftime("%Y-%m-%d %H:%M:%S")
            files.write(folder / OWNER, f"process {os.getpid()} on {socket.gethostname()}, since {since}")
        yield
    finally:
        with contextlib.suppress(OSError):  # the folder may be gone, or another thing in its place
            (folder / OWNER).unlink(missing_ok=True)
            if not is_used():
                (folder / LOCK).unlink(missing_ok=True)
        lock.release()
        remove_empty(made)


def remove_empty(folders):
    """Remove folders, each the parent of the one before, as far as they are empty."""
    for path in folders:
        with contextlib.suppress(OSError):  # not empty, or gone
            path.rmdir()


def owner(folder):
    """Return which process holds a folder, as far as it is known."""
    try:
        return printable(files.read(folder / OWNER, 1000).decode())
    except (OSError, ValueError):
        return "another process"
