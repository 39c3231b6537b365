"""The files of the checkout: which they are, and a copy of them that a test may change."""

import shutil
import subprocess

from conftest import ROOT


def files(*patterns):
    """Return the checkout's files, tracked or not yet, that .gitignore does not exclude; with patterns, as of `git ls-files`."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *patterns]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return sorted({ROOT / name for name in names if name and (ROOT / name).is_file()})


def copy(destination, left_out=()):
    """Copy the checkout's files into a new folder, without the folders of these names at its top; return the new folder."""
    for path in files():
        inside = path.relative_to(ROOT)
        if inside.parts[0] not in left_out:
            (destination / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, destination / inside)
    return destination
