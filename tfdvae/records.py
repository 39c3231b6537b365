"""The record of a finished run of a study: all that its report needs, in files small enough to commit.

run.json        the run's own record, as training wrote it: parameters, versions, git revision, data, command
per_image.npz   terms of every test image, and whether the judge erred; importance-weighted bounds with K samples of the first ones: bound_K
pictures.npz    the outputs for the first test images and draws from the prior, as bytes
metrics.json    summary and notes of the evaluation, history, and digests of the judge and of the files above; written last

A study's judge lies beside its records as a run folder of its own, with weights in half precision.
"""

import dataclasses
import hashlib
import json
import pathlib

import numpy as np

from . import files
from .errors import InputError
from .runs import BEST, JSON_LIMIT, METRICS, PER_IMAGE, RECORD, Run, git_revision

PICTURES = "pictures.npz"
KEPT = ("reconstruction", "kl", "mse", "vae_reconstruction", "corrupted_neg_elbo")  # terms; −ELBO is the sum of the first two


@dataclasses.dataclass(frozen=True)
class Record:
    """What is known of a finished run."""

    run: dict  # the run's own record
    summary: dict  # of `evaluation.summarize`
    history: list  # one row (a dict) an epoch
    per_image: dict  # term -> (n,) array; "error", 1 where the judge erred; "bound_K"
    pictures: dict  # title -> (n, H, W, C) array of bytes
    notes: list  # sentences on what a reader of the numbers must know
    evaluated_by: str | None  # git revision


def kept_of(per_image):
    """Return what a record keeps of an evaluation's per-image values."""
    kept = {name: per_image[name].astype(np.float32) for name in KEPT if name in per_image}
    if "class_of_output" in per_image:
        for name, of in (("error", "output"), ("error_of_original", "original")):
            kept[name] = (per_image[f"class_of_{of}"] != per_image["true_class"]).astype(np.uint8)
    return kept


