"""Compile, fit and save: one run from its first epoch, or from the last that it finished."""

import math
import os
import sys

import keras
import numpy as np
import tensorflow as tf

from . import diagnostics, progress
from .build import MODEL_PARAMETERS, build_model
from .errors import InputError, NonFiniteLoss, check_choice
from .files import reason
from .interrupts import Interrupts
from .optimizer import FusedAdam
from .runs import BEST, LAST, PREVIOUS, RECORD, TENSORBOARD, Run

PATIENCE = 10  # epochs that "plateau" waits for a lower loss, as R2
LAYERS_LIMIT = 64  # of a saved model; more is no image network, but would take long to build


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
    check_choice("learning_rate_schedule", schedule, ("constant", "cosine", "cosine_hold", "staircase", "plateau"))
    if schedule in ("constant", "plateau"):
        return start
    if schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(start, epochs * steps_per_epoch)
    if schedule == "cosine_hold":
        return keras.optimizers.schedules.CosineDecay(start, max(1, round(0.8 * epochs * steps_per_epoch)), alpha=0.01)
    stairs = [max(start * 0.1**i, min(start, 1e-5)) for i in range(5)]
    edges = [round(epochs * i / 5) * steps_per_epoch for i in range(1, 5)]
    return keras.optimizers.schedules.PiecewiseConstantDecay(edges, stairs)


def plateau_rate(losses, start):
    """Return the learning rate after epochs with these training losses: a tenth whenever more than `PATIENCE` in a row have not lowered it.

    PyTorch's ReduceLROnPlateau, which R2 uses: a loss is lower if it is by more than a ten-thousandth, and the count begins again after
    each reduction.
    """
    rate, lowest, waited = start, math.inf, 0
    for loss in losses:
        lower = loss < lowest - 1e-4 * abs(lowest) if lowest < math.inf else True
        lowest, waited = (loss, 0) if lower else (lowest, waited + 1)
        if waited > PATIENCE:
            rate, waited = rate / 10, 0
    return rate


def make_deterministic(seed):
    """Have TensorFlow choose operations whose result does not depend on timing, for all of the process; there is no way back.

    What it costs is in `docs/faults.md`. On a GPU it is what makes a run repeatable at all. TensorFlow then refuses random operations
    that nothing has seeded; nothing here is one, but a notebook's own would be, so they are given this seed.
    """
    tf.config.experimental.enable_op_determinism()
    tf.random.set_seed(seed + 1)  # with a 0 here, TensorFlow cannot shuffle a stream by a seed that is a tensor


def compile_model(model, learning_rate):
    """Give a model the optimizer that it is trained with; `learning_rate` is a number or a schedule."""
    model.compile(optimizer=FusedAdam(learning_rate, name="adam"), jit_compile=False)
    model.optimizer.build(model.trainable_variables)


def fit(model, dataset, run, *, epochs, batch_size, learning_rate, learning_rate_schedule, seed, flip=False, resume=False, interrupts=None):
    """Train a built model, writing its history, weights and logs into the run's folder after every epoch.

    Args:
        model: of `tfdvae.models`.
        dataset: of `tfdvae.data`.
        run: `Run` whose folder is there.
        resume: continue after the last epoch that the run finished, as if it had never stopped.
        interrupts: `Interrupts` to look at after every step, or None.
        The others: see `params.py`.

    Returns:
        The number of epochs that were done before, 0 for a run that starts.

    Raises:
        InputError: what was saved does not fit or is damaged.
        NonFiniteLoss: a term became NaN or infinite; what was saved before stays.
        Interrupted: a signal came; the same holds.
    """
    interrupts = interrupts or Interrupts()
    steps = dataset.steps_per_epoch(batch_size)
    compile_model(model, learning_rates(learning_rate_schedule, learning_rate, epochs, steps))
    history = restore(model, run) if resume else []
    done = len(history)
    if done >= epochs:
        return done
    with interrupts.deferred():
        model.fit(
            dataset.train(batch_size, seed, done, flip),
            steps_per_epoch=steps,
            validation_data=dataset.validation(batch_size),
            initial_epoch=done,
            epochs=epochs,
            shuffle=False,  # the pipeline does
            verbose=1 if sys.stdout.isatty() else 2,
            callbacks=[
                StopAtNonFinite(),
                *([ReduceOnPlateau(history, learning_rate)] if learning_rate_schedule == "plateau" else []),
                SaveEveryEpoch(run, history, observer(model, dataset, run)),
                keras.callbacks.TensorBoard(run.file(TENSORBOARD), write_graph=False),
                StopWhenAsked(interrupts),
            ],
        )
    return done


