"""The names of new run folders: dataset, model, the parameters that were changed, and the seed."""

import itertools
import pathlib
import re
from collections import Counter
from typing import get_args

from .. import forms, rules

LONGEST = 100  # characters of a name, without the number that makes it unique
LONGEST_DATASET = 50  # characters
NOT_NAMED = ("dataset", "model", "seed", "run_dir", "memory_limit")  # they have a place of their own, or change no result
CHOICES = {  # parameters whose values are known without the parameter's name
    "network": rules.Network,
    "activation": rules.Activation,
    "likelihood": rules.Likelihood,
    "prior": rules.Prior,
    "precision": rules.Precision,
}
WORDS = Counter(itertools.chain(*map(get_args, CHOICES.values()), forms.CORRUPTIONS, ("linear", "wait", "constant"), ("auto",) * 2))


def new_folders(params_dict, name="", changed=()):
    """Yield runs/NAME-MODEL-CHANGED-seedN, then the same with -2, -3, ..., as far as they are not there yet.

    Args:
        params_dict: parameters of the run.
        name: of a preset, in place of the dataset's.
        changed: names of the parameters that differ from the preset.
    """
    base = pathlib.Path("runs") / folder_name(params_dict, name, changed)
    for count in itertools.count(1):
        path = base if count == 1 else base.with_name(f"{base.name}-{count}")
        if not path.exists():
            yield path


def folder_name(params_dict, name="", changed=()):
    """Return the name of a run's folder; see `new_folders`. Where it is too long, the last changes are left out."""
    dataset = params_dict["dataset"]
    if dataset.startswith("folder:"):
        dataset = pathlib.Path(dataset.removeprefix("folder:")).name or "folder"
    dataset = re.sub("[/:\x00-\x1f\x7f\ud800-\udfff]", "-", dataset)  # control characters, and bytes that are not UTF-8
    parts, end = [(name or dataset)[:LONGEST_DATASET], params_dict["model"]], f"seed{params_dict['seed']}"
    changes = [change_of(name, params_dict[name]) for name in changed if name not in NOT_NAMED]
    changes.sort(key=lambda change: (change[0] != "", change))  # first the words that stand alone
    changes = ["".join(change) for change in changes]
    left_out = 0
    while len("-".join([*parts, *changes, end])) + (left_out and len("-and99more")) > LONGEST:
        changes.pop()
        left_out += 1
    return "-".join([*parts, *changes, *([f"and{left_out}more"] if left_out else []), end])


def change_of(name, value):
    """Return a changed parameter as two parts of a folder's name; the first is "" where the value stands alone.

    Examples: "", "mlp"; "kl-weight", "0.5"; "channels", "4x8"; "no-share-encoder", ""; "corruption", "-gaussian0.3".
    """
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return (flag if value else f"no-{flag}"), ""
    if isinstance(value, int | float):
        return flag, f"{value:.12g}".replace("+", "")
    if isinstance(value, tuple | list):
        return flag, "x".join(map(str, value)) or "-own"  # the network's own
    text = re.sub(r"[^\w.-]+", "-", re.sub(r"(?<=[a-z]):", "", value), flags=re.ASCII).strip("-")
    return ("", text) if name in CHOICES and WORDS[value] == 1 else (flag, f"-{text}")
