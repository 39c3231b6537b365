"""A model's weights and the state of its training, in and out of a run folder."""

import math

import numpy as np
import tensorflow as tf

from ..build import MODEL_PARAMETERS, build_model
from ..data import preparation_of
from ..errors import InputError, reason
from .folder import BEST, LAST, PREVIOUS, RECORD, Run


def weights(model):
    """Return a model's weights (name -> variable), batch-norm statistics among them."""
    return {v.path: v for v in model.weights}


def state(model):
    """Return all that training changes (name -> variable): weights, the optimizer's variables, and random state in the model's order."""
    known = {id(v) for v in model.weights}
    random = [v for v in model.variables if id(v) not in known]
    return (
        {f"model/{v.path}": v for v in model.weights}
        | {f"optimizer/{v.path}": v for v in model.optimizer.variables}
        | {f"random/{i}": v for i, v in enumerate(random)}
    )


def arrays(variables):
    """Return the values of variables: name -> array."""
    return {name: np.asarray(variable) for name, variable in variables.items()}


def save_best(run, values, row):
    """Write the weights among the values of a state as those of the best epoch; `row` is that epoch's row in the history."""
    own = {name.removeprefix("model/"): value for name, value in values.items() if name.startswith("model/")}
    run.write_weights(BEST, own, epoch=row["epoch"], val_loss=row["val_loss"])


def assign(variables, values):
    """Give variables (name -> variable) their values (name -> array)."""
    for name, variable in variables.items():
        variable.assign(values[name])


def restore_best(model, run):
    """Give a model the weights of its run's best epoch; return that epoch's number and validation loss. Raises as `Run.read_weights`."""
    variables = weights(model)
    values, epoch, loss = run.read_best(variables)
    assign(variables, values)
    return epoch, loss


def model_arguments(params_dict, precision):
    """Return the arguments of `build_model` among a run's parameters, in the precision that the run resolved."""
    return {name: value for name, value in params_dict.items() if name in MODEL_PARAMETERS} | {"precision": precision}


def build_from_record(record):
    """Return the untrained model that a run's record describes."""
    image_shape, num_classes = tuple(record["data"]["image_shape"]), len(record["data"]["class_names"])
    return build_model(image_shape=image_shape, num_classes=num_classes, **model_arguments(record["params"], record["precision"]))


def check_size(run, record, names):
    """Raise InputError where a record describes a larger model than the run's files of these names can hold the weights of.

    This happens before the model is built: a stranger's record must not take memory that its weights do not fill. Without any of the
    files there is nothing to check.
    """
    try:
        with tf.Graph().as_default():  # variables of a graph that never runs take no memory
            size = sum(2 * math.prod(variable.shape) for variable in build_from_record(record).weights)  # or in half precision
    except Exception as error:  # layers and TensorFlow raise many kinds for values that no script would have written
        raise InputError(
            f"checkpoint: {run.file(RECORD)} describes a model that cannot be built ({reason(error)}); train the run again."
        ) from None
    sizes = {name: run.file(name).stat().st_size for name in names if run.file(name).is_file()}
    if sizes and max(sizes.values()) < size:
        raise InputError(
            f"checkpoint: {run.file(max(sizes, key=sizes.get))} is truncated or damaged: it has {max(sizes.values()):,} bytes, and the "
            f"weights of the model of {RECORD} take at least {size:,}; train the run again."
        )


def load_model(run_dir, which="best"):
    """Return the trained model of a run folder; see `tfdvae.load`."""
    if which not in ("best", "last"):
        raise InputError(f"weights: received {which!r}; expected best or last.")
    run = Run(run_dir)
    record = run.read_record()
    names = [BEST] if which == "best" else [LAST, PREVIOUS]
    if not any(run.file(name).exists() for name in names):
        raise InputError(f"checkpoint: {run} has no {names[0]}; its training had not finished an epoch, so train it again.")
    check_size(run, record, names)
    model = build_from_record(record)
    if which == "best":
        restore_best(model, run)
    else:
        expected = {f"model/{path}": variable for path, variable in weights(model).items()}
        values, history, source = run.read_state(expected, "model/")
        assign(expected, values)
        if source != LAST:
            print(f"Note: {run.file(LAST)} is missing or damaged; these are the weights of epoch {len(history)}, from the state before it.")
    model.preparation, model.binarize = preparation_of(record["params"]), record["params"]["binarize"]  # for `tfdvae.read_images`
    return model
