"""The lines that a training prints: the composition of its loss, a table with one line an epoch, and a bar within the epoch."""

import math
import time

import keras

from ..models import DVAE, VAE, ImDVAE
from ..terminal import StatusLine, duration, filled

# VAE recon. and DAE recon. are the reconstruction terms of a dvae's two outputs; a model with one output has recon.
LONGEST_EPOCH, NUMBER, BAR = 11, 10, 30  # characters
REFRESH = 0.1  # seconds between two states of the bar
HEADINGS = {  # term -> heading of its column, at most `NUMBER` characters
    "loss": "loss",
    "neg_elbo": "−ELBO",
    "vae_reconstruction": "VAE recon.",
    "reconstruction": "recon.",
    "kl": "KL",
    "label": "label",
    "error": "error",
}
WITH_ELBO = (VAE, DVAE, ImDVAE)
SHOWN = ("loss", "neg_elbo", "vae_reconstruction", "reconstruction", "kl", "error")  # of validation, in a line


def heading(term, terms):
    """Return the heading of a term among others. A dvae has two reconstructions: the VAE's, and the DAE's, of the final output."""
    return "DAE recon." if term == "reconstruction" and "vae_reconstruction" in terms else HEADINGS[term]


# ---- the loss in words


def composition(model):
    """Return term -> weight of the sum that is the loss of a model with a prior, without the weights that are zero."""
    weights = {"reconstruction": 1.0}
    if "vae_reconstruction" in model.term_names:
        weights = {"vae_reconstruction": model.vae_weight, "reconstruction": model.denoise_weight}
    weights |= {"kl": model.kl_weight, "label": model.label_weight}
    return {term: weight for term, weight in weights.items() if weight}


def is_neg_elbo(model):
    """Return whether the validation loss of a model is the −ELBO; False for a class that is not of the package."""
    return type(model) in WITH_ELBO and composition(model) == {"reconstruction": 1.0, "kl": 1.0}


def explanation(model):
    """Return lines that say how a loss is composed that is not the −ELBO; "" where it is, or where this is not known of the model."""
    if type(model) not in WITH_ELBO or (is_neg_elbo(model) and not model.kl_schedule):
        return ""
    headings = {term: heading(term, model.term_names) for term in HEADINGS}
    loss = " + ".join(headings[term] if weight == 1 else f"{weight:g} × {headings[term]}" for term, weight in composition(model).items())
    first = "In training, the loss is not the −ELBO from the first step on:" if is_neg_elbo(model) else ""
    sentences = [first or "Training lowers the loss, which is not the −ELBO:", f"  loss  = {loss or 0}"]
    sentences += [f"  −ELBO = {headings['reconstruction']} + KL", *map(filled, _reasons(model))]
    return "\n".join(sentences) + "\n"


def _reasons(model):
    """Yield sentences on what sets a loss and the −ELBO apart."""
    weights = composition(model)
    if {"vae_reconstruction", "reconstruction"} <= set(weights):
        yield "The loss has two reconstruction terms: training improves the VAE's output, and the DAE's, which is the final output."
    elif "vae_reconstruction" in weights:
        yield "Only the VAE's output is trained, since denoise_weight is 0. The −ELBO is of the DAE's output, which is the final output."
    if "label" in weights:
        yield "The label term is the cross-entropy of the class, as it is read from the encoder."
    if model.kl_schedule:
        yield f"In training the weight of the KL begins at 0 and rises to {model.kl_weight:g}. Validation always uses {model.kl_weight:g}."


# ---- the table


def number(value):
    """Return a number in at most `NUMBER` characters."""
    forms = [f"{value:.{decimals}f}" for decimals in (2, 1, 0)] if abs(value) >= 0.01 or not value else []
    return next((form for form in forms if len(form) <= NUMBER), f"{value:.2e}")


