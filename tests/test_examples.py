"""The notebook's code, as it stands."""

import json
import os
import subprocess
import sys

from conftest import ROOT


def test_the_notebook_runs(tmp_path):
    (tmp_path / "examples").mkdir()
    cells = json.loads((ROOT / "examples" / "vae.ipynb").read_text())["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    assert "epochs=10" in code
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}
    command = [sys.executable, "-c", code.replace("epochs=10", "epochs=1")]
    done = subprocess.run(command, cwd=tmp_path / "examples", env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "| vae, seed 0 | digits | " in done.stdout and (tmp_path / "runs" / "notebook" / "metrics.json").exists()
