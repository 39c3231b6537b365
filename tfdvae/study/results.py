"""The result of a finished run of a study: everything that the report needs, in files small enough to commit.

run.json        the run's own record: parameters, versions, git revision, data, command
per_image.npz   terms of every test image, and whether the judge erred; bound_K, importance-weighted bounds of the first images
pictures.npz    the outputs for the first test images and draws from the prior, as bytes
metrics.json    summary and notes of the evaluation, history, and digests of the judge and of the files above; written last

A study's judge is beside its results, in a run folder of its own, with weights in half precision.
"""

import dataclasses
import hashlib
import pathlib

import numpy as np

from ..errors import InputError, printable, reason
from ..evaluation.terms import labelled
from ..runs import Run, files
from ..runs.folder import BEST, JSON_LIMIT, METRICS, PER_IMAGE, RECORD
from ..runs.record import as_json, complete

PICTURES = "pictures.npz"
KEPT = ("reconstruction", "kl", "mse", "vae_reconstruction", "corrupted_neg_elbo")  # terms; −ELBO is the sum of the first two


@dataclasses.dataclass(frozen=True)
class Result:
    """What a study keeps of a finished run."""

    run: dict  # the run's own record
    summary: dict  # of the evaluation
    history: list  # one row (a dict) an epoch
    per_image: dict  # term -> (n,) array; "error", 1 where the judge erred; "bound_K"
    pictures: dict  # title -> (n, H, W, C) array of bytes
    notes: list  # sentences that a reader of the numbers must know
    evaluated_by: str | None  # git revision
    judge: str | None = None  # digest of the classifier's weights


def kept_terms(per_image):
    """Return the per-image values of an evaluation that a result keeps."""
    kept = {name: per_image[name].astype(np.float32) for name in KEPT if name in per_image}
    if "class_of_output" in per_image:
        for name, of in (("error", "output"), ("error_of_original", "original")):
            wrong = per_image[f"class_of_{of}"] != per_image["true_class"]
            kept[name] = wrong[labelled(per_image)].astype(np.uint8)
    return kept


def as_bytes(images):
    """Return images in [0, 1] as uint8."""
    return np.round(np.clip(images, 0, 1) * 255).astype(np.uint8)


