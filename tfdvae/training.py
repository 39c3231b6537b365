"""Compile, fit and save: one run from its first epoch, or from the last that it finished."""

import contextlib
import math
import os
import shlex
import sys

import keras
import numpy as np
import tensorflow as tf

from .build import MODEL_PARAMETERS, build_model
from .errors import InputError, NonFiniteLoss, TrainingFailed, check_choice
from .files import reason
from .interrupts import Interrupted, Interrupts
from .runs import BEST, LAST, PREVIOUS, RECORD, TENSORBOARD, Run, history_of

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
    check_choice("learning_rate_schedule", schedule, ("constant", "cosine", "staircase"))
    if schedule == "constant":
        return start
    if schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(start, epochs * steps_per_epoch)
    stairs = [max(start * 0.1**i, min(start, 1e-5)) for i in range(5)]
    edges = [round(epochs * i / 5) * steps_per_epoch for i in range(1, 5)]
    return keras.optimizers.schedules.PiecewiseConstantDecay(edges, stairs)


def make_deterministic():
    """Have TensorFlow choose operations whose result does not depend on timing, for all of the process; there is no way back.

    On a CPU the cost is not measurable (see `docs/faults.md`); on a GPU it is what makes a run repeatable at all.
    """
    tf.config.experimental.enable_op_determinism()


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
    rates = learning_rates(learning_rate_schedule, learning_rate, epochs, steps)
    model.compile(optimizer=keras.optimizers.Adam(rates, name="adam"), jit_compile=False)
    model.optimizer.build(model.trainable_variables)
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
                SaveEveryEpoch(run, history),
                keras.callbacks.TensorBoard(run.file(TENSORBOARD), write_graph=False),
                StopWhenAsked(interrupts),
            ],
        )
    return done


def restore(model, run):
    """Give a compiled model the state that its run goes on from, and return the history until there; nothing saved: an empty one.

    The last state is used, or, where that is damaged or was never completed, the one before it. The best weights must be there too,
    since they are part of what an uninterrupted run ends with; where the last epoch is the best, they are made again from its state.

    Raises:
        InputError: nothing that was saved can be used.
    """
    variables = state(model)
    try:
        values, metadata = run.read_weights(LAST, variables)
    except (FileNotFoundError, InputError) as error:
        if not run.file(PREVIOUS).exists():
            if isinstance(error, InputError):
                raise
            print(f"{run} has no finished epoch yet: starting from the beginning.")
            return []
        values, metadata = run.read_weights(PREVIOUS, variables)
        os.replace(run.file(PREVIOUS), run.file(LAST))
        print(f"{run.file(LAST)} is missing or damaged; going on from the state before it, of epoch {metadata['epochs']}.")
    history = history_of(metadata, run.file(LAST))
    best = min(history, key=lambda row: row["val_loss"])
    try:
        _, saved = run.read_weights(BEST, weights(model))
        usable = int(saved["epoch"]) == best["epoch"] or int(saved["epoch"]) > len(history)  # of an epoch that will be trained again
    except (FileNotFoundError, InputError):
        usable = False
    if not usable:
        if best["epoch"] != len(history):
            raise InputError(
                f"checkpoint: {run.file(BEST)} should have the weights of epoch {best['epoch']}, which cannot be made again, but is "
                "missing, damaged or of another epoch; put it back, or train the run again with --overwrite."
            )
        save_best(run, {k.removeprefix("model/"): v for k, v in values.items() if k.startswith("model/")}, best)
    for name, variable in variables.items():
        variable.assign(values[name])
    return history


def save_best(run, values, row):
    """Write the weights of the epoch of the lowest validation loss, whose row in the history is `row`."""
    run.write_weights(BEST, values, epoch=row["epoch"], val_loss=row["val_loss"])


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
    """After every epoch write the weights if the validation loss is the lowest so far, the state to go on from, and the history.

    The state is the moment of truth: what is written before it is written again, alike, where a run resumes from the state before.
    """

    def __init__(self, run, history):
        super().__init__()
        self.run, self.history = run, history

    def on_epoch_end(self, epoch, logs=None):
        lowest = min((row["val_loss"] for row in self.history), default=math.inf)
        row = {"epoch": epoch + 1, **{k: float(v) for k, v in logs.items()}}
        self.history.append(row)
        if row["val_loss"] < lowest:
            save_best(self.run, arrays(weights(self.model)), row)
        self.run.write_state(arrays(state(self.model)), self.history)
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


