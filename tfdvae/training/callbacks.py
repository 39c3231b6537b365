"""Keras callbacks: save every epoch, observe it, write it for TensorBoard, lower the learning rate, and stop."""

import math

import keras
import numpy as np

from ..errors import NonFiniteLoss
from ..evaluation import posterior
from ..runs.checkpoint import arrays, save_best, state
from . import progress

PATIENCE = 10  # epochs that "plateau" waits for a lower loss


def plateau_rate(losses, start):
    """Return the learning rate after epochs with these training losses: a tenth whenever more than `PATIENCE` in a row have not lowered it.

    As PyTorch's ReduceLROnPlateau: a loss counts as lower if it is lower by more than a ten-thousandth, and the count begins again after
    each reduction.
    """
    rate, lowest, waited = start, math.inf, 0
    for loss in losses:
        lower = loss < lowest - 1e-4 * abs(lowest) if lowest < math.inf else True
        lowest, waited = (loss, 0) if lower else (lowest, waited + 1)
        if waited > PATIENCE:
            rate, waited = rate / 10, 0
    return rate


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
        # the loss and the ELBO are sums: name the broken term, not the sum
        parts = [name for name in broken if name not in ("loss", "neg_elbo")] or broken
        if parts:
            raise NonFiniteLoss(
                f"{' and '.join(parts)} became {logs[parts[0]]} at {where}; training stopped, earlier epochs stay saved. "
                "A smaller learning_rate or precision float32 may help."
            )


class ReduceOnPlateau(keras.callbacks.Callback):
    """Set the learning rate of every epoch from the history of the earlier ones; see `plateau_rate`."""

    def __init__(self, history, start):
        super().__init__()
        self.history, self.start = history, start

    def on_epoch_begin(self, epoch, logs=None):
        self.model.optimizer.learning_rate = plateau_rate([row["loss"] for row in self.history], self.start)


def observer(model, dataset, run):
    """Return the function that adds learning rate and posterior statistics to an epoch's row, and draws a frame of the run's progress.

    It is called before the state is saved. A process that is killed in between observes the epoch again, with the same result.
    """
    write_frame = None
    if model.reconstructs:
        write_frame = progress.frame_writer(run, model, progress.shown_images(dataset), dataset.pixel_range)
    validation = dataset.validation(posterior.BATCH)  # made once, since TensorFlow keeps some memory for every pipeline

    def observe(row):
        row["learning_rate"] = float(model.optimizer.learning_rate)
        if model.generates:
            row |= posterior.posterior_statistics(*posterior.posteriors(model, validation))
        if write_frame:
            write_frame(row["epoch"])

    return observe


class SaveEveryEpoch(keras.callbacks.Callback):
    """After every epoch write the state to go on from, the weights if the validation loss is the lowest so far, and the history.

    The state comes first: the other files can be made from it where the process dies in between (see `fit.restore`).

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


class EpochsInTensorBoard(keras.callbacks.TensorBoard):
    """Write the terms of every epoch. Keras' own also goes through the terms after every batch, for which it has no file then."""

    def __init__(self, log_dir):
        super().__init__(log_dir, write_graph=False, update_freq="epoch")

    def on_train_batch_end(self, batch, logs=None):
        pass


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
