"""The options of an evaluation, and their checks. This module needs no TensorFlow."""

import dataclasses
import os

from .. import rules
from ..errors import InputError
from ..runs import Run
from ..runs.files import check_writable, expanded

MOVED = rules.Rule("a text", lambda value: isinstance(value, str), "folder:PATH or arrays:FILE.npz", rules.are_own_images)


@dataclasses.dataclass(frozen=True)
class Options:
    """The runs to evaluate, and the measurements."""

    # ---- what to evaluate

    # folders of the runs to evaluate, as train.py printed them; they can also stand first, without --checkpoint
    checkpoint: tuple[str, ...] = ()
    # folder of a classifier's run, trained on the same data, to judge the models' outputs
    classifier: str = ""
    # where the images of the runs are now, if they were moved: folder:PATH or arrays:FILE.npz; they must be the same images
    dataset: str = ""
    # folder for the table and the figures that compare the runs; without it the table is only printed
    output: str = ""

    # ---- further measurements

    # fit a linear classifier to the codes of the training images and test it, draw the codes, and compare with a PCA of the same size
    probe: bool = False
    # also evaluate the models on test images with noise: gaussian:SIGMA, masking:FRACTION or salt_and_pepper:FRACTION
    corrupt: str = ""


@dataclasses.dataclass(frozen=True)
class Request:
    """A checked evaluation: the runs and their records, and the classifier's run and record, or None."""

    options: Options
    runs: list
    records: list
    judge: Run | None
    judge_record: dict | None


def checked(options):
    """Check options, and return their `Request`.

    Raises:
        InputError: a run, the classifier or an option cannot be used.
    """
    paths = options.checkpoint
    if not paths or len({os.path.realpath(expanded(path)) for path in paths}) < len(paths):
        raise InputError(f"checkpoint: received {', '.join(paths) or 'none'}; expected the folders of runs, each once.")
    if options.dataset:
        rules.check_value("dataset", options.dataset, MOVED)
    if options.corrupt:
        rules.check_value("corrupt", options.corrupt, rules.CORRUPTION)
    runs = [Run(path) for path in paths]
    records = [run.read_record() for run in runs]
    judge = Run(options.classifier) if options.classifier else None
    judge_record = judge.read_record("classifier") if judge else None
    if judge:
        check_judge(judge, judge_record, records)
    for run in runs:
        check_writable(run.path, "checkpoint")
    if options.output:
        check_writable(expanded(options.output), "output")
        _check_comparable(records)
    return Request(options, runs, records, judge, judge_record)


def check_judge(judge, judge_record, records):
    """Raise InputError unless the judge is a classifier that was trained on the data of every run."""
    params_dict = judge_record["params"]
    if params_dict["model"] != "classifier":
        raise InputError(f"classifier: {judge} is a {params_dict['model']}; expected the run of a classifier; train one.")
    for record in records:
        for name in rules.judged_alike(record["params"]):
            expected = record["params"][name]
            if params_dict[name] != expected and not (name == "dataset" and _same_path(judge_record, record)):
                raise InputError(f"classifier: {judge} was trained with {name} {params_dict[name]}; expected {expected}, as for the run.")


def _same_path(one, other):
    """Return whether the images of two records were in one place, in whatever spelling."""
    paths = [record.get("data", {}).get("path") for record in (one, other)]
    return bool(paths[0]) and paths[0] == paths[1]


def _check_comparable(records):
    """Raise InputError where runs on one dataset prepare its images differently: one figure cannot compare their outputs."""
    values = {}
    for params_dict in (record["params"] for record in records if record["params"]["model"] != "classifier"):
        for name in ("binarize", *rules.judged_alike(params_dict)):
            first = values.setdefault((params_dict["dataset"], name), params_dict[name])
            if first != params_dict[name]:
                raise InputError(
                    f"output: received runs on {params_dict['dataset']} with {name} {first} and {params_dict[name]}; expected runs that "
                    "use the same images; evaluate them separately."
                )
