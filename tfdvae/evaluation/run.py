"""Evaluate trained runs on the test set, one after another; write and compare the results."""

import dataclasses
import functools
import re

from .. import build, corruptions, curves, data, image_grids, labels, plots
from ..errors import InputError, counted, printable
from ..lettering import drawn
from ..models.classifier import Classifier
from ..runs import Run
from ..runs.checkpoint import load_model
from ..runs.closing import after_evaluation, open_first
from ..runs.files import expanded, write
from ..terminal import written
from . import codes, terms
from .options import Options
from .table import table_csv, table_markdown


@dataclasses.dataclass(frozen=True)
class Trained:
    """A trained run: its folder, record, model and data."""

    run: Run
    record: dict
    model: object
    dataset: data.Dataset


@dataclasses.dataclass(frozen=True)
class Judge:
    """The classifier that judges outputs."""

    run: Run
    model: Classifier


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The results of one run on the test set."""

    run: Run
    record: dict  # of the run
    summary: dict  # from `terms.summarize`, with model, dataset, seed, classifier and noise
    per_image: dict  # term -> (n,) array, nats per image
    grid: tuple | None  # the first test images and their outputs; None for a classifier
    notes: list  # sentences for readers of the numbers

    @property
    def params_dict(self):
        return self.record["params"]


def evaluate(request):
    """Evaluate runs, write the results into their folders, and print the table.

    Args:
        request: from `options.checked`, with the runs' folders locked.

    Returns:
        list of `Evaluation`, one per run.

    Raises:
        InputError: a run or its data cannot be used; nothing is written then.
    """
    options = request.options
    print("Loading the models ...", flush=True)
    models = [load_model(run) for run in request.runs]
    judge = Judge(request.judge, load_model(request.judge)) if request.judge else None
    load_dataset = functools.cache(read_dataset)  # runs on the same data read it once
    records = [*request.records, *([request.judge_record] if judge else [])]
    datasets = [data.load_recorded(record, load_dataset, options.dataset) for record in records]
    for run, record, dataset in zip(request.runs, request.records, datasets):
        if record["params"]["model"] == "classifier" and not has_labels(dataset):
            raise InputError(f"checkpoint: {run} is a classifier, and no test image of {dataset.name} has a label; expected another model.")
    if options.output:
        for run in request.runs:
            run.read_history()  # report a damaged history before anything is written
    trained_runs = [Trained(*parts) for parts in zip(request.runs, request.records, models, datasets)]
    evaluations = [evaluate_run(trained, judge, options) for trained in trained_runs]
    report(evaluations, options.output)
    return evaluations


def read_dataset(**arguments):
    """Return a dataset, after a line that says so."""
    print(f"Reading {printable(arguments['name'])} ...", flush=True)
    return data.load_dataset(**arguments)


def evaluate_run(trained, judge=None, options=Options()):  # noqa: B008, it is frozen
    """Evaluate one run, write its numbers and its pictures into its folder, and return the `Evaluation`.

    Args:
        trained: `Trained`.
        judge: `Judge`, or None.
        options: `Options`; only probe and corrupt are used.
    """
    run, model, dataset, params_dict = trained.run, trained.model, trained.dataset, trained.record["params"]
    batches = dataset.test(terms.BATCH)
    run.remove_pictures()
    print(f"Evaluating {run} on {counted(dataset.sizes[data.TEST], 'test image')} ...", flush=True)
    judged = judge and model.reconstructs and has_labels(dataset)
    per_image = terms.evaluate_model(model, batches, judge.model if judged else None)
    if model.reconstructs:
        if options.probe:
            print("Fitting a linear probe and a PCA to the codes ...", flush=True)
            per_image |= probe_codes(trained)
        if options.corrupt:
            print(f"Evaluating it on test images with {options.corrupt} ...", flush=True)
            per_image |= feed_corrupted(trained, options.corrupt)
        if model.gate:
            per_image |= compare_gates(trained)
    summary = {
        **{name: params_dict[name] for name in ("model", "dataset", "seed")},
        "classifier": str(judge.run) if judge else None,
        "corrupt": (model.reconstructs and options.corrupt) or None,
        **terms.summarize(per_image),
    }
    run.write_evaluation(summary, per_image)
    grid = draw_outputs(trained) if model.reconstructs else None
    return Evaluation(run, trained.record, summary, per_image, grid, model.notes(dataset.image_shape))


def has_labels(dataset):
    """Return whether any test image has a label, so that a class can be judged."""
    classes = dataset.parts[data.TEST].labels
    return classes is not None and bool((classes != data.UNLABELLED).any())


def draw_outputs(trained):
    """Draw the first test images, their outputs, and the variances if the likelihood learns them; return images and outputs."""
    model = trained.model
    images, outputs = terms.reconstruction_grid(model, trained.dataset.test(terms.GRID))
    draw_strips(trained, "test_grid.png", {"test images": images, "outputs": outputs}, "test images, and the outputs for them")
    if model.generates and model.likelihood.learns_variance:
        image_variances, samples, sample_variances = terms.predicted_variances(model, images)
        rows = {
            "test images": images,
            "predicted variances of their pixels": image_variances,
            "draws from the prior, sampled": samples,
            "predicted variances of their pixels ": sample_variances,
        }
        scale = (0.0, max(image_variances.max(), sample_variances.max()))
        limits = (None, scale, None, scale)
        draw_strips(trained, "test_variance.png", rows, "variances that the model predicts for pixels", limits=limits)
    return images, outputs


def draw_strips(trained, name, rows, about, **settings):
    """Write a picture of strips into a run's folder, with a title that says what it is `about`."""
    title = f"{labels.run_title(trained.record['params'], trained.run.path)}: {about}"
    settings = {"pixel_range": trained.record["params"]["pixel_range"]} | settings
    trained.run.write_picture(name, image_grids.strips(rows, title, **settings))


