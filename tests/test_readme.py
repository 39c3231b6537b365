"""What README and docs/ say, held against the code: README's commands and Python run in a copy of the checkout, and all options exist.

In the copy every preset trains for one epoch, so that a command is run as it stands and makes the run folder that README names. This is
done with the commands in README's blocks, in their order:

    train.py        as it stands; an --epochs above 2 is 2. Where a dataset would be downloaded, the command is read, but not run
    folder:, arrays:    small images are made where the command looks for them
    evaluate.py     as it stands, but read and not run where a run was not trained; RUN is the run that was trained last
    compare.py      with --report-only, on the study's committed results, which are copied first where --results names another folder
    open            the file is there
    [ ] and ...     a synopsis: its options are looked up
    NOT_RUN         not run, for the reason that stands there; no other command may stand in README
    Python          as it stands, with `images` and `labels` of the run that it loads, and with the image files that it names; epochs are 1
"""

import json
import os
import re
import shutil
import subprocess
import sys

import checkout
import commands
import documents
import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

import params as parameters
import studies
from tfdvae import rules

README = (ROOT / "README.md").read_text(encoding="utf-8")
INSTALLED = "the environment of the tests takes its place; .ci/run installs as README says"
NOT_RUN = {  # how a command begins -> why it is not run
    "pip install": INSTALLED,
    "python -m pip": INSTALLED,
    "python -m venv": INSTALLED,
    ".": INSTALLED,
}
NO_CODE = {"text": "a layout, or what a program prints", "bibtex": "a citation"}  # language -> why such blocks are not run
PAGES = [path.relative_to(ROOT).as_posix() for path in checkout.files("README.md", "CONTRIBUTING.md", "docs/*.md", "results/README.md")]
CHANGED = ("docs/extending.md",)  # its commands are for code that has the changes of that page; test_extending.py makes them and runs all
OFFLINE = ("mnist_5k", "digits", *rules.OWN_IMAGES)


def blocks():
    """Return README's blocks that are run."""
    return [block for block in documents.blocks(README) if block.language not in NO_CODE]


def reason_not_to_run(words):
    """Return why a command is not run, or None."""
    line = " ".join(words)
    return next((why for start, why in NOT_RUN.items() if line.startswith(f"{start} ")), None)


def is_known(words):
    return bool(reason_not_to_run(words) or commands.script_of(words) or words[0] in ("open", "xdg-open"))


class Copy:
    """A copy of the checkout in which README is followed.

    Args:
        folder: a new one.
    """

    def __init__(self, folder):
        self.root, self.home = checkout.copy(folder / "clone"), folder / "home"
        self.home.mkdir()
        self.last_run, self.not_trained, self.renamed = None, [], {}
        self.environment = os.environ | {"PYTHONPATH": str(self.root), "HOME": str(self.home), "MPLBACKEND": "Agg"}
        path = self.root / "params.py"
        text, count = re.subn(r"\bepochs(: int = |=)\d+", r"epochs\g<1>1", path.read_text(encoding="utf-8"))
        path.write_text(text, encoding="utf-8")
        with open(self.root / "tfdvae" / "training" / "defaults.py", "a", encoding="utf-8") as file:
            file.write("\n\ndef _epochs(*_):\n    return 1\n")
        code = "import params; assert {preset.epochs for preset in (params.Params(), *params.PRESETS.values())} == {1}"
        self.call([sys.executable, "-c", code])
        assert count > 10

    def call(self, command, **options):
        """Run a command in the copy, and return what it prints."""
        done = subprocess.run(command, cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=600, **options)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-1000:]}\n{done.stderr[-2000:]}"
        return done.stdout

    def follow(self, words):
        """Do what the rules above say about a command."""
        for said, made in self.renamed.items():
            words = [word.replace(said, made) for word in words]
        if reason_not_to_run(words) or commands.is_synopsis(words):
            return
        if words[0] in ("open", "xdg-open"):
            assert all((self.root / word).exists() for word in words[1:]), f"nothing to open: {words[1:]}"
            return
        script = commands.script_of(words)
        assert script, f"no rule says how to treat {' '.join(words)}; add one to {__file__}"
        words = [str(self.last_run) if word == "RUN" else word for word in words]
        leading, given = commands.read(words)
        if {"--help", "--version"} & set(words):
            assert self.python(words).strip()
        else:
            {"train.py": self.train, "evaluate.py": self.evaluate, "compare.py": self.compare}[script](words, leading, given)

    def python(self, words):
        return self.call([sys.executable, *words[1:]])

    def train(self, words, leading, given):
        preset = leading[0] or parameters.DEFAULT_PRESET
        dataset = given.get("dataset", parameters.PRESETS[preset].dataset)
        if not given.get("resume") and not dataset.removeprefix(rules.VARIANCE).startswith(OFFLINE):
            self.not_trained.append(given.get("run_dir") or f"runs/{leading[0] or dataset}-")
            return
        self.make_images(dataset)
        if given.get("epochs", 0) > 2:
            self.renamed[f"epochs{given['epochs']}"] = "epochs2"
            words = [*words, "--epochs", "2"]  # the last one counts
        before = self.runs()
        self.python(words)
        made = self.runs() - before
        assert len(made) == (0 if given.get("resume") else 1), f"{' '.join(words)} made {made}"
        self.last_run = next(iter(made), self.last_run)

    def evaluate(self, words, leading, given):
        runs = given.get("checkpoint", leading)
        if any(run.startswith(tuple(self.not_trained)) for run in (*runs, given.get("classifier", ""))):
            return
        printed = self.python(words)
        for run in runs:
            assert (self.root / run / "metrics.json").is_file() and "|" in printed

    def compare(self, words, leading, given):
        name, results = (leading or [studies.DEFAULT_STUDY])[0], given.get("results", "results")
        committed = self.root / "results" / name
        assert (committed / "runs").is_dir(), f"the study {name} has no committed results"
        if self.root / results != self.root / "results":
            shutil.copytree(committed, self.root / results / name)
        self.python([*words, *["--report-only"] * ("report_only" not in given)])
        assert (self.root / results / name / "report.html").is_file()

    def runs(self):
        """Return the folders of the runs that were trained here."""
        found = {path.parent.relative_to(self.root) for path in self.root.rglob("run.json")}
        return {path for path in found if path.parts[0] not in ("tests", "results")}

    def make_images(self, dataset):
        """Make small images where a folder or an array is looked for and nothing is there."""
        kind, _, place = dataset.partition(":")
        path = self.root / place.replace("~", str(self.home), 1)
        if not place or path.exists():
            return
        rng = np.random.default_rng(0)
        if kind == "arrays":
            np.savez(path, images=rng.integers(0, 256, (80, 16, 16), np.uint8), labels=np.arange(80) % 2)
            return
        for i in range(80):
            (path / f"class{i % 2}").mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (24, 20, 3), np.uint8)).save(path / f"class{i % 2}" / f"{i}.png")

    def run_python(self, code):
        """Do what the rules above say about a block of Python."""
        code = re.sub(r"\bepochs=\d+", "epochs=1", code)
        for said, made in self.renamed.items():
            code = code.replace(said, made)
        for name in re.findall(r"[\"']([^\"':]+\.(?:png|jpe?g|webp|tiff?))[\"']", code):
            path = self.root / name.replace("~", str(self.home), 1)
            if not name.startswith("runs/") and not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.linear_gradient("L").resize((30, 20)).save(path)
        for dataset in re.findall(r"[\"']((?:folder|arrays):[^\"']+)[\"']", code):
            self.make_images(dataset)
        run = next(iter(re.findall(r"[\"'](runs/[\w.-]+)", code)), str(self.last_run))
        params_dict = json.loads((self.root / run / "run.json").read_text())["params"]
        names = ("image_size", "resize", "background", "pixel_range")
        arguments = {"name": params_dict["dataset"]} | {name: params_dict[name] for name in names}
        given = f"import tfdvae\nimages, labels = (array.numpy() for array in next(iter(tfdvae.load_dataset(**{arguments!r}).test(64))))\n"
        self.call([sys.executable, "-c", given + "del tfdvae\n" + code])


