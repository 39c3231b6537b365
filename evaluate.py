"""Evaluate trained runs on the test set: python evaluate.py --checkpoint RUN [RUN ...] [--classifier RUN] [--output FOLDER]."""

import dataclasses
import pathlib
import shlex
import sys

import tyro

from tfdvae.errors import InputError
from tfdvae.runs import Run, write


@dataclasses.dataclass(frozen=True)
class Options:
    """What `evaluate.py` is asked to do."""

    # folders of the runs to evaluate, as train.py printed them
    checkpoint: tuple[str, ...]
    # folder of a classifier's run, trained on the same data, to judge the models' outputs
    classifier: str = ""
    # folder for the table and the figures that set the runs beside each other; none: the table is printed alone
    output: str = ""


def main(checkpoint, classifier="", output=""):
    """Evaluate runs, write what was found into their folders, and return the rows of the table.

    Args:
        checkpoint: folders of runs.
        classifier: folder of a classifier's run, or "".
        output: folder for table.csv, table.md, curves and grids, or "".

    Raises:
        InputError: a run or its data cannot be used; nothing has been written then.
    """
    if not checkpoint:
        raise InputError("checkpoint: received none; expected the folder of at least one run; add --checkpoint RUN.")
    runs = [Run(path) for path in checkpoint]
    records = [run.read_record() for run in runs]
    judge = Run(classifier) if classifier else None
    if judge:
        check_judge(judge.read_record(), records, judge)
    if output:
        Run(output).check_writable()

    from tfdvae.startup import import_tensorflow

    import_tensorflow()
    from tfdvae.training import load_model

    models = [load_model(run) for run in runs]  # all of them, before the first is evaluated
    judging_model = load_model(judge) if judge else None
    rows, grids = [], {}
    for run, record, model in zip(runs, records, models):
        summary, grid = evaluate_run(run, record, model, judging_model)
        rows.append({"model": record["params"]["model"], "dataset": record["params"]["dataset"], "seed": record["params"]["seed"]})
        rows[-1] |= {"summary": summary, "run": str(run)}
        grids[str(run)] = grid
    report(runs, records, rows, grids, output)
    if not judge and any(row["model"] != "classifier" for row in rows):
        record = records[0]
        command = ["python", "train.py", record["preset"], "--model", "classifier", "--dataset", record["params"]["dataset"]]
        print(
            f"\nFor the classifier's error on the outputs, train one with\n  {shlex.join(command)}\nand add --classifier with its folder."
        )
    return rows


def check_judge(judge, records, folder):
    """Raise InputError where a classifier's record is not one, or not of the data of every run."""
    if judge["params"]["model"] != "classifier":
        raise InputError(f"classifier: {folder} is a {judge['params']['model']}; expected the run of a classifier; train one.")
    for record in records:
        for name in ("dataset", "image_size", "pixel_range"):
            ours, theirs = judge["params"][name], record["params"][name]
            if ours != theirs:
                raise InputError(f"classifier: {folder} was trained with {name} {ours}; expected {theirs}, as the run; train one with it.")


def evaluate_run(run, record, model, judge):
    """Evaluate one run, write its numbers and its grid, and return the summary and (images, outputs) or None for a classifier."""
    from tfdvae import data, evaluation, plots

    params = record["params"]
    names = ("validation_fraction", "image_size", "pixel_range", "binarize", "memory_limit")
    dataset = data.load_dataset(params["dataset"], **{name: params[name] for name in names})
    expected = tuple(record["data"]["image_shape"])
    if dataset.image_shape != expected or list(dataset.class_names) != list(record["data"]["class_names"]):
        raise InputError(
            f"checkpoint: {run} was trained on images of {expected}; {params['dataset']} now has {dataset.image_shape}; train again."
        )
    is_classifier = params["model"] == "classifier"
    batches = dataset.test(evaluation.BATCH)
    per_image = evaluation.evaluate_model(model, batches, judge if dataset.num_classes and not is_classifier else None)
    summary = evaluation.summarize(per_image)
    run.write_evaluation({"model": params["model"], "dataset": params["dataset"], "seed": params["seed"], **summary}, per_image)
    if is_classifier:
        return summary, None
    grid = evaluation.reconstruction_grid(model, batches)
    low = -1.0 if params["pixel_range"] == "signed" else 0.0
    plots.grids({"test images": grid[0], f"{params['model']} outputs": grid[1]}, run.file("test_grid.png"), low)
    return summary, grid


def report(runs, records, rows, grids, output):
    """Print the table, and write it with the figures that compare the runs where an output folder is given."""
    from tfdvae import plots
    from tfdvae.report import table_csv, table_markdown

    table = table_markdown(rows)
    notes = {record["data"]["note"] for record in records} - {""}
    print(
        f"\n{table}\nMean ± standard error over {', '.join(sorted({str(row['summary']['n']) for row in rows}))} test images; nats per image."
    )
    for note in sorted(notes):
        print(f"Note: {note}.")
    if not output:
        return
    folder = pathlib.Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "table.csv", table_csv(rows))
    write(folder / "table.md", table)
    models = [(run, record) for run, record in zip(runs, records) if record["params"]["model"] != "classifier"]
    for dataset in sorted({record["params"]["dataset"] for _, record in models}):
        chosen = [(run, record) for run, record in models if record["params"]["dataset"] == dataset]
        prefix = (
            "" if len({record["params"]["dataset"] for _, record in models}) == 1 else f"{dataset.replace('/', '-').replace(':', '-')}_"
        )
        labels = name_apart([record for _, record in chosen], [run for run, _ in chosen])
        histories = {label: run.read_history() for label, (run, _) in zip(labels, chosen)}
        for term in ("reconstruction", "kl", "neg_elbo"):
            having = {label: rows for label, rows in histories.items() if rows and f"val_{term}" in rows[0]}
            if having:
                plots.compared_curves(having, term, folder / f"{prefix}{term}.png", dataset)
        low = -1.0 if chosen[0][1]["params"]["pixel_range"] == "signed" else 0.0
        columns = {"test images": grids[str(chosen[0][0])][0]}
        columns |= {f"{label} outputs": grids[str(run)][1] for label, (run, _) in zip(labels, chosen)}
        plots.grids(columns, folder / f"{prefix}grid.png", low)
    print(f"Written: {', '.join(sorted(path.name for path in folder.iterdir()))} in {folder}")


def name_apart(records, runs):
    """Return a label for each run: its model, with the seed or the folder's name where models repeat."""
    models = [record["params"]["model"] for record in records]
    if len(set(models)) == len(models):
        return models
    seeded = [f"{record['params']['model']}, seed {record['params']['seed']}" for record in records]
    return seeded if len(set(seeded)) == len(seeded) else [str(run) for run in runs]


def command_line(arguments):
    """Run the script, turning what the user can mend into one sentence and exit status 2."""
    try:
        options = tyro.cli(Options, prog="evaluate.py", description="Evaluate trained runs on the test set.", args=arguments)
        main(**dataclasses.asdict(options))
    except InputError as error:
        print(f"evaluate.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(command_line(sys.argv[1:]))
