"""Evaluate trained runs on the test set: python evaluate.py --checkpoint RUN [RUN ...] [--classifier RUN] [--output FOLDER].

--probe asks further what is in the codes, --corrupt what becomes of corrupted images.
"""

import contextlib
import dataclasses
import functools
import os
import pathlib
import re
import shlex
import sys

import tyro

import params as parameters
from tfdvae.errors import InputError
from tfdvae.files import write
from tfdvae.interrupts import Interrupts
from tfdvae.runs import RECORD, Run
from tfdvae.script import exit_status


@dataclasses.dataclass(frozen=True)
class Options:
    """What `evaluate.py` is asked to do."""

    # folders of the runs to evaluate, as train.py printed them
    checkpoint: tuple[str, ...] = ()
    # folder of a classifier's run, trained on the same data, to judge the models' outputs
    classifier: str = ""
    # folder for the table and the figures that set the runs beside each other; none: the table is printed alone
    output: str = ""
    # fit a linear classifier to the codes of the training images and test it, draw the codes, and compare with a PCA of the same size
    probe: tyro.conf.FlagCreatePairsOff[bool] = False
    # also feed each model test images with noise, gaussian:SIGMA, masking:FRACTION or salt_and_pepper:FRACTION
    corrupt: str = ""


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """One run with what evaluation found."""

    run: Run
    record: dict  # what the run's folder says of it
    summary: dict  # of `evaluation.summarize`
    grid: tuple | None  # the first test images and the outputs for them; None for a classifier
    notes: list  # sentences on what a reader of its numbers must know

    @property
    def params(self):
        return self.record["params"]


def main(checkpoint, classifier="", output="", probe=False, corrupt="", interrupts=None):
    """Evaluate runs, write what was found into their folders, and print the table.

    Args:
        checkpoint: folders of runs.
        classifier: folder of a classifier's run, or "".
        output: folder for the table and the figures that set the runs beside each other, or "".
        probe: whether to ask what is in the codes.
        corrupt: noise to feed models images with, as in `params.corruption`, or "".
        interrupts: `Interrupts` that make a signal wait for the end of an import, or None.

    Returns:
        list of `Evaluated`, one a run.

    Raises:
        InputError: a run or its data cannot be used; nothing has been written then.
        Fault: the machine failed; runs that were evaluated until then keep their results.
    """
    if not checkpoint or len(set(map(os.path.realpath, checkpoint))) < len(checkpoint):
        raise InputError(f"checkpoint: received {', '.join(checkpoint) or 'none'}; expected the folders of runs, each once.")
    if corrupt and not parameters.is_corruption(corrupt):
        raise InputError(f"corrupt: received {corrupt!r}; expected {parameters.CORRUPTION_FORM}.")
    runs = [Run(path) for path in checkpoint]
    records = [run.read_record() for run in runs]
    judge = Run(classifier) if classifier else None
    judge_record = judge.read_record() if judge else None
    for run, record in zip([*runs, judge], [*records, judge_record]):
        if run:
            parameters.restored(record, run.file(RECORD))
    if judge:
        check_judge(judge, judge_record["params"], records)
    for run in runs:
        run.check_writable("checkpoint")
    if output:
        Run(output).check_writable("output")
        check_comparable(records)

    with contextlib.ExitStack() as stack:
        for run in runs:
            stack.enter_context(run.held())
        from tfdvae.startup import import_tensorflow

        with (interrupts or Interrupts()).deferred():  # half an import cannot be left
            import_tensorflow()
            from tfdvae import faults, plots, training  # noqa: F401
        with faults.told(output or runs[0], lambda: "What was evaluated until then keeps its results."):
            return evaluate_runs(runs, records, judge, judge_record, output, probe, corrupt)


def evaluate_runs(runs, records, judge, judge_record, output, probe, corrupt):
    """Load runs and their data, evaluate one after the other, and report."""
    from tfdvae import data
    from tfdvae.training import load_model

    models = [load_model(run) for run in runs]
    judging_model = load_model(judge) if judge else None
    load_dataset = functools.cache(data.load_dataset)  # runs on the same data read it once
    everything = [*records, judge_record] if judge else records
    datasets = [load_dataset(**data.selection(record["params"])) for record in everything]
    for dataset, record in zip(datasets, everything):
        data.check_unchanged(dataset, record["data"])
    if output:
        for run in runs:
            run.read_history()  # for the curves; what is wrong with it is told before anything is written
    evaluated = [evaluate_run(*each, judge, judging_model, probe, corrupt) for each in zip(runs, records, models, datasets)]
    report(evaluated, output)
    if not judge:
        suggest_classifier(records)
    return evaluated


