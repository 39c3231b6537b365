"""Compile, fit and save: one run from its first epoch, or from the last that it finished."""

import math
import sys

import keras
import numpy as np
import tensorflow as tf

from .build import MODEL_PARAMETERS, build_model
from .errors import InputError, NonFiniteLoss, check_choice
from .runs import BEST, LAST, TENSORBOARD, Run


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


def learning_rates(schedule, start, epochs, steps_per_epoch):
    """Return the learning rate, a number or a Keras schedule over steps."""
    check_choice("learning_rate_schedule", schedule, ("constant", "cosine", "staircase"))
    if schedule == "constant":
        return start
    if schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(start, epochs * steps_per_epoch)
    stairs = [max(start * 0.1**i, min(start, 1e-5)) for i in range(5)]
    edges = [round(epochs * i / 5) * steps_per_epoch for i in range(1, 5)]
    return keras.optimizers.schedules.PiecewiseConstantDecay(edges, stairs)


def fit(model, dataset, run, *, epochs, batch_size, learning_rate, learning_rate_schedule, seed, flip=False, resume=False):
    """Train a built model, writing its history, weights and logs into the run's folder after every epoch.

    Args:
        model: of `tfdvae.models`.
        dataset: of `tfdvae.data`.
        run: `Run` whose folder is there.
        resume: continue after the last epoch that the run finished.
        The others: see `params.py`.

    Raises:
        InputError: saved weights do not fit.
        NonFiniteLoss: a term became NaN or infinite; what was saved before stays.
    """
    steps = dataset.steps_per_epoch(batch_size)
    rates = learning_rates(learning_rate_schedule, learning_rate, epochs, steps)
    model.compile(optimizer=keras.optimizers.Adam(rates, name="adam"), jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    history, first_epoch = [], 0
    if resume:
        values, metadata = run.read_weights(LAST)
        assign(state(model), values, run.file(LAST))
        first_epoch = int(metadata["epochs"])
        history = run.read_history()[:first_epoch]
    if first_epoch >= epochs:
        return
    model.fit(
        dataset.train(batch_size, seed, first_epoch, flip),
        steps_per_epoch=steps,
        validation_data=dataset.validation(batch_size),
        initial_epoch=first_epoch,
        epochs=epochs,
        shuffle=False,  # the pipeline does
        verbose=1 if sys.stdout.isatty() else 2,
        callbacks=[
            StopAtNonFinite(),
            SaveEveryEpoch(run, history),
            keras.callbacks.TensorBoard(run.file(TENSORBOARD), write_graph=False),
        ],
    )


class StopAtNonFinite(keras.callbacks.Callback):
    """Raise as soon as a running mean is NaN or infinite, naming the step and the terms."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self.check(logs, f"step {batch + 1} of epoch {self.epoch + 1}")

    def on_test_end(self, logs=None):
        self.check(logs, f"validation after epoch {self.epoch + 1}")

    @staticmethod
    def check(logs, where):
        broken = [name for name, value in logs.items() if not math.isfinite(value)]
        # the loss and the ELBO are sums: where a part of them is broken, the part is the news
        parts = [name for name in broken if name not in ("loss", "neg_elbo")] or broken
        if parts:
            raise NonFiniteLoss(
                f"{' and '.join(parts)} became {logs[parts[0]]} at {where}; training stopped, what was saved before stays. "
                "A smaller learning_rate or precision float32 may help."
            )


class SaveEveryEpoch(keras.callbacks.Callback):
    """After every epoch write the history, the state to go on from, and the weights if the validation loss is the lowest so far."""

    def __init__(self, run, history):
        super().__init__()
        self.run, self.history = run, history
        self.lowest = min((row["val_loss"] for row in history), default=math.inf)

    def on_epoch_end(self, epoch, logs=None):
        self.history.append({"epoch": epoch + 1, **{k: float(v) for k, v in logs.items()}})
        if logs["val_loss"] < self.lowest:
            self.lowest = float(logs["val_loss"])
            self.run.write_weights(BEST, arrays(weights(self.model)), epoch=epoch + 1, val_loss=self.lowest)
        self.run.write_history(self.history)
        self.run.write_weights(LAST, arrays(state(self.model)), epochs=epoch + 1)


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


def assign(variables, values, source):
    """Give variables (name -> variable) values (name -> array) of the same names and shapes.

    Raises:
        InputError: names or shapes differ, or a value is not finite.
    """
    if set(variables) != set(values):
        raise InputError(f"checkpoint: {source} holds the weights of another model than its run.json describes; train the run again.")
    for name, variable in variables.items():
        if tuple(variable.shape) != values[name].shape:
            raise InputError(
                f"checkpoint: {source} has {name} of shape {values[name].shape}; expected {tuple(variable.shape)}; it belongs to other "
                "data or another model, so train the run again."
            )
        if not np.all(np.isfinite(values[name])):
            raise InputError(f"checkpoint: {source} has values in {name} that are not finite; train the run again.")
    for name, variable in variables.items():
        variable.assign(values[name])


def build_from_record(record):
    """Return the untrained model that a run's record describes."""
    chosen = {k: v for k, v in record["params"].items() if k in MODEL_PARAMETERS}
    chosen |= {"precision": record["precision"]}
    return build_model(image_shape=tuple(record["data"]["image_shape"]), num_classes=len(record["data"]["class_names"]), **chosen)


def load_model(run_dir, which="best"):
    """Return the trained model of a run folder; see `tfdvae.load`."""
    if which not in ("best", "last"):
        raise InputError(f"weights: received {which!r}; expected best or last.")
    run = Run(run_dir)
    model = build_from_record(run.read_record())
    source = BEST if which == "best" else LAST
    values, _ = run.read_weights(source)
    if which == "last":
        values = {k.removeprefix("model/"): v for k, v in values.items() if k.startswith("model/")}
    assign(weights(model), values, run.file(source))
    return model
