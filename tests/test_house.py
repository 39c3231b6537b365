"""The layout of the package, read from its sources: who may import whom, and how long files and functions may be."""

import ast

import pytest
from conftest import ROOT

PACKAGE = ROOT / "tfdvae"
SCRIPTS = ("train", "evaluate", "compare", "params", "studies")
ORDER = (  # from the bottom to the top: a module imports modules of its own line and of lines above it here
    ("version", "errors", "interrupts", "startup", "terminal"),
    ("forms",),
    ("rules",),
    ("cli", "dataset_names"),
    ("kernels",),
    ("likelihoods", "priors", "schedules", "corruptions", "blocks", "networks"),
    ("lettering", "labels", "plots", "sheet", "curves", "image_grids"),
    ("models",),
    ("build",),
    ("data", "runs"),
    ("evaluation",),  # training reads its statistics of posteriors after every epoch
    ("training",),
    ("study",),
)
WITHOUT_TENSORFLOW = (
    "forms",
    "rules",
    "cli",
    "errors",
    "runs/folder",
    "runs/record",
    "runs/start",
    "evaluation/options",
    "study/plan",
    "dataset_names",
)
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py" or path.parent != PACKAGE)


LINE_OF = {part: i for i, line in enumerate(ORDER) for part in line}


def imports_of(path):
    """Yield every module that a file imports, as parts: below tfdvae for those of the package, whole for all others."""
    inside = path.relative_to(PACKAGE).parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = list(inside[: len(inside) - node.level])
            parts = [*base, *(node.module or "").split(".")] if node.module else base
            for alias in node.names:
                yield tuple(parts) or (alias.name,)
        elif isinstance(node, ast.ImportFrom):
            yield tuple(node.module.split("."))
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield tuple(alias.name.split("."))


def functions_of(path):
    """Return (name, line) -> number of lines of every function and method of a file."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return {(node.name, node.lineno): node.end_lineno - node.lineno + 1 for node in nodes if isinstance(node, ast.FunctionDef)}


def test_every_part_has_a_place_in_the_order():
    assert {path.relative_to(PACKAGE).with_suffix("").parts[0] for path in MODULES} == set(LINE_OF)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_down_the_order_alone(path):
    own = path.relative_to(PACKAGE).with_suffix("").parts[0]
    for parts in imports_of(path):
        assert parts[0] not in SCRIPTS, "the package imports no script"
        assert parts[0] != "tfdvae", "modules of the package are imported relative to the file"
        assert LINE_OF.get(parts[0], -1) <= LINE_OF[own], f"{own} imports {parts[0]}"


def test_no_two_parts_import_each_other():
    below = {}
    for path in MODULES:
        own = path.relative_to(PACKAGE).with_suffix("").parts[0]
        below.setdefault(own, set()).update(parts[0] for parts in imports_of(path) if parts[0] in LINE_OF and parts[0] != own)
    assert [(one, other) for one, others in below.items() for other in others if one in below[other]] == []


@pytest.mark.parametrize("name", WITHOUT_TENSORFLOW)
def test_what_scripts_need_first_needs_no_tensorflow(name):
    seen, waiting = set(), [PACKAGE / f"{name}.py", PACKAGE / "__init__.py"]
    while waiting:
        path = waiting.pop()
        seen.add(path)
        tree = ast.parse(path.read_text())
        top = ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], [])
        for node in top.body:
            names = [alias.name for alias in node.names]
            assert not {"tensorflow", "keras", "matplotlib"} & {
                each.split(".")[0] for each in [getattr(node, "module", None) or "", *names]
            }, path
            if isinstance(node, ast.ImportFrom) and node.level:
                base = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
                around = [folder / "__init__.py" for folder in (base, *base.parents) if PACKAGE in folder.parents or folder == PACKAGE]
                found = [base.with_suffix(".py"), *around, *((base / each).with_suffix(".py") for each in names)]
                waiting += [each for each in found if each.is_file() and each not in seen]


def test_files_and_functions_are_short():
    limits = {path: 330 for path in PACKAGE.rglob("*.py")} | {ROOT / f"{name}.py": 120 for name in ("train", "evaluate", "compare")}
    long = {str(path): lines for path, most in limits.items() if (lines := len(path.read_text().splitlines())) > most}
    assert long == {}
    assert {(path.name, *place): lines for path in limits for place, lines in functions_of(path).items() if lines > 60} == {}


def test_import_tensorflow_is_the_command_lines_alone():
    """It forks, which a notebook or another machine's process must not."""
    users = [path.name for path in [*ROOT.glob("*.py"), *PACKAGE.rglob("*.py")] if "import_tensorflow" in path.read_text()]
    assert sorted(users) == ["compare.py", "evaluate.py", "startup.py", "train.py"]
    for name in ("train", "evaluate", "compare"):
        tree = ast.parse((ROOT / f"{name}.py").read_text())
        within = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "command_line"]
        assert sum(isinstance(node, ast.Name) and node.id == "import_tensorflow" for node in ast.walk(tree)) == 1
        assert sum(isinstance(node, ast.Name) and node.id == "import_tensorflow" for node in ast.walk(within[0])) == 1