def suggest_classifier(records):
    """Print the command that trains a classifier for the first run that wants one."""
    wanting = [r for r in records if r["params"]["model"] != "classifier" and r["data"]["class_names"]]
    if not wanting:
        return
    params = wanting[0]["params"]
    name = f"{params['dataset']}_classifier"
    words = [name] if name in parameters.PRESETS else ["--model", "classifier", "--dataset", params["dataset"]]
    for option in ("image_size", "pixel_range"):
        if params[option] != getattr(parameters.Params(), option):
            words += ["--" + option.replace("_", "-"), str(params[option])]
    command = shlex.join(["python", "train.py", *words])
    print(f"\nFor the classifier's error on the outputs, train one with\n  {command}\nand add --classifier with its folder.")


def check_comparable(records):
    """Raise InputError where runs on one dataset see its images differently, so that their outputs cannot stand in one figure."""
    for name in ("image_size", "pixel_range", "binarize"):
        seen = {}
        for params in (record["params"] for record in records if record["params"]["model"] != "classifier"):
            if seen.setdefault(params["dataset"], params[name]) != params[name]:
                raise InputError(
                    f"output: received runs on {params['dataset']} with {name} {seen[params['dataset']]} and {params[name]}; expected runs "
                    "that see the same images; evaluate them apart."
                )


def check_judge(judge, params, records):
    """Raise InputError where a classifier's run, of these parameters, is not one, or not of the data of every run."""
    if params["model"] != "classifier":
        raise InputError(f"classifier: {judge} is a {params['model']}; expected the run of a classifier; train one.")
    for record in records:
        for name in ("dataset", "image_size", "pixel_range"):
            expected = record["params"][name]
            if params[name] != expected:
                raise InputError(f"classifier: {judge} was trained with {name} {params[name]}; expected {expected}, as the run.")


def evaluate_run(run, record, model, dataset, judge, judging_model, probe, corrupt):
    """Evaluate one run, and write its numbers and its pictures."""
    from tfdvae import evaluation, plots

    params = record["params"]
    batches = dataset.test(evaluation.BATCH)
    run.remove_pictures()
    judged = model.reconstructs and dataset.num_classes
    per_image = evaluation.evaluate_model(model, batches, judging_model if judged else None)
    if model.reconstructs:
        if probe:
            per_image |= probe_codes(run, model, dataset)
        if corrupt:
            per_image |= feed_corrupted(run, params, model, batches, corrupt)
        if model.gate:
            per_image |= compare_gates(run, model, dataset)
    summary = evaluation.summarize(per_image)
    described = {name: params[name] for name in ("model", "dataset", "seed")} | {"classifier": str(judge) if judge else None}
    run.write_evaluation(described | {"corrupt": (model.reconstructs and corrupt) or None} | summary, per_image)
    notes = model.notes(dataset.image_shape)
    if not model.reconstructs:
        return Evaluated(run, record, summary, None, notes)
    images, outputs = evaluation.reconstruction_grid(model, batches)
    plots.grids({"test images": images, f"{params['model']} outputs": outputs}, run.file("test_grid.png"), params["pixel_range"])
    if model.generates and model.likelihood.learns_variance:
        draw_variances(run, params, model, images)
    return Evaluated(run, record, summary, (images, outputs), notes)


def probe_codes(run, model, dataset):
    """Return the errors, image by image, of a linear probe on the model's codes and of a PCA of their size; draw the test images' codes."""
    from tfdvae import codes, data, evaluation, plots

    train, test = dataset.in_order(data.TRAIN, evaluation.BATCH), dataset.test(evaluation.BATCH)
    errors, found, classes = evaluation.probe_codes(model, train, test, codes.most_images(dataset.image_shape))
    title = f"codes of {len(found):,} test images" + ("" if model.latent_dim <= 2 else ", t-SNE")
    plots.scatter(codes.in_two_dimensions(found), classes, dataset.class_names, run.file("test_codes.png"), title)
    return errors


