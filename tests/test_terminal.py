"""Lines for a terminal: commands, times, names of files, and the line that is written over."""

import os
import pathlib
import pty
import shlex
import subprocess
import sys

import pytest
from conftest import ROOT

from tfdvae import terminal


def folders(tmp_path):
    """Return folders that the scripts can be started from."""
    spaced = tmp_path / "my runs" / "of today"
    spaced.mkdir(parents=True)
    return [ROOT, ROOT / "tests", tmp_path, spaced]


def test_a_command_works_as_printed_in_the_folder_where_it_was_printed(tmp_path, monkeypatch):
    environment = os.environ | {"PATH": f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": ""}
    for folder in folders(tmp_path):
        monkeypatch.chdir(folder)
        line = terminal.command("train.py", "--version")
        done = subprocess.run(line, shell=True, capture_output=True, text=True, env=environment)
        assert done.stdout.startswith("tfdvae "), (line, done.stderr)


def test_a_command_has_the_shorter_path_and_quotes_its_words(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert terminal.command("train.py", "mnist") == "python train.py mnist"
    monkeypatch.chdir(ROOT / "tests")
    assert terminal.command("train.py") == "python ../train.py"
    clone = tmp_path / "a clone"
    clone.mkdir()
    (clone / "evaluate.py").touch()
    monkeypatch.setattr(terminal, "SCRIPTS", clone)
    (tmp_path / "x" / "y" / "z").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "x")
    assert terminal.command("evaluate.py", "runs/it's") == "python '../a clone/evaluate.py' 'runs/it'\"'\"'s'"
    monkeypatch.chdir("/")
    assert terminal.command("evaluate.py") == shlex.join(["python", str(clone / "evaluate.py")[1:]])
    assert terminal.command("train.py") == "python train.py"  # as beside an installed wheel
    assert terminal.command("train.py", "--run-dir", pathlib.Path("-x")) == "python train.py --run-dir ./-x"


def test_a_command_where_the_present_folder_is_gone(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert terminal.command("train.py") == shlex.join(["python", str(ROOT / "train.py")])
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize(
    "seconds, decimals, text",
    [
        (0, 0, "0 s"),
        (3.14, 1, "3.1 s"),
        (59.4, 0, "59 s"),
        (59.6, 0, "1:00"),
        (59.96, 1, "1:00"),
        (754, 0, "12:34"),
        (3600, 0, "1:00:00"),
        (86399, 0, "23:59:59"),
        (86400 * 12 + 3 * 3600, 0, "12 d 03 h"),
        (86400 * 100, 0, "100 d"),
        (86400 * 1e9, 0, "> 10^6 d"),
    ],
)
def test_durations(seconds, decimals, text):
    assert terminal.duration(seconds, decimals) == text and len(text) <= 9


def test_files_that_were_written_are_named_in_short_lines():
    names = [f"picture{i}.png" for i in range(30)]
    lines = terminal.written("a folder", names).splitlines()
    assert lines[0] == "Written in a folder:" and max(map(len, lines)) <= 100
    assert "".join(lines[1:]).replace(",", "").split() == names


def test_names_come_at_once_and_end_with_a_line(capsys):
    names, out = [f"picture{i}.png" for i in range(30)], ""
    with terminal.names_as_they_come() as show:
        for name in names:
            show(name)
            new = capsys.readouterr().out
            assert new.endswith(name)
            out += new
    out += capsys.readouterr().out
    assert out.endswith("picture29.png\n") and out.split() == names and max(map(len, out.splitlines())) <= 100
    with terminal.names_as_they_come():
        pass
    assert capsys.readouterr().out == ""


def in_a_terminal(code, columns=80):
    """Return what a program writes to a terminal of its own."""
    main, other = pty.openpty()
    environment = os.environ | {"COLUMNS": str(columns), "TERM": "xterm"}
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=other, stderr=subprocess.PIPE, env=environment)
    os.close(other)
    written = b""
    while True:
        try:
            part = os.read(main, 65536)
        except OSError:  # Linux, at the end
            break
        if not part:
            break
        written += part
    os.close(main)
    assert process.wait() == 0, process.stderr.read()
    return written.decode()


def screen(written):
    """Return the lines that a terminal shows in the end."""
    lines, column = [""], 0
    for character in written.replace("\r\n", "\n"):
        if character == "\n":
            lines.append("")
            column = 0
        elif character == "\r":
            column = 0
        else:
            lines[-1] = lines[-1][:column].ljust(column) + character + lines[-1][column + 1 :]
            column += 1
    return [line.rstrip() for line in lines]


STATUS = """
from tfdvae.terminal import StatusLine
with StatusLine() as status:
    status.show("a long text " * 20)
    status.show("short")
    status.remove()
    print("a line")
    status.show("interrupted")
print("the end")
"""


def test_the_status_line_is_removed_and_lines_stay():
    written = in_a_terminal(STATUS, columns=40)
    assert "\ra long text" in written and "\rshort" in written and "\rinterrupted" in written
    assert screen(written) == ["a line", "the end", ""]
    assert max(map(len, written.replace("\n", "\r").split("\r"))) < 40


def test_no_terminal_has_no_status_line():
    done = subprocess.run([sys.executable, "-c", STATUS], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "a line\nthe end\n"