class Table:
    """The header and the lines of a training's table, which fit `terminal.WIDTH` columns.

    Args:
        terms: names of the model's terms.
        epochs: number of the last epoch.
        equal: whether the validation loss is the −ELBO, so that one column shows both.
    """

    def __init__(self, terms, epochs, equal=False):
        self.terms, self.epochs, self.equal = terms, epochs, equal
        self.width = min(LONGEST_EPOCH, max(len("epoch"), len(f"{epochs}/{epochs}")))
        left_out = {"neg_elbo"} if equal else {"reconstruction"} if "kl" not in terms else set()  # without a KL it is the loss
        self.shown = [term for term in SHOWN if term in terms and term not in left_out]

    def header(self):
        """Return the two lines above the table."""
        names = ["loss=−ELBO" if self.equal else "loss", *(heading(term, self.terms) for term in self.shown[1:])]
        title = " validation, nats per image " if len(names) > 2 else " validation "
        title = f"{title:-^{(NUMBER + 1) * len(names) - 1}}" if len(names) > 1 else title.strip()
        return f"{self._line('', ['training', title], 'epoch’s', 'time')}\n{self._line('epoch', ['loss', *names], 'time', 'left')}"

    def line(self, row, seconds, left):
        """Return the line of an epoch.

        Args:
            row: of the history.
            seconds: that the epoch took.
            left: seconds that the epochs to come will take.
        """
        values = [number(row["loss"])]
        for term in self.shown:
            value = row[f"val_{term}"]
            values.append(f"{100 * value:.2f} %" if term == "error" else number(value))
        return self._line(self.place(row["epoch"]), values, duration(seconds, 1), duration(left))

    def place(self, epoch):
        """Return the number of an epoch, such as "7/60", as wide as its column."""
        text = f"{epoch}/{self.epochs}"
        return f"{text if len(text) <= self.width else epoch:>{self.width}}"

    def every_term(self, row):
        """Return lines with all terms of an epoch, and its learning rate."""
        training = [f"{term}={row[term]:.6g}" for term in self.terms] + [f"learning_rate={row['learning_rate']:.6g}"]
        validation = [f"{term}={row[f'val_{term}']:.6g}" for term in self.terms]
        parts = {"training": training, "validation": validation}
        return "\n".join(filled(f"{part}: {'  '.join(words)}", "    ", hanging="      ") for part, words in parts.items())

    def _line(self, epoch, values, seconds, left):
        return f"{epoch:>{self.width}}" + "".join(f" {value:>{NUMBER}}" for value in values) + f" {seconds:>9} {left:>9}"


class Pace:
    """The time that epochs take, and that those to come will take. The clock runs from the moment when this is made."""

    def __init__(self, clock=time.monotonic):
        self.clock, self.began = clock, clock()
        self.durations, self.preparing = [], 0.0

    def add_preparation(self, seconds):
        """Note a part of the first epoch that later ones do not have: TensorFlow traces a step when it is called first."""
        self.preparing += seconds

    def end_epoch(self):
        """Return the seconds since the epoch before ended."""
        now = self.clock()
        self.durations.append(now - self.began)
        self.began = now
        return self.durations[-1]

    def left(self, epochs):
        """Return the seconds that a number of epochs will take, by the mean of those so far; of more than one, the first does not count."""
        counting = self.durations[1:] or [self.durations[0] - self.preparing]
        return epochs * sum(counting) / len(counting)


class PrintEpochs(keras.callbacks.Callback):
    """Print one line after every epoch, and show a bar within it where standard output is a terminal.

    It comes after `SaveEveryEpoch`: an epoch's time has its validation and saving, and its line means that it is saved.

    Args:
        history: rows of all epochs, the present one's too when its line is printed.
        table: `Table`.
        steps: number of steps in an epoch.
        verbose: whether to print every term.
    """

    def __init__(self, history, table, steps, verbose=False):
        super().__init__()
        self.history, self.table, self.steps, self.verbose = history, table, steps, verbose
        self.status, self.shown_at, self.traced = StatusLine(), -math.inf, set()

    def on_train_begin(self, logs=None):
        print(f"{explanation(self.model)}Preparing the first step ...\n{self.table.header()}", flush=True)
        self.pace = Pace()

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch + 1

    def on_train_batch_begin(self, batch, logs=None):
        self.step_began = self.pace.clock()

    def on_train_batch_end(self, batch, logs=None):
        self.note_first("training")
        if self.status.live and self.pace.clock() - self.shown_at >= REFRESH:
            self.shown_at = self.pace.clock()
            done = BAR * (batch + 1) // self.steps
            bar = f"[{'#' * done}{'.' * (BAR - done)}]"
            self.status.show(f"{self.table.place(self.epoch)} {bar} step {batch + 1} of {self.steps}, loss {number(logs['loss'])}")

    def on_test_begin(self, logs=None):
        self.status.show(f"{self.table.place(self.epoch)} validation ...")

    def on_test_batch_begin(self, batch, logs=None):
        self.step_began = self.pace.clock()

    def on_test_batch_end(self, batch, logs=None):
        self.note_first("validation")

    def on_epoch_end(self, epoch, logs=None):
        self.status.remove()
        seconds = self.pace.end_epoch()
        row = self.history[-1]
        print(self.table.line(row, seconds, self.pace.left(self.table.epochs - row["epoch"])), flush=True)
        if self.verbose:
            print(self.table.every_term(row), flush=True)

    def note_first(self, kind):
        """Note the time of the first step of a kind, which has been traced."""
        if kind not in self.traced:
            self.traced.add(kind)
            self.pace.add_preparation(self.pace.clock() - self.step_began)
