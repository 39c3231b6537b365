"""One run of a study: train it, evaluate it, bound it, and return its result."""

import dataclasses

import keras

from .. import data, rules
from ..errors import counted, reported_as_fault
from ..evaluation import importance, terms
from ..evaluation.options import check_judge
from ..evaluation.run import Judge, Trained, evaluate_run
from ..interrupts import Interrupts
from ..runs import Run
from ..runs.checkpoint import load_model
from ..runs.origin import git_revision
from ..runs.record import complete
from ..runs.start import claimed
from ..training.run import train
from .results import Result, as_bytes, check_params, digest_of_judge, kept_terms

BOUND_BATCH = 100  # images; part of the definition of the bounds, since pixels and latents are drawn per batch


@dataclasses.dataclass(frozen=True)
class Job:
    """A run of a study in plain values: beside it a process, here or elsewhere, needs the judge's folder and the data."""

    study: str
    variant: str
    seed: int
    params_dict: dict  # every parameter; run_dir is the folder that it is trained in
    judge: str  # folder of the classifier
    bounds: tuple[tuple[int, int], ...] = ()  # (samples, images) of each importance-weighted bound

    @property
    def key(self):
        """(variant, seed)."""
        return self.variant, self.seed


def run_job(job, interrupts=None):
    """Train a run to its end, evaluate it, bound it, and return its `Result`. A run that was begun goes on, a finished one is kept.

    Args:
        job: `Job`.
        interrupts: `Interrupts` that make a signal wait for the end of a step, or None.

    Raises:
        InputError: the run or the judge cannot be used.
        NonFiniteLoss: training diverged.
        Fault: the machine failed; finished epochs are kept.
    """
    interrupts = interrupts or Interrupts()
    judge = Run(job.judge)
    check_judge(judge, judge.read_record(), [{"params": job.params_dict}])
    run = train_run(job.params_dict, f"python compare.py {job.study}", interrupts)
    with run.locked(), reported_as_fault(run, run.resume_hint):
        record = run.read_record()
        print(f"Loading {run} and its images ...", flush=True)
        trained = Trained(run, record, load_model(run), data.load_recorded(record))
        evaluation = evaluate_run(trained, Judge(judge, load_model(judge)))
        images, outputs = evaluation.grid
        samples = terms.prior_images(trained.model, terms.GRID, trained.dataset.pixel_range).numpy()
        return Result(
            run=record,
            summary=evaluation.summary,
            history=run.read_history(),
            per_image=kept_terms(evaluation.per_image) | bounds_of(trained, job.bounds, interrupts),
            pictures={"images": as_bytes(images), "outputs": as_bytes(outputs), "samples": as_bytes(samples)},
            notes=evaluation.notes,
            evaluated_by=git_revision(),
            judge=digest_of_judge(judge),
        )


def train_run(params_dict, command, interrupts):
    """Train a run in its run_dir to its end, or go on with it, and return the `Run`.

    Args:
        params_dict: every parameter.
        command: for the record.
        interrupts: see `run_job`.
    """
    params_dict = complete(params_dict, "job", "add it")
    rules.check(params_dict)
    with claimed(params_dict) as run:
        if run.exists:
            check_params(run.read_record()["params"], params_dict, run)
        with reported_as_fault(run, run.resume_hint):
            train(run, params_dict, resume=run.exists, command=command, interrupts=interrupts)
    keras.backend.clear_session()  # or the models of all runs would stay in memory
    return run


def bounds_of(trained, bounds, interrupts):
    """Return importance-weighted bounds on binarised test images, for which the encoder sees the images that it was trained on.

    Args:
        trained: `Trained`.
        bounds: (samples, images) of each.
        interrupts: see `run_job`.

    Returns:
        dict "bound_SAMPLES" -> (images,) float32 array, nats.
    """
    if not bounds:
        return {}
    arguments = data.dataset_arguments(trained.record["params"])
    binarized = data.load_dataset(**arguments | {"name": trained.dataset.name, "binarize": "sample"})
    values = {}
    for samples, images in bounds:
        counts = f"{counted(images, 'test image')} with {counted(samples, 'sample')} each"
        print(f"Measuring a bound on log p(x): {counts} ...", flush=True)
        pairs = (map(data.images_of, pair) for pair in zip(trained.dataset.test(BOUND_BATCH), binarized.test(BOUND_BATCH)))
        sizes = [min(BOUND_BATCH, images - first) for first in range(0, images, BOUND_BATCH)]
        batches = ([part[:size] for part in pair] for size, pair in zip(sizes, pairs))
        values[f"bound_{samples}"] = importance.importance_bounds(trained.model, batches, samples, interrupts.check).astype("float32")
    return values
