"""The record of a run, `run.json`: its format, its form and its parameters."""

import json

from .. import rules
from ..errors import InputError, printable
from ..version import FORMAT, __version__
from . import files

# Parameters that were added since format 1 -> the value that reproduces what runs did without them. Today's default may be another.
ADDED = {"resize": "stretch", "background": "none", "beta_2": 0.999, "weight_decay": 0.0}


def read_record(content, path):
    """Return the record that a file's bytes hold, its parameters complete and checked.

    Args:
        content: bytes of the file.
        path: of the file, for the sentences.

    Raises:
        Damaged: it is not what `Run.start` wrote.
        InputError: it is of a format that this version does not read, or of parameters that cannot be used.
    """
    check_format(content, path)
    record = files.unsealed(content)
    _check_form(record)
    record["params"] = complete(record["params"], path, "train the run again")
    try:
        rules.check(record["params"])
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    size, (height, width, _) = record["params"]["image_size"], record["data"]["image_shape"]
    if size and (height, width) != (size, size):
        raise InputError(f"{path}: image_size: received {size}; expected that of its images, {height}x{width}.")
    return record


def complete(params_dict, source, advice):
    """Return parameters with those that did not exist when they were written.

    Args:
        params_dict: parameters of a run.
        source: of the parameters, for the sentence.
        advice: way out, for the sentence.

    Raises:
        InputError: another parameter is missing.
    """
    params_dict = params_dict | {name: value for name, value in ADDED.items() if name not in params_dict}
    for name in rules.RULES:
        if name not in params_dict:
            raise InputError(f"{source}: lacks the parameter {name}, which every run has; {advice}.")
    return params_dict


def check_format(content, path):
    """Raise InputError where a record is of a format that this version does not read."""
    try:
        values = json.loads(content)
        written = str(values["versions"]["tfdvae"])
        number = values.get("format", 1 if written.startswith("0.4.") else 0)  # formats have a number since version 0.5
        readable = 1 <= int(number) <= FORMAT
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return  # damaged, which the reader of the whole record reports
    if not readable:
        named = f"format {printable(number)}" if number else "no format that is kept"
        raise InputError(
            f"checkpoint: {path} was written by tfdvae {printable(written)} and has {named}; this is {__version__}, which reads formats 1 "
            f"to {FORMAT} (version 0.4 on); use the version that wrote it, or train the run again."
        )


def _check_form(record):
    """Raise Damaged where a record is not of the form that `Run.start` writes."""
    try:
        shape, names = record["data"]["image_shape"], record["data"]["class_names"]
        valid = (
            isinstance(record["params"], dict)
            and isinstance(record["versions"], dict)
            and record["precision"] in ("float32", "bfloat16")
            and isinstance(record["data"]["test_fingerprint"], str)
            and isinstance(record["data"].get("path", ""), str)
            and len(shape) == 3
            and all(type(side) is int and 1 <= side <= rules.SIDE_LIMIT for side in shape)
            and isinstance(names, list)
            and all(isinstance(name, str) for name in names)
            and "preset" in record
            and type(record.get("format", 1)) is int
        )
    except (KeyError, TypeError):
        valid = False
    if not valid:
        raise files.Damaged("it is not the record of a run")


def history_of(metadata):
    """Return the history that a state's metadata holds: a list of dicts of finite numbers, one for each epoch.

    Raises:
        Damaged: it holds none, or other than one row with the same terms for each epoch.
    """
    rows = json.loads(metadata["history"])
    if not isinstance(rows, list) or not rows or metadata["epochs"] != str(len(rows)) or not all(isinstance(row, dict) for row in rows):
        raise files.Damaged("its history has not one row for each epoch")
    terms = set(rows[0])
    validated = {name.removeprefix("val_") for name in terms if name.startswith("val_")}
    for number, row in enumerate(rows, 1):
        numbers = all(type(value) in (int, float) and abs(value) < 1e300 for value in row.values())
        if row.get("epoch") != number or set(row) != terms or not numbers or not {"loss"} <= validated <= terms:
            raise files.Damaged(f"row {number} of its history is malformed")
    return rows


def as_json(values):
    """Return plain values as a record gives them back: tuples have become lists."""
    return json.loads(json.dumps(values))