def write(folder, result):
    """Write a `Result` into a folder, which is made where it is not there."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files.remove_temporaries(folder)
    contents = {
        RECORD: files.sealed(without_path(result.run)).encode(),
        PER_IMAGE: files.packed(result.per_image),
        PICTURES: files.packed({title: images.ravel() for title, images in result.pictures.items()}),
    }
    for name, content in contents.items():
        files.write(folder / name, content)
    described = {
        "summary": {name: value for name, value in result.summary.items() if name != "classifier"},  # a path of this machine
        "notes": result.notes,
        "evaluated_by": result.evaluated_by,
        "history": result.history,
        "shapes": {title: images.shape for title, images in result.pictures.items()},
        "judge": result.judge,
        "digests": {name: _digest(content) for name, content in contents.items()},
    }
    files.write(folder / METRICS, files.sealed(described))


def without_path(record):
    """Return a record without the absolute path of its images, which is for this machine alone."""
    return record | {"data": {name: value for name, value in record["data"].items() if name != "path"}}


def read(folder, params_dict, judge, bounds=()):
    """Return the `Result` in a folder, or None where there is none.

    Args:
        folder: of the result.
        params_dict: every parameter that the study has for this run; the folder it was trained in may differ.
        judge: digest of the study's classifier, None where there is no classifier yet.
        bounds: (samples, images) of each importance-weighted bound that the result should have.

    Raises:
        Damaged: a file differs from the file that was written; the result can be made again.
        InputError: the result is whole, but of other parameters or another judge, or lacks a bound.
    """
    folder = pathlib.Path(folder)
    try:
        result = _whole(folder, {f"bound_{samples}" for samples, _ in bounds})
        trained = result.run["params"]
    except FileNotFoundError as error:
        if not (folder / METRICS).exists():
            return None
        raise files.Damaged(f"{pathlib.Path(error.filename).name} is missing") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise files.Damaged(reason(error)) from None
    check_params(trained, params_dict, folder)
    if judge != result.judge:
        raise InputError(
            f"classifier: {folder} was judged by a classifier of digest {printable(result.judge)[:12]}, and the study has "
            f"{'none' if judge is None else judge[:12]}; restore the first, or move the study's results away and make them again."
        )
    for samples, images in bounds:
        if len(result.per_image.get(f"bound_{samples}", ())) != images:
            raise InputError(
                f"study: the result {folder} has no bound of {samples} samples on {images} images, which the study has; delete the "
                "result to have it made again (the run is trained again too where its folder is gone), or take the bound out of studies.py."
            )
    return result


def _whole(folder, bounds):
    """Return the `Result` in a folder after checking every digest; of its bounds, those with these names."""
    described = files.unsealed(files.read(folder / METRICS, JSON_LIMIT))
    contents = {name: files.read(folder / name, files.PACKED_LIMIT) for name in described["digests"]}
    for name, content in contents.items():
        if _digest(content) != described["digests"][name]:
            raise files.Damaged(f"{name} differs from its checksum")
    run, flat = files.unsealed(contents[RECORD]), files.unpacked(contents[PICTURES])
    values = files.unpacked(contents[PER_IMAGE])
    values = {name: each for name, each in values.items() if name in bounds or not name.startswith("bound_")}
    if not all(np.all(np.isfinite(each)) for each in values.values()):
        raise files.Damaged(f"{PER_IMAGE} has values that are not finite")
    pictures = {title: flat[title].reshape(shape) for title, shape in described["shapes"].items()}
    notes, evaluated_by = described.get("notes", []), described.get("evaluated_by")
    return Result(run, described["summary"], described["history"], values, pictures, notes, evaluated_by, described["judge"])


def check_params(trained, params_dict, folder):
    """Raise InputError where the recorded parameters of a folder differ from a study's; where it was trained does not matter."""
    trained, params_dict = as_json(complete(trained, folder, "train it again")), as_json(params_dict)
    for name, value in params_dict.items():
        if name != "run_dir" and trained[name] != value:
            raise InputError(
                f"{name}: {folder} was made with {printable(trained[name])}, and the study has {value}; expected the same; move the folder "
                "away, or restore the value in studies.py."
            )


def check_same_data(results, folder):
    """Raise InputError where runs (name -> `Result`) were trained or tested on different images: their numbers must not be averaged."""
    seen = {}
    for name, result in results.items():
        described = result.run["data"]
        seen.setdefault((described["test_fingerprint"], described["stored_fingerprint"], *described["sizes"]), name)
    if len(seen) > 1:
        raise InputError(f"data: {' and '.join(seen.values())} in {folder} are of different images; expected the same; move one away.")


def write_judge(folder, run):
    """Write a trained classifier's record and weights, in half precision, into a study's folder, as `evaluate.py --classifier` takes it."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    weights, epoch, loss = run.read_best()
    half = {name: array.astype(np.float16) for name, array in weights.items()}
    record = files.unsealed(files.read(run.file(RECORD), JSON_LIMIT))
    files.write(folder / RECORD, files.sealed(without_path(record)))
    Run(folder).write_weights(BEST, half, epoch=epoch, val_loss=loss)


def read_judge(folder, params_dict):
    """Return the record of a study's classifier, of any version of tfdvae: a report does not run it.

    Args:
        folder: of the classifier.
        params_dict: every parameter that the study has for it.

    Raises:
        InputError: it is damaged, or of other parameters.
    """
    path = pathlib.Path(folder) / RECORD
    try:
        record = files.unsealed(files.read(path, JSON_LIMIT))
        trained = record["params"]
    except (OSError, files.Damaged, KeyError) as error:
        raise _damaged_judge(path, error) from None
    check_params(trained, params_dict, folder)
    return record


def digest_of_judge(judge):
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
        f"classifier: {path} is damaged: {reason(error)}; put the file back, or move the study's classifier and results away to have them "
        "made again."
    )


def _digest(content):
    return hashlib.sha256(content).hexdigest()