def restore(model, run):
    """Give a compiled model the state that its run goes on from, and return the history until there; nothing saved: an empty one.

    The newest whole state is used. The best weights must be there too, since they are part of what an uninterrupted run ends with; where
    the last epoch is the best, they are made again from its state.

    Raises:
        InputError: nothing that was saved can be used.
    """
    variables = state(model)
    try:
        values, history, source = run.read_state(variables)
    except FileNotFoundError:
        print(f"{run} has no finished epoch yet: starting from the beginning.")
        return []
    fallen_back = source != LAST
    if fallen_back:
        os.replace(run.file(source), run.file(LAST))
        print(f"{run.file(LAST)} is missing or damaged; going on from the state before it, of epoch {len(history)}.")
    best = min(history, key=lambda row: row["val_loss"])
    try:
        _, epoch, _ = run.read_best(weights(model))
    except (FileNotFoundError, InputError):
        epoch = None
    to_be_trained_again = fallen_back and epoch == len(history) + 1
    if epoch != best["epoch"] and not to_be_trained_again:
        if best["epoch"] != len(history):
            raise InputError(
                f"checkpoint: {run.file(BEST)} should have the weights of epoch {best['epoch']}, which cannot be made again, but is "
                "missing, damaged or of another epoch; put it back, or train the run again with --overwrite."
            )
        save_best(run, values, best)
    for name, variable in variables.items():
        variable.assign(values[name])
    run.write_history(history)
    return history


def save_best(run, values, row):
    """Write the weights among the values of a state, those of the epoch of the lowest validation loss; `row` is its row in the history."""
    own = {name.removeprefix("model/"): value for name, value in values.items() if name.startswith("model/")}
    run.write_weights(BEST, own, epoch=row["epoch"], val_loss=row["val_loss"])


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


class ReduceOnPlateau(keras.callbacks.Callback):
    """Give every epoch the learning rate that follows from the history of those before it; see `plateau_rate`."""

    def __init__(self, history, start):
        super().__init__()
        self.history, self.start = history, start

    def on_epoch_begin(self, epoch, logs=None):
        self.model.optimizer.learning_rate = plateau_rate([row["loss"] for row in self.history], self.start)


def observer(model, dataset, run):
    """Return what adds learning rate and posterior statistics to an epoch's row, and draws a frame of the run's progress.

    It comes before the state is saved: what a killed process has observed twice is the same, and nothing is missed.
    """
    shown = progress.shown_images(dataset) if model.reconstructs else None
    validation = dataset.validation(diagnostics.BATCH)  # made once: TensorFlow keeps some of every pipeline that was ever made

    def observe(row):
        row["learning_rate"] = float(model.optimizer.learning_rate)
        if model.generates:
            row |= diagnostics.posterior_statistics(*diagnostics.posteriors(model, validation))
        if model.reconstructs:
            progress.write_frame(run, row["epoch"], model, shown, dataset.pixel_range)

    return observe


