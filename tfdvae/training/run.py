"""One training, from parameters to a finished run folder."""

import numpy as np
import tensorflow as tf

from .. import data, rules
from ..build import build_model
from ..errors import InputError, counted, printable
from ..evaluation import posterior
from ..runs.checkpoint import check_size, model_arguments, restore_best
from ..runs.files import remove_temporaries
from ..runs.folder import LAST, PREVIOUS
from ..runs.origin import origin
from ..terminal import filled, names_as_they_come
from . import defaults
from .fit import fit, make_deterministic
from .pictures import draw_pictures


def train(
    run, params_dict, *, preset=None, given=None, resume=False, moved_to="", command=None, callbacks=(), interrupts=None, verbose=False
):
    """Load the data, build the model, fit it and draw its pictures.

    Args:
        run: `Run`, whose folder the caller has locked.
        params_dict: every parameter, checked.
        preset: name of the preset that they come from, for the record.
        given: names of the parameters that the user gave; others get defaults that fit the images. None leaves all as they are.
        resume: go on with the run in the folder.
        moved_to: where the images of a run to go on with are now, as in `dataset`, or "".
        command: command line that makes this run, for the record.
        callbacks: further Keras callbacks.
        interrupts: `Interrupts` that make a signal wait for the end of a step, or None.
        verbose: whether to print every term after every epoch.

    Raises:
        InputError: the data cannot be used, or does not fit the parameters or the run.
        Fault: training began and could not be finished; earlier epochs stay saved.
    """
    make_deterministic(params_dict["seed"])
    print(f"Reading {printable(params_dict['dataset'])} ...", flush=True)
    if resume:
        record = run.read_record()
        whole = data.load_recorded(record, moved_to="" if moved_to == record["params"]["dataset"] else moved_to)
    else:
        whole = data.load_dataset(**data.dataset_arguments(params_dict))
    dataset = whole.labelled() if params_dict["model"] == "classifier" else whole
    check_classes(params_dict, dataset)
    if given is not None and not resume:
        params_dict, report = defaults.completed(params_dict, given, dataset.image_shape, dataset.sizes[data.TRAIN])
        rules.check(params_dict)
        if report:
            print(report)
    check_batch_size(params_dict, dataset)
    if resume:
        check_size(run, record, (LAST, PREVIOUS))
        run.note_differences(record, origin())
        remove_temporaries(run.path)
        precision = record["precision"]
    else:
        precision = resolve_precision(params_dict["precision"])
    arguments = model_arguments(params_dict, precision)
    model = build_model(image_shape=dataset.image_shape, num_classes=dataset.num_classes, **arguments)
    if not resume:
        described = {"precision": precision, "data": data.describe(whole)}
        run.start(params_dict=params_dict, preset=preset, command=command, **described, **origin())
    print(_introduction(run, params_dict, precision, model, dataset, resume))
    for sentence in (data.class_sentence(whole), *(f"Note: {note}" for note in whole.notes)):
        if sentence:
            print(filled(f"{sentence}."))
    for warning in data.warnings_of(dataset):
        print(filled(f"Warning: {warning}."))
    fit_settings = {"resume": resume, "callbacks": callbacks, "interrupts": interrupts, "verbose": verbose}
    if fit(model, dataset, run, params_dict, **fit_settings) >= params_dict["epochs"]:
        print(f"{run} was finished already, with {counted(params_dict['epochs'], 'epoch')}.")
    finish(run, model, dataset, params_dict)


def finish(run, model, dataset, params_dict):
    """Draw a finished run, and print the warnings about it and its best epoch, whose weights the model then has."""
    epoch, loss = restore_best(model, run)
    print("Drawing the pictures:", flush=True)
    with names_as_they_come() as announce:
        draw_pictures(run, model if model.reconstructs else None, dataset, params_dict, announce)
    if model.generates:
        warn_of_posterior(run, dataset, params_dict)
    print(f"Done: {run} (best epoch {epoch}, validation loss {loss:.3f}).")


def check_classes(params_dict, dataset):
    """Raise InputError where the model needs classes or labels that the images do not have."""
    advice = f"{dataset.name} has none: give each class a folder, or choose another dataset"
    classes = dataset.num_classes
    if params_dict["model"] == "classifier" and classes:
        classes = len(np.unique(dataset.parts[data.TRAIN].labels))  # those that it could learn
        if dataset.sizes[data.TRAIN] == 1:
            raise InputError(f"dataset {dataset.name} has one labelled training image: expected more; add images, or labels.")
        if not dataset.sizes[data.VALIDATION]:
            raise InputError(f"dataset {dataset.name} has no labelled validation image: expected at least one; raise validation_fraction.")
    rules.check_classes(params_dict["model"], params_dict["label_weight"], classes, advice)


def check_batch_size(params_dict, dataset):
    """Raise InputError where there are fewer training images than a batch has."""
    size, images = params_dict["batch_size"], dataset.sizes[data.TRAIN]
    if size > images:
        raise InputError(
            f"batch_size: received {size}; expected at most the number of training images of {dataset.name}, {images}; choose fewer."
        )


def resolve_precision(precision):
    """Return "float32" or "bfloat16"; "auto" takes bfloat16 where the GPU or the processor multiplies it in hardware."""
    if precision != "auto":
        return precision
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        major = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))[0]
        return "bfloat16" if major >= 8 else "float32"
    try:
        with open("/proc/cpuinfo") as file:
            flags = file.read()
    except OSError:
        return "float32"
    return "bfloat16" if "avx512_bf16" in flags or "amx_bf16" in flags else "float32"


def _introduction(run, params_dict, precision, model, dataset, resume):
    """Return the lines that say which training begins."""
    network = params_dict["network"] if model.reconstructs else "cnn"
    train, validation, test = dataset.sizes
    return "\n".join((
        filled(
            f"{'Resuming' if resume else 'Training'} {params_dict['model']} ({network}, {model.count_params():,} parameters, {precision}) "
            f"for {counted(params_dict['epochs'], 'epoch')}"
        ),
        f"Run folder: {run}",
        f"Images: {'x'.join(map(str, dataset.image_shape))}; {train:,} for training, {validation:,} for validation, {test:,} for the test.",
    ))  # fmt: skip


def warn_of_posterior(run, dataset, params_dict):
    """Print warnings where the latent of a finished run carries little, or the weight of its KL never rose."""
    last = run.read_history()[-1]
    collapse = posterior.collapse_warning(last, params_dict["latent_dim"], data.ALIKE.get(data.alike(dataset), ""))
    for warning in (collapse, posterior.schedule_warning(last)):
        if warning:
            print(warning)
