"""Lines for a terminal: commands to type, names of files, times, and one line that is written over."""

import contextlib
import os
import pathlib
import shlex
import shutil
import sys
import textwrap

WIDTH = 100  # columns
SCRIPTS = pathlib.Path(__file__).resolve().parent.parent


def command(script, *words):
    """Return a command as it must be typed in the present folder, such as "python ../tfdvae/train.py mnist".

    The scripts stand beside the package. Where they do not, as beside an installed wheel, the command has the script's bare name.

    Args:
        script: "train.py", "evaluate.py" or "compare.py".
        words: arguments of the script; one that is a path, or a run, is never taken for an option.
    """
    words = [f"./{word}" if hasattr(word, "__fspath__") and str(word).startswith("-") else str(word) for word in words]
    return shlex.join(["python", _path_of(SCRIPTS / script), *words])


def _path_of(path):
    """Return the shorter path to a script, relative or absolute; its bare name where it does not exist."""
    if not path.is_file():
        return path.name
    try:
        return min(os.path.relpath(path), str(path), key=len)
    except (OSError, ValueError):  # the present folder was deleted, or is on another drive of Windows
        return str(path)


def filled(text, indent="", hanging=None):
    """Return a text in lines of at most `WIDTH` columns. A longer word, such as a path, stays whole.

    Args:
        indent: before every line.
        hanging: before every line but the first, in place of `indent`.
    """
    later = indent if hanging is None else hanging
    return textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=later, break_long_words=False, break_on_hyphens=False)


def written(folder, names):
    """Return lines that name the files that were written: the folder, then the names."""
    return f"{filled(f'Written in {folder}:')}\n{filled(', '.join(names), '  ')}"


@contextlib.contextmanager
def names_as_they_come():
    """Give a function that prints a name at once, behind the names before, in lines of at most `WIDTH` columns; end the line at last."""
    column = 0

    def show(name):
        nonlocal column
        if column and column + 1 + len(name) > WIDTH:
            print()
            column = 0
        text = f" {name}" if column else f"  {name}"
        print(text, end="", flush=True)
        column += len(text)

    try:
        yield show
    finally:
        if column:
            print(flush=True)


def duration(seconds, decimals=0):
    """Return a time of at most 9 characters: "35 s", "12:05", "3:12:05" or "12 d 03 h"."""
    if round(seconds, decimals) < 60:
        return f"{seconds:.{decimals}f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours_of_day = divmod(hours, 24)
    if days >= 100:
        return f"{days} d" if days < 10**6 else "> 10^6 d"
    if days:
        return f"{days} d {hours_of_day:02} h"
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class StatusLine:
    """The last line of a terminal, written over again and again; the end of a `with` block removes it. It needs a terminal."""

    def __init__(self):
        self.live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self.length = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()

    def show(self, text):
        """Write a text over the one before; nothing where standard output is no terminal."""
        if self.live:
            text = text[: min(WIDTH, shutil.get_terminal_size().columns - 1)]
            print(f"\r{text.ljust(self.length)}", end="", flush=True)
            self.length = len(text)

    def remove(self):
        """Remove the text; what is printed next takes its line."""
        if self.length:
            print(f"\r{' ' * self.length}\r", end="", flush=True)
            self.length = 0
