"""The epochs of runs as curves."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .lettering import drawn, drawn_apart
from .plots import COLOURS, clip_early_epochs, label_epochs, png

TITLES = {  # term of the objective -> title of its panel
    "loss": "loss, which training minimises",
    "neg_elbo": "−ELBO (reconstruction error + KL)",
    "reconstruction": "reconstruction error",
    "kl": "KL divergence",
    "mse": "squared error",
    "kl_weight": "weight β of the KL",
    "label": "class cross-entropy",
    "error": "classification error",
}
UNITS = {"error": "fraction of images", "mse": "per pixel", "kl_weight": "β"}  # others: nats per image
WITHIN = "VAE within"  # the first of the two outputs of a joint model
DOT = {"marker": "o", "markersize": 5, "linestyle": "none"}
BEST = {"color": "0.5", "linestyle": ":", "linewidth": 1.2}


def run_curves(history, title):
    """Draw every term of one run over its epochs, in training and validation; a line marks the best epoch."""
    terms = [term for term in TITLES if f"val_{term}" in history[0]]
    columns = 2 if len(terms) in (2, 4) else 3
    rows = -(-len(terms) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.1 * rows + 0.6), layout="constrained")
    figure.suptitle(f"{title}: over training", fontsize=11)
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis, term in zip(axes.flat, terms):
        _draw_term(axis, history, term)
    for axis in axes.flat[len(terms) :]:
        axis.remove()
    best = f"best epoch, {best_row(history)['epoch']:g}: lowest validation loss"
    styles = [_style("", len(history), "0.2", "training"), _style("val_", len(history), "0.2", "validation"), {**BEST, "label": best}]
    figure.legend(handles=[Line2D([], [], **style) for style in styles], loc="outside lower center", ncols=3, frameon=False)
    return png(figure)


def _draw_term(axis, history, term):
    """Draw a term in training and validation; of a joint model, the reconstruction errors of both outputs."""
    outputs = {"": term}
    if f"val_vae_{term}" in history[0]:
        outputs = {"final output, of the DAE": term, f"output of the {WITHIN}": f"vae_{term}"}
    values = []
    for colour, (output, key) in zip(COLOURS, outputs.items()):
        for prefix, label in (("", None), ("val_", output)):
            epochs, series = _series(history, prefix + key)
            axis.plot(epochs, series, **_style(prefix, len(epochs), colour, label))
            values += list(series)
    if len(outputs) > 1:
        axis.legend(frameon=False, fontsize=9)
    axis.axvline(best_row(history)["epoch"], **BEST)
    axis.set_title(TITLES[term], fontsize=10)
    label_epochs(axis, unit(term))
    if term != "kl_weight":  # this weight may rise late
        clip_early_epochs(axis, values)


def _style(prefix, epochs, colour, label):
    """Return the look of a curve, of training for the prefix "" and of validation for "val_"; a single epoch is a point."""
    line = {"color": colour, "label": label, "linestyle": "-" if prefix else "--"}
    return line if epochs > 1 else {**line, "marker": "o", "markerfacecolor": colour if prefix else "white"}


def compared_curves(histories, term, title=""):
    """Draw one validation term of several runs over their epochs, with a dot at each run's best epoch; `histories` is name -> rows."""
    figure = Figure(figsize=(7.2, 3.9), layout="constrained")
    axis = figure.subplots()
    values = []
    for i, (name, history) in enumerate(zip(drawn_apart(histories), histories.values())):
        outputs = {key: style for key, style in ((term, "-"), (f"vae_{term}", ":")) if f"val_{key}" in history[0]}
        for key, style in outputs.items():
            epochs, series = _series(history, f"val_{key}")
            of_output = "" if len(outputs) == 1 else ", final output" if key == term else f", {WITHIN}"
            colour = COLOURS[i % len(COLOURS)]
            axis.plot(epochs, series, style, color=colour, label=name + of_output)
            axis.plot(*marked(history, key), **DOT, color=colour)
            values += list(series)
    axis.plot([], [], **DOT, color="0.4", label="best epoch (lowest loss)")
    label_epochs(axis, unit(term))
    clip_early_epochs(axis, values)
    figure.suptitle(f"{drawn(title, 40)}: {TITLES[term]}, validation images", fontsize=11)
    entries = len(axis.get_legend_handles_labels()[0])
    figure.set_figheight(max(3.9, 1.0 + 0.21 * entries))  # inches; a legend higher than the axes would leave them no room
    axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=9)  # below the title, not beside it
    return png(figure)


def posterior(history, title):
    """Draw the posterior over the epochs of a run: active units, KL per dimension, extremes of mean and standard deviation."""
    figure = Figure(figsize=(15.0, 3.6), layout="constrained")
    figure.suptitle(f"{title}: the posterior q(z | x) of validation images", fontsize=11)
    axes = figure.subplots(1, 4)
    dimensions = [key for key in history[0] if key.startswith("kl_") and key[3:].isdigit()]
    point = {} if len(history) > 1 else {"marker": "o"}
    axes[0].plot(*_series(history, "active_units"), color=COLOURS[0], **point)
    axes[0].set_ylim(bottom=0)
    axes[0].set_title("dimensions in use\n(variance of the mean above 0.01)", fontsize=10)
    label_epochs(axes[0], "dimensions of z")
    for key in dimensions:
        axes[1].plot(*_series(history, key), color=COLOURS[0], linewidth=0.6, alpha=0.6, **point)
    axes[1].set_title("KL of each dimension from N(0, 1)", fontsize=10)
    label_epochs(axes[1], "nats per image")
    for axis, name, label in ((axes[2], "mean", "posterior mean"), (axes[3], "std", "posterior standard deviation")):
        for end, colour, extreme in (("min", COLOURS[0], "smallest"), ("max", COLOURS[1], "largest")):
            axis.plot(*_series(history, f"posterior_{name}_{end}"), color=colour, label=extreme, **point)
        axis.legend(frameon=False)
        axis.set_title(f"extremes of the {label}", fontsize=10)
        label_epochs(axis)
    for axis in axes:
        axis.axvline(best_row(history)["epoch"], **BEST)
    axes[0].plot([], [], **BEST, label="best epoch")
    axes[0].legend(frameon=False)
    return png(figure)


def best_row(history):
    """Return the row of the best epoch, which has the lowest validation loss; the first of several."""
    return min(history, key=lambda row: row["val_loss"])


def marked(history, term):
    """Return the best epoch and the validation value of a term there."""
    best = best_row(history)
    return best["epoch"], best[f"val_{term}"]


def unit(term):
    """Return the unit of a term."""
    return UNITS.get(term, "nats per image")


def _series(history, key):
    return np.array([row["epoch"] for row in history]), np.array([row[key] for row in history])