def feed_corrupted(run, params, model, batches, corrupt):
    """Return the errors, image by image, of what the model makes of corrupted test images; draw some."""
    from tfdvae import build, evaluation, plots

    corruption = build.build_corruption(corrupt, params["pixel_range"])
    errors, shown = evaluation.corrupted_errors(model, batches, corruption)
    titles = ("test images", f"with {corrupt}", f"{params['model']} outputs for them")
    plots.grids(dict(zip(titles, shown)), run.file("test_corrupted.png"), params["pixel_range"])
    return errors


def compare_gates(run, model, dataset):
    """Return the errors, image by image, of the best denoiser, where it is known; draw the model's gate beside the best one."""
    from tfdvae import corruptions, data, evaluation, plots

    if dataset.pixel_range != "real" or not isinstance(model.corruption, corruptions.GaussianNoise):
        return {}
    variances = dataset.pixel_variances(data.TEST, evaluation.BATCH)
    errors, (corrupted, gate, best) = evaluation.optimal_denoising(model, dataset.test(evaluation.BATCH), variances)
    columns = {"corrupted test images": corrupted, "learned gate": gate, "best gate, of the true variance": best}
    plots.grids(columns, run.file("test_gate.png"), "real", limits=(None, (0.0, 1.0), (0.0, 1.0)))
    return {"optimal_mse": errors}


def draw_variances(run, params, model, images):
    """Draw the variance that the likelihood predicts for each pixel of test images, and samples from the prior with theirs."""
    from tfdvae import evaluation, plots

    of_images, samples, of_samples = evaluation.predicted_variances(model, images)
    columns = {"test images": images, "predicted variances": of_images, "samples, pixel by pixel": samples, "their variances": of_samples}
    scale = (0.0, max(of_images.max(), of_samples.max()))
    plots.grids(columns, run.file("test_variance.png"), params["pixel_range"], limits=(None, scale, None, scale))


def report(evaluated, output):
    """Print the table, and write it with the figures that compare the runs where an output folder is given."""
    from tfdvae.report import table_csv, table_markdown

    table = table_markdown(evaluated)
    print(f"\n{table}")
    if not output:
        return
    folder = pathlib.Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "table.csv", table_csv(evaluated))
    write(folder / "table.md", table)
    models = [each for each in evaluated if each.params["model"] != "classifier"]
    datasets = sorted({each.params["dataset"] for each in models})
    for dataset in datasets:
        prefix = "" if len(datasets) == 1 else re.sub(r"\W+", "-", dataset) + "_"
        draw_comparison([each for each in models if each.params["dataset"] == dataset], folder, prefix)
    print(f"Written: {', '.join(sorted(path.name for path in folder.iterdir()))} in {folder}")


def draw_comparison(evaluated, folder, prefix):
    """Draw the curves of runs on one dataset in one plot a term, and their outputs for the same test images in one grid."""
    from tfdvae import plots
    from tfdvae.report import labels

    labelled = dict(zip(labels(evaluated), evaluated))
    histories = {label: each.run.read_history() for label, each in labelled.items()}
    for term in ("reconstruction", "kl", "neg_elbo"):
        having = {label: rows for label, rows in histories.items() if rows and f"val_{term}" in rows[0]}
        if having:
            plots.compared_curves(having, term, folder / f"{prefix}{term}.png", evaluated[0].params["dataset"])
    columns = {"test images": evaluated[0].grid[0]} | {f"{label} outputs": each.grid[1] for label, each in labelled.items()}
    plots.grids(columns, folder / f"{prefix}grid.png", evaluated[0].params["pixel_range"])


def command_line(arguments):
    """Run the script, and return its exit status."""

    def work(interrupts):
        about = {"prog": "evaluate.py", "description": "Evaluate trained runs on the test set."}
        options = parameters.read_options(Options, arguments, names=parameters.names(Options), **about)
        main(**dataclasses.asdict(options), interrupts=interrupts)

    return exit_status("evaluate.py", work, (parameters.ParameterError,), "What was evaluated until then keeps its results.")


if __name__ == "__main__":
    sys.exit(command_line(sys.argv[1:]))