@contextlib.contextmanager
def faults_told(run, dataset_name):
    """Turn what a machine does to a run in training into one sentence that says what is kept.

    Raises:
        TrainingFailed: a file could not be written or read, or memory ran out.
        Interrupted: as it came, with what is kept.
    """
    try:
        yield
    except Interrupted as interrupted:
        interrupted.kept = kept(run)
        raise
    except OSError as error:
        stopped = f"{error.filename or run} cannot be written or read ({error.strerror or reason(error)})"
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        full = "No space left" in str(error)  # TensorBoard's writer calls a full disk an exhausted resource
        stopped = (
            f"{run} cannot be written (No space left on device)" if full else "memory ran out; a smaller batch_size or network needs less"
        )
    except tf.errors.OpError as error:
        stopped = f"reading {dataset_name} or writing logs into {run} failed ({_core(error)})"
    else:
        return
    raise TrainingFailed(f"{stopped}; training stopped. {kept(run)}") from None


def _core(error):
    """Return the line of a TensorFlow error that says what happened, from among those that say where."""
    where = ("Graph execution error", "Detected at node", "<stack traces", "Traceback", " ", "\t")
    told = [line for line in str(error).splitlines() if line and not line.startswith(where)]
    return (told or [type(error).__name__])[0].removeprefix("assertion failed: ")[:300].strip("[]'\" .")


def kept(run):
    """Say in a sentence what a run has saved, and how to go on with it."""
    if not run.exists:
        return "Nothing is kept."
    again = f"python train.py --resume --run-dir {shlex.quote(str(run))}"
    try:
        epochs = len(run.read_history())
    except InputError as error:
        return str(error)
    if not epochs:
        return f"No epoch was finished yet; start again with {again}"
    return f"{f'Epochs 1 to {epochs} are' if epochs > 1 else 'Epoch 1 is'} kept; go on with {again}"


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

    It is asked before the model is built, so that a stranger's record cannot ask for memory that its weights do not fill.
    """
    try:
        if max(len(record["params"].get(name, ())) for name in ("channels", "hidden_units")) > LAYERS_LIMIT:
            raise ValueError(f"it has more than {LAYERS_LIMIT} layers")
        with tf.Graph().as_default():  # variables of a graph that never runs take no memory
            size = sum(4 * math.prod(variable.shape) for variable in build_from_record(record).weights)
    except Exception as error:  # whatever a layer or TensorFlow makes of a value that no script would have written
        raise InputError(
            f"checkpoint: {run.file(RECORD)} describes a model that cannot be built ({reason(error)}); train the run again."
        ) from None
    found = {name: run.file(name).stat().st_size for name in names if run.file(name).is_file()}
    if found and max(found.values()) < size:
        raise InputError(
            f"checkpoint: {run.file(max(found, key=found.get))} is truncated or damaged: it has {max(found.values()):,} bytes, and the "
            f"weights of the model of {RECORD} take {size:,}; train the run again."
        )


def load_model(run_dir, which="best"):
    """Return the trained model of a run folder; see `tfdvae.load`."""
    if which not in ("best", "last"):
        raise InputError(f"weights: received {which!r}; expected best or last.")
    run, name, prefix = (Run(run_dir), BEST, "") if which == "best" else (Run(run_dir), LAST, "model/")
    record = run.read_record()
    check_size(run, record, [name])
    model = build_from_record(record)
    expected = {prefix + path: variable for path, variable in weights(model).items()}
    try:
        values, _ = run.read_weights(name, expected, prefix)
    except FileNotFoundError:
        raise InputError(f"checkpoint: {run} has no {name}; its training had not finished an epoch, so train it again.") from None
    for path, variable in expected.items():
        variable.assign(values[path])
    return model