def write(folder, run, summary, per_image, bounds, pictures, notes, judge):
    """Write the record of an evaluated run.

    Args:
        folder: of the record; made where it is not there.
        run: `Run`.
        summary, per_image, notes: of its evaluation.
        bounds: number of samples -> (n,) importance-weighted bounds of the first test images, nats.
        pictures: title -> (n, H, W, C) array in [0, 1].
        judge: `Run` of the classifier that judged it.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files.remove_temporaries(folder)
    flat = {title: np.round(np.clip(images, 0, 1) * 255).astype(np.uint8) for title, images in pictures.items()}
    contents = {
        RECORD: files.read(run.file(RECORD), JSON_LIMIT),
        PER_IMAGE: files.packed(kept_of(per_image) | {f"bound_{k}": values.astype(np.float32) for k, values in bounds.items()}),
        PICTURES: files.packed({title: images.ravel() for title, images in flat.items()}),
    }
    for name, content in contents.items():
        files.write(folder / name, content)
    described = {
        "summary": {name: value for name, value in summary.items() if name != "classifier"},  # a path of this machine
        "notes": notes,
        "evaluated_by": git_revision(),
        "history": run.read_history(),
        "shapes": {title: images.shape for title, images in flat.items()},
        "judge": digest_of(judge),
        "digests": {name: _digest(content) for name, content in contents.items()},
    }
    files.write(folder / METRICS, files.sealed(described))


def read(folder, params, defaults, judge, bounds=()):
    """Return the `Record` in a folder, or None where there is none.

    Args:
        folder: of the record.
        params: dict of the parameters that the study has for this run; the folder it was trained in may differ.
        defaults: dict of the values of parameters that were added since it was trained.
        judge: digest of the study's classifier, None where there is no classifier yet.
        bounds: (samples, images) of each importance-weighted bound that it should have.

    Raises:
        Damaged: a file is not what was written; the run can be recorded again.
        InputError: the record is whole, but of other parameters or another judge, or lacks a bound.
    """
    folder = pathlib.Path(folder)
    try:
        described = files.unsealed(files.read(folder / METRICS, JSON_LIMIT))
        digests, shapes = described["digests"], described["shapes"]
        contents = {name: files.read(folder / name, files.PACKED_LIMIT) for name in digests}
        for name, content in contents.items():
            if _digest(content) != digests[name]:
                raise files.Damaged(f"{name} differs from its checksum")
        run = files.unsealed(contents[RECORD])
        values, flat = files.unpacked(contents[PER_IMAGE]), files.unpacked(contents[PICTURES])
        asked = {f"bound_{samples}" for samples, _ in bounds}
        values = {name: each for name, each in values.items() if name in asked or not name.startswith("bound_")}
        if not all(np.all(np.isfinite(each)) for each in values.values()):
            raise files.Damaged(f"{PER_IMAGE} has values that are not finite")
        pictures = {title: flat[title].reshape(shape) for title, shape in shapes.items()}
        notes, evaluated_by = described.get("notes", []), described.get("evaluated_by")
        found = Record(run, described["summary"], described["history"], values, pictures, notes, evaluated_by)
        recorded, judged_by = run["params"], described["judge"]
    except FileNotFoundError as error:
        if not (folder / METRICS).exists():
            return None
        raise files.Damaged(f"{pathlib.Path(error.filename).name} is missing") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise files.Damaged(files.reason(error)) from None
    check_params(recorded, params, defaults, folder)
    if judge != judged_by:
        raise InputError(
            f"classifier: {folder} was judged by the one with digest {files.printable(judged_by)[:12]}, and the study has "
            f"{'none' if judge is None else judge[:12]}; put that one back, or move the study's records away to have them made again."
        )
    for samples, images in bounds:
        if len(values.get(f"bound_{samples}", ())) != images:
            raise InputError(
                f"study: the record {folder} has no bound of {samples} samples on {images} images, which the study asks for; delete "
                "the record to have it made again (where the folder it was trained in is gone, it is trained again too), or take the bound "
                "out of params.py."
            )
    return found


def check_params(recorded, params, defaults, folder):
    """Raise InputError where a folder's recorded parameters differ from those that a study has; where it is trained does not matter."""
    recorded, params = (json.loads(json.dumps(each)) for each in (defaults | recorded, params))  # tuples and lists alike
    for name, value in params.items():
        if name != "run_dir" and recorded[name] != value:
            raise InputError(
                f"{name}: {folder} was made with {files.printable(recorded[name])}, and the study has {value}; expected the same; move the "
                "folder away, or put the study back."
            )


def write_judge(folder, run):
    """Write a trained classifier's record and weights, in half precision, into a study's folder: (`Run`) as `evaluate.py` takes it."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    weights, epoch, loss = run.read_best()
    half = {name: array.astype(np.float16) for name, array in weights.items()}
    files.write(folder / RECORD, files.read(run.file(RECORD), JSON_LIMIT))
    Run(folder).write_weights(BEST, half, epoch=epoch, val_loss=loss)


def read_judge(folder, params, defaults):
    """Return the record of a study's classifier, whichever version of tfdvae trained it: reporting does not run it.

    Args:
        folder: of the classifier.
        params, defaults: see `read`.

    Raises:
        InputError: it is damaged, or of other parameters.
    """
    path = pathlib.Path(folder) / RECORD
    try:
        record = files.unsealed(files.read(path, JSON_LIMIT))
        trained = record["params"]
    except (OSError, files.Damaged, KeyError) as error:
        raise _damaged_judge(path, error) from None
    check_params(trained, params, defaults, folder)
    return record


def digest_of(judge):
    """Return the digest of a classifier's weights, None where it has none.

    Raises:
        InputError: its file is damaged.
    """
    try:
        return files.tensor_metadata(judge.file(BEST))["sha256"]
    except FileNotFoundError:
        return None
    except (files.Damaged, KeyError) as error:
        raise _damaged_judge(judge.file(BEST), error) from None


def _damaged_judge(path, error):
    return InputError(
        f"classifier: {path} is damaged: {files.reason(error)}; put the file back, or move the study's classifier and records away to have "
        "them made again."
    )


def _digest(content):
    return hashlib.sha256(content).hexdigest()