@pytest.mark.slow
def test_readme_can_be_followed(tmp_path):
    copy, failed = Copy(tmp_path), []
    for block in blocks():
        steps = (
            [(copy.run_python, block.text)] if block.language == "python" else [(copy.follow, words) for words in commands.of_block(block)]
        )
        for step, what in steps:
            try:
                step(what)
            except Exception as error:
                failed.append(f"README, block of line {block.line}: {error}")
    assert not failed, "\n\n".join(failed)
    assert copy.last_run, "README trains nothing"


def test_every_block_of_readme_is_run_or_has_a_reason_not_to_be():
    unknown = []
    for block in blocks():
        if block.language == "python":
            compile(block.text, f"README, line {block.line}", "exec")
        else:
            assert block.language in commands.SHELLS, f"line {block.line}: no rule for a block of {block.language}"
            unknown += [f"line {block.line}: {' '.join(words)}" for words in commands.of_block(block) if not is_known(words)]
    assert unknown == [], f"no rule says how to treat them; add one to {__file__}"


def test_no_reason_is_left_over():
    shell = [" ".join(words) for block in blocks() if block.language in commands.SHELLS for words in commands.of_block(block)]
    assert [start for start in NOT_RUN if not any(line.startswith(f"{start} ") for line in shell)] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page not in CHANGED])
def test_every_command_is_one_that_its_script_takes(page):
    found = commands.of_text((ROOT / page).read_text(encoding="utf-8"))
    assert [(line, " ".join(words), why) for line, words in found if (why := commands.refusal(words))] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_option_that_is_named_exists(page):
    named = re.findall(r"(?<![\w-])--[a-z][\w-]*", (ROOT / page).read_text(encoding="utf-8"))
    assert set(named) - commands.known_options() == set()


def test_commands_are_read_as_a_shell_reads_them():
    text = (
        "```\n$ pip install -e . && python train.py mnist \\\n    --epochs 3  # a comment\n```\n`python compare.py\ndigits` `python x.py`\n"
    )
    (block,) = documents.blocks(text)
    assert commands.of_block(block) == [["pip", "install", "-e", "."], ["python", "train.py", "mnist", "--epochs", "3"]]
    assert commands.of_text(text) == [(1, ["python", "train.py", "mnist", "--epochs", "3"]), (5, ["python", "compare.py", "digits"])]
    assert not is_known(["rm", "-r", "runs"]) and not is_known(["python", "use.py"]) and not is_known(["pip3", "install"])


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("python train.py mnist --epochs 3 --no-batch-norm", None),
        ("python train.py mnits", "did you mean mnist"),
        ("python train.py --epoch 3", "did you mean --epochs"),
        ("python train.py mnist --prior gaussian", "prior"),
        ("python compare.py digits --report-only", None),
        ("python compare.py dogits", "no such study: dogits"),
        ("python evaluate.py RUN [RUN ...] [--classifier RUN]", None),
        ("python evaluate.py RUN [RUN ...] [--judge RUN]", "--judge"),
    ],
)
def test_a_command_that_a_script_refuses_is_found(line, why):
    refused = commands.refusal(line.split())
    assert refused is None if why is None else why in refused