class SaveEveryEpoch(keras.callbacks.Callback):
    """After every epoch write the state to go on from, the weights if the validation loss is the lowest so far, and the history.

    The state comes first: what follows it can be made from it, should the process die in between (see `restore`).

    Args:
        run: `Run`.
        history: rows of the epochs before, which is continued.
        observe: called with an epoch's row before it is saved, to add to it; see `observer`.
    """

    def __init__(self, run, history, observe=lambda row: None):
        super().__init__()
        self.run, self.history, self.observe = run, history, observe

    def on_epoch_end(self, epoch, logs=None):
        lowest = min((row["val_loss"] for row in self.history), default=math.inf)
        row = {"epoch": epoch + 1, **{k: float(v) for k, v in logs.items()}}
        self.observe(row)
        values = arrays(state(self.model))
        broken = [name for name, value in {**values, **row}.items() if not np.all(np.isfinite(value))]
        if broken:
            raise NonFiniteLoss(
                f"{broken[0]} has values that are not finite after epoch {epoch + 1}, which was not saved. "
                "A smaller learning_rate or precision float32 may help."
            )
        self.history.append(row)
        self.run.write_state(values, self.history)
        if row["val_loss"] < lowest:
            save_best(self.run, values, row)
        self.run.write_history(self.history)


class StopWhenAsked(keras.callbacks.Callback):
    """End training after the step in which a signal came."""

    def __init__(self, interrupts):
        super().__init__()
        self.interrupts = interrupts

    def on_train_batch_end(self, batch, logs=None):
        self.interrupts.check()

    def on_test_batch_end(self, batch, logs=None):
        self.interrupts.check()

    def on_epoch_end(self, epoch, logs=None):
        self.interrupts.check()


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


def build_from_record(record):
    """Return the untrained model that a run's record describes."""
    chosen = {k: v for k, v in record["params"].items() if k in MODEL_PARAMETERS}
    chosen |= {"precision": record["precision"]}
    return build_model(image_shape=tuple(record["data"]["image_shape"]), num_classes=len(record["data"]["class_names"]), **chosen)


def check_size(run, record, names):
    """Raise InputError where a record describes a larger model than any of the run's files of these names can hold the weights of.

    It is asked before the model is built, so that a stranger's record cannot ask for memory that its weights do not fill. Where none of
    the files is there, there is nothing to ask.
    """
    try:
        if max(len(record["params"].get(name, ())) for name in ("channels", "hidden_units", "decoder_units")) > LAYERS_LIMIT:
            raise ValueError(f"it has more than {LAYERS_LIMIT} layers")
        with tf.Graph().as_default():  # variables of a graph that never runs take no memory
            size = sum(2 * math.prod(variable.shape) for variable in build_from_record(record).weights)  # or in half precision
    except Exception as error:  # whatever a layer or TensorFlow makes of a value that no script would have written
        raise InputError(
            f"checkpoint: {run.file(RECORD)} describes a model that cannot be built ({reason(error)}); train the run again."
        ) from None
    found = {name: run.file(name).stat().st_size for name in names if run.file(name).is_file()}
    if found and max(found.values()) < size:
        raise InputError(
            f"checkpoint: {run.file(max(found, key=found.get))} is truncated or damaged: it has {max(found.values()):,} bytes, and the "
            f"weights of the model of {RECORD} take at least {size:,}; train the run again."
        )


def load_model(run_dir, which="best"):
    """Return the trained model of a run folder; see `tfdvae.load`."""
    if which not in ("best", "last"):
        raise InputError(f"weights: received {which!r}; expected best or last.")
    run = Run(run_dir)
    record = run.read_record()
    names, prefix = ([BEST], "") if which == "best" else ([LAST, PREVIOUS], "model/")
    if not any(run.file(name).exists() for name in names):
        raise InputError(f"checkpoint: {run} has no {names[0]}; its training had not finished an epoch, so train it again.")
    check_size(run, record, names)
    model = build_from_record(record)
    expected = {prefix + path: variable for path, variable in weights(model).items()}
    values = run.read_best(expected)[0] if which == "best" else run.read_state(expected, prefix)[0]
    for path, variable in expected.items():
        variable.assign(values[path])
    return model