def probe_codes(trained):
    """Return every test image's errors of a linear probe on the codes and of a PCA of their size; draw the test images' codes."""
    model, dataset = trained.model, trained.dataset
    train, test = dataset.in_order(data.TRAIN, terms.BATCH), dataset.test(terms.BATCH)
    errors, test_codes, classes = codes.probe_codes(model, train, test, codes.max_fit_images(dataset.image_shape))
    about = f"codes of {len(test_codes):,} test images" + ("" if model.latent_dim <= 2 else ", placed by t-SNE")
    title = f"{labels.run_title(trained.record['params'], trained.run.path)}:\n{about}"
    picture = plots.scatter(codes.in_two_dimensions(test_codes), classes, dataset.class_names, title)
    trained.run.write_picture("test_codes.png", picture)
    return errors


def feed_corrupted(trained, corrupt):
    """Return every test image's reconstruction errors for its corrupted copy; draw the first images."""
    corruption = build.build_corruption(corrupt, trained.record["params"]["pixel_range"])
    errors, shown = terms.corrupted_errors(trained.model, trained.dataset.test(terms.BATCH), corruption)
    headings = ("test images", f"with {corrupt}", "outputs for the corrupted images")
    draw_strips(trained, "test_corrupted.png", dict(zip(headings, shown)), f"test images with {corrupt}, and the outputs for them")
    return errors


def compare_gates(trained):
    """Return every test image's error of the best denoiser, or {} where it is unknown; draw the learned gate and the best gate."""
    model, dataset = trained.model, trained.dataset
    if dataset.pixel_range != "real" or not isinstance(model.corruption, corruptions.GaussianNoise):
        return {}
    variances = dataset.pixel_variances(data.TEST, terms.BATCH)
    errors, (corrupted, gate, best) = terms.optimal_denoising(model, dataset.test(terms.BATCH), variances)
    rows = {"corrupted test images": corrupted, "learned gate": gate, "best gate, of the true variance": best}
    limits = (None, (0.0, 1.0), (0.0, 1.0))
    draw_strips(trained, "test_gate.png", rows, "the gate that multiplies a corrupted image", limits=limits)
    return {"optimal_mse": errors}


def report(evaluations, output):
    """Print the table, and what was written. With an output folder, write the table and the figures that compare the runs."""
    table = table_markdown(evaluations)
    print(f"\n{table}")
    closing = after_evaluation([evaluation.run for evaluation in evaluations], bool(output))
    if not output:
        print(closing)
        return
    print("Drawing the figures that compare the runs ...", flush=True)
    folder = expanded(output)
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "table.csv", table_csv(evaluations))
    write(folder / "table.md", table)
    models = [evaluation for evaluation in evaluations if evaluation.params_dict["model"] != "classifier"]
    datasets = sorted({evaluation.params_dict["dataset"] for evaluation in models})
    names = ["table.csv", "table.md"]
    for dataset, prefix in zip(datasets, file_prefixes(datasets)):
        names += draw_comparison([evaluation for evaluation in models if evaluation.params_dict["dataset"] == dataset], folder, prefix)
    print(f"{closing}\n{written(folder, sorted(names))}")
    if models:
        print(open_first(folder / names[-1], "test images, and each run's outputs for them"))


def file_prefixes(datasets):
    """Return a prefix for the names of each dataset's figures, "" for a single dataset."""
    if len(datasets) == 1:
        return [""]
    names = [re.sub(r"\W+", "-", dataset)[-50:] for dataset in datasets]  # the name of a file has at most 255 bytes
    return [f"{name}_" if names.count(name) == 1 else f"{name}-{i}_" for i, name in enumerate(names, 1)]


def draw_comparison(evaluations, folder, prefix):
    """Draw the curves of runs on one dataset, one plot per term, and their outputs; return the names of the files, the outputs' last."""
    names = []
    run_labels = labels.run_labels([(evaluation.params_dict, evaluation.run.path) for evaluation in evaluations])
    labelled = dict(zip(run_labels, evaluations))
    params_dict = evaluations[0].params_dict
    histories = {label: evaluation.run.read_history() for label, evaluation in labelled.items()}
    for term in ("reconstruction", "kl", "neg_elbo"):
        histories_with_term = {label: rows for label, rows in histories.items() if rows and f"val_{term}" in rows[0]}
        if histories_with_term:
            names.append(f"{prefix}{term}.png")
            write(folder / names[-1], curves.compared_curves(histories_with_term, term, params_dict["dataset"]))
    rows = {"test images": evaluations[0].grid[0]} | {label: evaluation.grid[1] for label, evaluation in labelled.items()}
    title = f"{drawn(params_dict['dataset'])}: test images, and the outputs of each run for them"
    names.append(f"{prefix}grid.png")
    write(folder / names[-1], image_grids.strips(rows, title, params_dict["pixel_range"]))
    return names
