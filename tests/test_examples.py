"""The notebook: its first cell in Colab, and all of its cells as they stand."""

import json
import math
import os
import re
import subprocess
import sys

import checkout
import pytest
from conftest import ROOT

NOTEBOOK = "examples/tour.ipynb"
RUN = """
import io, json, pathlib, sys, time
import matplotlib.pyplot as plt

out, namespace, report = pathlib.Path(sys.argv[1]), {}, []
for i, source in enumerate(json.load(sys.stdin)):
    started = time.monotonic(), time.process_time()
    exec(compile(source, f"<cell {i}>", "exec"), namespace)
    for number in plt.get_fignums():
        plt.figure(number).savefig(out / f"{i}-{number}.png", dpi=100)
    report.append([time.monotonic() - started[0], time.process_time() - started[1], len(plt.get_fignums())])
    plt.close("all")
    print(i, *(f"{value:.0f}" for value in report[-1]), file=sys.stderr)
summaries = [evaluation.summary for evaluation in namespace["evaluations"].values()]
walk = namespace["walk"].numpy().tolist()
(out / "report.json").write_text(json.dumps([report, summaries, namespace["tfdvae"].__file__, walk]))
"""


def cells():
    return json.loads((ROOT / NOTEBOOK).read_text(encoding="utf-8"))["cells"]


def code_cells():
    return ["".join(cell["source"]) for cell in cells() if cell["cell_type"] == "code"]


def test_the_tour_has_ten_cells_each_introduced_and_no_outputs():
    kinds = [cell["cell_type"] for cell in cells()]
    assert kinds == ["markdown"] + ["markdown", "code"] * 10
    assert [bool(re.match(rf"\*\*{i}\. ", "".join(cell["source"]))) for i, cell in enumerate(cells()[1::2], 1)] == [True] * 10
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells() if cell["cell_type"] == "code")


def test_badge_and_installation_name_one_repository():
    (repository,) = re.findall(r'^REPOSITORY = "https://github\.com/([\w.-]+/[\w.-]+)"', code_cells()[0], re.M)
    badges = [path.read_text(encoding="utf-8") for path in (ROOT / NOTEBOOK, ROOT / "README.md")]
    named = {match for text in badges for match in re.findall(r"colab\.research\.google\.com/github/([\w.-]+/[\w.-]+)/(\S+?)\)", text)}
    assert named == {(repository, f"blob/main/{NOTEBOOK}")}


@pytest.mark.parametrize("place", ["", "examples", "tour"], ids=["the clone", "below the clone", "beside the clone"])
def test_the_first_cell_finds_a_clone(tmp_path, monkeypatch, place):
    clone = tmp_path / "tfdvae" if place == "tour" else tmp_path
    (clone / "tfdvae").mkdir(parents=True)
    (clone / "train.py").touch()
    (clone / "examples").mkdir()
    monkeypatch.chdir(tmp_path if place == "tour" else tmp_path / place)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("it is installed"))
    exec(code_cells()[0], {})
    assert os.getcwd() == str(clone) == sys.path[0]


def test_the_first_cell_clones_and_installs_elsewhere(tmp_path, monkeypatch):
    commands = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def run(command, check):
        commands.append(command)
        assert check
        os.makedirs("tfdvae", exist_ok=True)

    monkeypatch.setattr(subprocess, "run", run)
    namespace = {}
    exec(code_cells()[0], namespace)
    (clone, install), folder = commands, str(tmp_path / "tfdvae")
    assert clone[:2] == ["git", "clone"] and clone[-2:] == [namespace["REPOSITORY"], folder]
    assert install[:4] == [sys.executable, "-m", "pip", "install"] and install[-2:] == ["-e", folder]
    assert os.getcwd() == folder == sys.path[0]


@pytest.mark.slow
def test_the_tour_runs_as_it_stands_in_three_minutes(tmp_path):
    clone, out = checkout.copy(tmp_path / "clone"), tmp_path / "out"
    out.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"MPLBACKEND": "Agg"}
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(out)],
        cwd=clone / "examples",
        env=environment,
        input=json.dumps(code_cells()),
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    report, (dvae, vae), imported, walk = json.loads((out / "report.json").read_text())
    assert imported == str(clone / "tfdvae" / "__init__.py")
    assert [figures for _, _, figures in report] == [0, 0, 0, 1, 1, 1, 1, 0, 1, 1], "figures of each cell"
    assert sum(processor for _, processor, _ in report) < 180, "seconds of processor time, which no other process can lengthen"
    assert len(walk) == 9 and all(0 <= value <= 1 for image in walk for row in image for pixel in row for value in pixel)
    for name in ("dvae/story.png", "plane/manifold.png", "vae/metrics.json", "mine.png"):
        assert (clone / "runs" / "tour" / name).stat().st_size
    for summary in (dvae, vae):
        assert all(math.isfinite(summary[term]["mean"]) for term in ("reconstruction", "kl", "neg_elbo"))
    # as the notebook says: near 28 nats both, and three or four nats of loss apart; a nat of KL divergence is worth 0.65 nats of loss
    assert 26 < dvae["kl"]["mean"] < 30 and abs(dvae["kl"]["mean"] - vae["kl"]["mean"]) < 1
    assert 2.5 < dvae["reconstruction"]["mean"] - vae["reconstruction"]["mean"] < 5
    assert done.stdout.count("| mnist_5k |") == 2 and "KL divergence" in done.stdout.splitlines()[-3]
