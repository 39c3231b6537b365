"""Compile, fit and save: one run from its first epoch, or from the last one that it finished."""

import os

import keras
import tensorflow as tf

from .. import rules
from ..errors import InputError
from ..interrupts import Interrupts
from ..kernels.optimizer import FusedAdam
from ..runs.checkpoint import assign, save_best, state, weights
from ..runs.folder import BEST, LAST, TENSORBOARD
from .callbacks import EpochsInTensorBoard, ReduceOnPlateau, SaveEveryEpoch, StopAtNonFinite, StopWhenAsked, observer
from .epochs import PrintEpochs, Table, is_neg_elbo


def learning_rates(schedule, start, epochs, steps_per_epoch):
    """Return the learning rate, a number or a Keras schedule over steps."""
    rules.check({"learning_rate_schedule": schedule})
    if schedule in ("constant", "plateau"):
        return start
    if schedule == "linear":
        return keras.optimizers.schedules.PolynomialDecay(start, epochs * steps_per_epoch, end_learning_rate=0.0)
    if schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(start, epochs * steps_per_epoch)
    if schedule == "cosine_hold":
        return keras.optimizers.schedules.CosineDecay(start, max(1, round(0.8 * epochs * steps_per_epoch)), alpha=0.01)
    stairs = [max(start * 0.1**i, min(start, 1e-5)) for i in range(5)]
    edges = [round(epochs * i / 5) * steps_per_epoch for i in range(1, 5)]
    return keras.optimizers.schedules.PiecewiseConstantDecay(edges, stairs)


def make_deterministic(seed):
    """Have TensorFlow choose operations whose result does not depend on timing, for all of the process; there is no way back.

    `docs/faults.md` has the cost. On a GPU no run is repeatable without it. TensorFlow then refuses random operations without a seed; there
    is none in this package, but a notebook may have some, so they get this seed.
    """
    tf.config.experimental.enable_op_determinism()
    tf.random.set_seed(seed + 1)  # with a 0 here, TensorFlow cannot shuffle a stream by a seed that is a tensor


def compile_model(model, learning_rate, beta_2=0.999, weight_decay=0.0):
    """Give a model the optimizer that it is trained with.

    Args:
        model: of `tfdvae.models`.
        learning_rate: a number or a schedule.
        beta_2, weight_decay: as in `params.py`; the decay is that of Loshchilov & Hutter 2019 (AdamW).
    """
    optimizer = FusedAdam(learning_rate, beta_2=beta_2, weight_decay=weight_decay or None, name="adam")
    optimizer.exclude_from_weight_decay([weight for weight in model.trainable_variables if weight.name != "kernel"])
    model.compile(optimizer=optimizer, jit_compile=False)
    model.optimizer.build(model.trainable_variables)


def fit(model, dataset, run, params_dict, *, resume=False, callbacks=(), interrupts=None, verbose=False):
    """Train a built model, writing its history, weights and logs into the run's folder after every epoch.

    Args:
        model: of `tfdvae.models`.
        dataset: of `tfdvae.data`.
        run: `Run` whose folder is there.
        params_dict: epochs, batch_size, learning_rate, learning_rate_schedule, beta_2, weight_decay, seed and flip, as in `params.py`;
            others are not read.
        resume: continue after the last epoch that the run finished, as if it had never stopped.
        callbacks: further Keras callbacks, called after those of this package.
        interrupts: `Interrupts` to look at after every step, or None.
        verbose: whether to print every term after every epoch, rather than a line.

    Returns:
        The number of epochs that were done before, 0 for a run that starts.

    Raises:
        InputError: the saved state does not fit or is damaged.
        NonFiniteLoss: a term became NaN or infinite; earlier epochs stay saved.
        Interrupted: a signal came; earlier epochs stay saved.
    """
    interrupts = interrupts or Interrupts()
    epochs, batch_size, seed = (params_dict[name] for name in ("epochs", "batch_size", "seed"))
    start, schedule = params_dict["learning_rate"], params_dict["learning_rate_schedule"]
    steps = dataset.steps_per_epoch(batch_size)
    adam = {name: params_dict[name] for name in ("beta_2", "weight_decay")}
    compile_model(model, learning_rates(schedule, start, epochs, steps), **adam)
    history = restore(model, run) if resume else []
    done = len(history)
    if done >= epochs:
        return done
    lines = PrintEpochs(history, Table(model.term_names, epochs, is_neg_elbo(model)), steps, verbose)
    with interrupts.deferred(), lines.status:
        model.fit(
            dataset.train(batch_size, seed, done, params_dict["flip"]),
            steps_per_epoch=steps,
            validation_data=dataset.validation(batch_size),
            initial_epoch=done,
            epochs=epochs,
            shuffle=False,  # the pipeline does
            verbose=0,  # `PrintEpochs` prints
            check_inputs=False,  # a dataset of this package is right, and the first batch of a shuffled stream may take seconds
            callbacks=[
                StopAtNonFinite(),
                *([ReduceOnPlateau(history, start)] if schedule == "plateau" else []),
                SaveEveryEpoch(run, history, observer(model, dataset, run)),
                lines,
                EpochsInTensorBoard(run.file(TENSORBOARD)),
                StopWhenAsked(interrupts),
                *callbacks,
            ],
        )
    return done


def restore(model, run):
    """Give a compiled model the newest saved state of its run, and return the history until there, empty where nothing was saved.

    The newest undamaged state is used. The best weights must be there too, since an uninterrupted run ends with them; where the last epoch
    is the best, they are made again from its state.

    Raises:
        InputError: no saved state can be used.
    """
    variables = state(model)
    try:
        values, history, source = run.read_state(variables)
    except FileNotFoundError:
        if run.file(BEST).exists():  # a state is written before the best weights, so somebody has removed it
            raise InputError(
                f"checkpoint: {run} has {BEST} but no {LAST}, so its training cannot go on; expected both; put the state back, or train in "
                "another folder."
            ) from None
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
    assign(variables, values)
    run.write_history(history)
    return history
