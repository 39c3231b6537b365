"""The commands in a Markdown text: what they are, and whether the scripts would take them."""

import dataclasses
import re
import shlex

import documents
from conftest import ROOT

import compare
import evaluate
import params as parameters
import studies
import train
from tfdvae import rules
from tfdvae.cli import read_options
from tfdvae.errors import InputError

SCRIPTS = {"train.py": train.Options, "evaluate.py": evaluate.Options, "compare.py": compare.Options}
SHELLS = ("", "sh", "bash", "shell", "console")  # languages of blocks whose lines are commands
OTHERS = ("--logdir", "--check", "--help", "--version")  # options of TensorBoard and ruff, and of every script


def of_line(line):
    """Return the commands of one line, each a list of words, without its comment and without && between them."""
    line = line.strip().removeprefix("$ ")
    try:
        commands, words = [], shlex.split(line, comments=True)
    except ValueError:  # an odd quote: it is no command
        return [line.split()]
    while words:
        end = words.index("&&") if "&&" in words else len(words)
        commands.append(words[:end])
        words = words[end + 1 :]
    return commands


def of_block(block):
    """Return the commands of a block, in order."""
    return [command for line in re.sub(r"\\\n", " ", block.text).splitlines() for command in of_line(line)]


def of_text(text):
    """Return the commands of the scripts in a text, in its blocks and in its lines: (line, words)."""
    found = []
    for block in documents.blocks(text):
        if block.language in SHELLS:
            found += [(block.line, words) for words in of_block(block) if script_of(words)]
    rest = documents.blanked(documents.FENCE, text)
    for match in re.finditer(r"`(python \w+\.py[^`]*)`", rest):
        found += [(rest.count("\n", 0, match.start()) + 1, words) for words in of_line(" ".join(match[1].split())) if script_of(words)]
    return found


def script_of(words):
    """Return the script that a command calls, or None."""
    return words[1] if words[0].startswith("python") and len(words) > 1 and words[1] in SCRIPTS else None


def is_synopsis(words):
    """Return whether a command is no command but its form: [ ] around what may be left out, ... for more, $ for a variable."""
    return any(mark in word for word in words for mark in ("[", "...", "…", "$"))


def read(words):
    """Return the words without a name and the options of a script's command, as the script reads them; InputError where it refuses."""
    script, rest = script_of(words), words[2:]
    if {"--help", "--version"} & set(rest):
        return [], {}
    if script != "train.py":
        return read_options(SCRIPTS[script], rest, prog=script, description="")
    preset, given = train.parse(rest)
    overrides = {name: value for name, value in given.items() if name not in ("resume", "overwrite")}
    named = preset or train.preset_for(**overrides)
    rules.override(train.preset_of(named) if named else parameters.Params(), **overrides)
    return [preset], given


def refusal(words):
    """Return the sentence with which a script refuses a command, or None; in a synopsis its options are looked up alone."""
    script = script_of(words)
    if is_synopsis(words):
        unknown = [option for option in re.findall(r"--[a-z][\w-]*", " ".join(words)) if option not in options_of(SCRIPTS[script])]
        return f"no such options: {unknown}" if unknown else None
    try:
        leading, _ = read(words)
        if script == "compare.py" and leading and leading[0] not in (*studies.STUDIES, "NAME", "STUDY"):
            return f"no such study: {leading[0]}"
    except InputError as error:
        return str(error)


def options_of(kind):
    """Return the options of a script, from the dataclass of its options."""
    names = [field.name.replace("_", "-") for field in dataclasses.fields(kind)]
    switches = [field.name.replace("_", "-") for field in dataclasses.fields(kind) if field.type is bool and field.name in rules.RULES]
    return {f"--{name}" for name in names} | {f"--no-{name}" for name in switches}


def known_options():
    """Return every option that a page may name: of the scripts, of benchmarks/ and of tests/, and a few others."""
    sources = [*(ROOT / "benchmarks").glob("*.py"), *(ROOT / "tests").glob("*_*.py")]
    own = {option for path in sources for option in re.findall(r"add_argument\(\s*\"(--[\w-]+)\"", path.read_text(encoding="utf-8"))}
    return own.union(OTHERS, *map(options_of, SCRIPTS.values()))
