"""The last lines of a training or an evaluation: the files that were written, the picture to open first, and the next commands."""

from ..terminal import command, filled, written
from .folder import FILES, FRAMES, METRICS, PER_IMAGE, TENSORBOARD

OPEN_FIRST = {  # the first of them that a training drew
    "story.png": "images, the VAE's outputs for them, and the DAE's",
    "reconstructions.png": "validation images, and the model's outputs for them",
    "curves.png": "every term after every epoch",
}


def of_evaluation(name):
    """Return whether a file of a run is written by an evaluation, rather than by the training."""
    return name in (METRICS, PER_IMAGE) or name.startswith("test_")


def files_of(run, evaluation=False):
    """Return the names of the files that a training or an evaluation wrote into a run's folder; names of folders end with /."""
    names = [name for name in FILES if of_evaluation(name) == evaluation and run.file(name).exists()]
    return sorted(names) + ([] if evaluation else [f"{name}/" for name in (FRAMES, TENSORBOARD) if run.file(name).is_dir()])


def open_first(path, shows):
    """Return the lines that say which picture to open first."""
    return filled(f"Open first: {path} ({shows})")


def after_training(run, model):
    """Return lines: the files of a finished training of a model, the picture to open first, and how to measure it."""
    names = files_of(run)
    first = next(name for name in OPEN_FIRST if name in names)
    lines = [written(run, names), open_first(run.file(first), OPEN_FIRST[first])]
    lines.append(f"Next, measure it on the test set:\n  {command('evaluate.py', run)}")
    if model == "classifier":
        lines.append(filled(f"Or let it judge the outputs of other runs: evaluate those with --classifier {run}"))
    return "\n".join(lines)


def after_evaluation(runs, compared=False):
    """Return lines: the files that an evaluation wrote into the folders of runs, and the picture to open first.

    Args:
        runs: `Run`s.
        compared: whether there is a picture of all runs, which is to be opened first.
    """
    folders = {}
    for run in runs:
        folders.setdefault(tuple(files_of(run, evaluation=True)), []).append(str(run))
    lines = [written(", ".join(paths), names) for names, paths in folders.items()]
    drawn = next((run for run in runs if run.file("test_grid.png").exists()), None)
    if drawn and not compared:
        lines.append(open_first(drawn.file("test_grid.png"), "test images, and the model's outputs for them"))
    return "\n".join(lines)
