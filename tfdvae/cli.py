"""The command line of a script: options from a dataclass, and the exit status."""

import contextlib
import dataclasses
import inspect
import io
import os
import re
import shutil
import sys
from typing import Annotated, get_origin

import tyro

from . import rules
from .errors import Fault, InputError, nearest, printable
from .interrupts import Interrupted, Interrupts
from .version import __version__


def exit_status(name, work, kept=None):
    """Call a script's work and return its exit status: 2 for an `InputError`, 1 for a `Fault`, 128 + n for signal n.

    Args:
        name: of the script, printed before each sentence.
        work: function of `Interrupts`.
        kept: sentence about the files that an interrupted script keeps; None takes the sentence of the interruption.
    """
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed by the caller, as by `>&-`
            setattr(sys, stream, open(os.devnull, "w"))  # noqa: SIM115, for the whole process
        elif hasattr(getattr(sys, stream), "reconfigure"):
            # − or ± may be in no encoding; a line that says what happens now must come at once, into a file and a pipe, too
            getattr(sys, stream).reconfigure(errors="backslashreplace", line_buffering=True)
    interrupts = Interrupts()
    try:
        with interrupts.handled():
            work(interrupts)
        sys.stdout.flush()
    except (InputError, Fault) as error:
        sentence = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in str(error))
        print(f"{name}: {sentence}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    except BrokenPipeError:  # the reader of our output has ended, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # before any work has begun, as in a folder that has been deleted
        print(f"{name}: {error.filename or 'a file or folder'} cannot be written or read ({error.strerror or error})", file=sys.stderr)
        return 1
    except Interrupted as interrupted:
        print(f"\n{name}: stopped by {interrupted.what}. {kept or interrupted.kept}", file=sys.stderr)
        return interrupted.exit_status
    return 0


def read_options(kind, words, *, prog, description, defaults=None):
    """Read a command line: words without a name first, then options, which are the fields of a dataclass.

    Args:
        kind: the dataclass. The comments above its fields are the help, and `# ---- HEADING` comments group it.
        words: of the command line.
        prog: name of the script, and of the words that may stand before the options, such as "train.py [PRESET]".
        description: for --help.
        defaults: an instance whose values --help shows; None takes the dataclass's own.

    Returns:
        The words before the first option (list), and the options that were given (dict name -> value).

    Raises:
        InputError: an unknown option, or a value that is missing or of the wrong type. --help and --version print and exit.
    """
    if "--version" in words:
        print(f"tfdvae {__version__}")
        sys.exit(0)
    parser = _Parser(kind, defaults or kind(), prog, description)
    if {"-h", "--help"} & set(words):
        parser.read(["--help"])
    start = next((i for i, word in enumerate(words) if word.startswith("-")), len(words))
    leading, words = list(words[:start]), list(words[start:])
    options = _options_in(words)
    names = [parser.name_of(option[0]) for option in options]
    for name in names:
        if names.count(name) > 1 and get_origin(parser.fields[name].type) is tuple:  # of single values the last counts, as usual
            raise InputError(f"{name}: received {names.count(name)} times; expected once; give all its values there.")
    try:
        values, unread = parser.read(words)
    except SystemExit:
        for name, option in zip(names, options):
            parser.check(name, option)
        raise InputError("the command line cannot be read; see --help for what is expected.") from None
    if unread:
        after = next((option[0].partition("=")[0] for option in options if unread[0] in (*option, option[0].partition("=")[2])), "")
        raise InputError(
            f"{printable(unread[0])}: not understood after {after}; expected {prog}, then options that begin with --; see --help."
        )
    return leading, {name: values[name] for name in names}


def _options_in(words):
    """Return the options among the words of a command line, each a list: its name and the words up to the next one."""
    options = []
    for word in words:
        if word.startswith("--") or not options:
            options.append([])
        options[-1].append(word)
    return options


class _Parser:
    """tyro, on the fields of a dataclass, grouped as its source is."""

    def __init__(self, kind, defaults, prog, description):
        self.about = {"prog": prog, "description": description, "config": (tyro.conf.OmitArgPrefixes,)}
        self.fields = {field.name: field for field in dataclasses.fields(kind)}
        groups = {}
        for name, (heading, comment) in _described(kind).items():
            type_ = self.fields[name].type
            if type_ is bool and name not in rules.RULES:  # off unless it is given, so there is no --no-NAME
                type_ = tyro.conf.FlagCreatePairsOff[bool]
            annotated = Annotated[type_, tyro.conf.arg(help=comment)]
            groups.setdefault(heading.replace(" ", "_"), []).append((name, annotated, dataclasses.field(default=getattr(defaults, name))))
        made = {heading: dataclasses.make_dataclass(heading, fields, frozen=True) for heading, fields in groups.items()}
        self.kind = dataclasses.make_dataclass(
            "Options", [(heading, group, dataclasses.field(default=group())) for heading, group in made.items()], frozen=True
        )

    def read(self, words):
        """Return the values of all fields (dict) and the words that belong to none; SystemExit where tyro refuses, and after --help."""
        if shutil.get_terminal_size().columns < 20:  # tyro does not end where a word finds no room
            os.environ["COLUMNS"] = "20"
        with contextlib.redirect_stderr(io.StringIO()):  # tyro draws a box around its complaints
            options, unread = tyro.cli(self.kind, args=words, return_unknown_args=True, **self.about)
        return {name: value for group in vars(options).values() for name, value in vars(group).items()}, unread

    def name_of(self, word):
        """Return the name of the field that an option sets, or raise InputError with the nearest option."""
        name = word.partition("=")[0].removeprefix("--").replace("-", "_")
        if word.startswith("--") and name in self.fields:
            return name
        switches = [known for known, field in self.fields.items() if field.type is bool and known in rules.RULES]
        if word.startswith("--no") and name.removeprefix("no_") in switches:
            return name.removeprefix("no_")
        names = [*self.fields, *(f"no_{known}" for known in switches)]
        flags = ["--" + known.replace("_", "-") for known in names]
        near = nearest(word.partition("=")[0], flags)
        hint = f"did you mean {near}? Expected" if near else "expected"
        raise InputError(f"{printable(word)}: no such option; {hint} one of those that --help lists.")

    def check(self, name, option):
        """Raise InputError where an option by itself cannot be read."""
        try:
            self.read(option)
        except SystemExit:
            _, equals, value = option[0].partition("=")
            received = " ".join([value] * bool(equals) + option[1:])
            received = repr(printable(received)) if received else "nothing"
            raise InputError(f"{name}: received {received}; expected {_expected(self.fields[name])}.") from None


def _expected(field):
    """Return the values that an option takes, in words."""
    if field.name in rules.RULES:
        rule = rules.RULES[field.name]
        return (rule.expected or rule.kind) + (", with spaces between them" if "numbers" in rule.kind else "")
    return {str: "a text", int: "a whole number", float: "a number"}.get(field.type, "words with spaces between them")


def _described(kind):
    """Return name -> (heading, comment) of a dataclass's fields, from its source."""
    described, heading, comment = {}, kind.__name__.lower(), []
    source = "".join(inspect.getsource(base) for base in reversed(kind.__mro__) if dataclasses.is_dataclass(base))
    for line in map(str.strip, source.splitlines()):
        if line.startswith("# ---- "):
            heading = line.removeprefix("# ---- ")
        elif line.startswith("#"):
            comment.append(line.removeprefix("#").strip())
        elif match := re.match(r"(\w+): ", line):
            described[match[1]] = heading, " ".join(comment)
            comment = []
    return described
