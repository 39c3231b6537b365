"""Evaluate trained runs on the test set: python evaluate.py RUN [RUN ...] [--classifier RUN] [--output FOLDER]."""

import contextlib
import dataclasses
import sys

import params as parameters
import studies
from tfdvae.cli import exit_status, read_options
from tfdvae.dataset_names import at_path
from tfdvae.errors import InputError, reported_as_fault
from tfdvae.evaluation.options import Options, checked
from tfdvae.interrupts import Interrupts
from tfdvae.startup import import_tensorflow, importing
from tfdvae.study.plan import next_comparison
from tfdvae.terminal import command

KEPT = "Runs that were evaluated before keep their results."


def main(
    checkpoint,
    classifier=Options.classifier,
    output=Options.output,
    probe=Options.probe,
    corrupt=Options.corrupt,
    dataset=Options.dataset,
    interrupts=None,
    importer=None,
):
    """Evaluate runs, write the results into their folders, and print the table.

    Args:
        checkpoint: folders of runs.
        classifier: folder of a classifier's run, or "".
        output: folder for the table and the figures that compare the runs, or "".
        probe: whether to measure the codes.
        corrupt: noise to feed models with, as in `params.corruption`, or "".
        dataset: where the images of the runs are now, as in `params.dataset`, or "".
        interrupts: `Interrupts` that make a signal wait for the end of an import, or None.
        importer: function that imports TensorFlow before anything else does, or None.

    Returns:
        list of `tfdvae.evaluation.run.Evaluation`, one for each run.

    Raises:
        InputError: a run or its data cannot be used; nothing has been written then.
        Fault: the machine failed; runs that were evaluated before keep their results.
    """
    request = checked(Options(tuple(checkpoint), classifier, dataset, output, probe, corrupt))
    with contextlib.ExitStack() as stack:
        for run in request.runs:
            stack.enter_context(run.locked())
        with importing(interrupts or Interrupts(), importer):
            from tfdvae.evaluation.run import evaluate
        with reported_as_fault(output or request.runs[0], lambda: KEPT):
            evaluations = evaluate(request)
    suggest(request.records, classifier)
    return evaluations


def suggest(records, classifier):
    """Print the next commands: train a classifier where the runs have classes and none was given, and compare models."""
    models = [record for record in records if record["params"]["model"] != "classifier"]
    with_classes = [record for record in models if record["data"]["class_names"]]
    if with_classes and not classifier:
        words = words_for_classifier(with_classes[0])
        print(f"To judge the class of the outputs, train a classifier:\n  {command('train.py', *words)}")
        print("Then evaluate again with --classifier and its folder.")
    for dataset in dict.fromkeys(record["params"]["dataset"] for record in models):
        for line in next_comparison(dataset, studies.STUDIES):
            print(line)


def words_for_classifier(record):
    """Return the options of train.py that train a classifier for a run; images of the user's own have their absolute path."""
    params_dict, defaults = record["params"], dataclasses.asdict(parameters.Params())
    path, dataset = record["data"].get("path"), params_dict["dataset"]
    name = f"{dataset}_classifier"
    words = [name] if name in parameters.PRESETS else ["--model", "classifier", "--dataset", at_path(dataset, path) if path else dataset]
    for option in ("image_size", "resize", "background", "pixel_range"):
        if params_dict[option] != defaults[option]:
            words += ["--" + option.replace("_", "-"), str(params_dict[option])]
    return words


def command_line(words):
    """Run the script, and return its exit status."""

    def work(interrupts):
        about = {"prog": "evaluate.py RUN [RUN ...]", "description": "Evaluate trained runs on the test set."}
        runs, given = read_options(Options, words, **about)
        if runs and "checkpoint" in given:
            raise InputError(
                f"checkpoint: received {' '.join(runs)} without a name, and --checkpoint; expected one of them; give all runs there."
            )
        main(given.pop("checkpoint", runs), **given, interrupts=interrupts, importer=import_tensorflow)

    return exit_status("evaluate.py", work, KEPT)


if __name__ == "__main__":
    sys.exit(command_line(sys.argv[1:]))
