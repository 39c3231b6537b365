"""The examples of docs/extending.md: every section is copied into a clone, block by block, and its commands are run."""

import os
import re
import shlex
import shutil
import subprocess
import sys

import documents
import pytest
from conftest import ROOT

SECTIONS = re.split(r"^## ", (ROOT / "docs/extending.md").read_text(), flags=re.M)[1:]
PLACE = re.compile(r"# (\S+), (above|below|in place of|new file) ?(.*)\n")


def put(folder, path, where, line, text):
    """Put an example into a file: above, below or in place of the first line that starts with `line`, or as a new file."""
    if where == "new file":
        (folder / path).write_text(text)
        return
    lines = (folder / path).read_text().splitlines(keepends=True)
    index = next(i for i, each in enumerate(lines) if each.lstrip().startswith(line))
    before, after = {"above": (index, index), "below": (index + 1, index + 1), "in place of": (index, index + 1)}[where]
    (folder / path).write_text("".join([*lines[:before], text, *lines[after:]]))


def run(folder, command):
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    finished = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert finished.returncode == 0, f"{command}\n{finished.stdout}\n{finished.stderr}"


@pytest.mark.slow
@pytest.mark.parametrize("section", [each for each in SECTIONS if documents.blocks(each)], ids=lambda text: text.splitlines()[0])
def test_the_examples_work(section, tmp_path):
    for name in ("tfdvae", *(path.name for path in ROOT.glob("*.py"))):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    for block in documents.blocks(section):
        language, text = block.language, block.text
        place = PLACE.match(text)
        if place:
            put(tmp_path, *place.groups(), text[place.end() :])
        elif language:
            run(tmp_path, [sys.executable, "-c", text])
        else:
            for command in text.splitlines():
                run(tmp_path, [sys.executable, *shlex.split(command)[1:]])


def test_every_section_with_an_edit_ends_with_a_command():
    edited = [each for each in SECTIONS if any(PLACE.match(block.text) for block in documents.blocks(each))]
    assert len(edited) >= 6
    assert all(block.text.startswith("python ") for each in edited for block in documents.blocks(each)[-1:])
