"""Figures of a study, as the bytes of a PNG. Every variant has its own mark and line, which differ in grey print, too."""

import itertools

import numpy as np
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..curves import marked
from ..lettering import drawn, drawn_apart
from ..plots import COLOURS, clip_early_epochs, label_epochs, png
from .comparison import along_curve

MARKS = "osD^v<>PX*hpd"
DOT = {"marker": "o", "markersize": 3, "linestyle": "none"}
LINES = ("-", "--", ":", "-.")
PANELS = {  # term -> title and unit
    "reconstruction": ("reconstruction error", "nats per image"),
    "neg_elbo": ("−ELBO (reconstruction error + KL)", "nats per image"),
    "error": ("classifier error on outputs", "%"),
}
AT_EQUAL_RATE = {  # kinds of differences that have a panel -> title and unit
    "reconstruction": PANELS["reconstruction"],
    "error": ("classifier error on outputs", "percentage points"),
}


def looks(variants):
    """Return variant -> (label, colour, mark, line)."""
    ways = (drawn_apart(variants), *map(itertools.cycle, (COLOURS, MARKS, LINES)))
    return dict(zip(variants, zip(*ways)))


def rate_distortion(points, curve, name):
    """Draw variants over their rate: reconstruction, -ELBO, in which a nat is easier to see, and the classifier's error.

    Args:
        points: variant -> dict of "kl", "reconstruction", "neg_elbo" and "error", (seeds,) arrays of means over test images.
        curve: variants that are the VAE at several weights of the KL, through whose means a curve is drawn.
        name: of the study.
    """
    figure = Figure(figsize=(10.0, 7.6), layout="constrained")
    *axes, beside = figure.subplots(2, 2).flat
    for axis, term in zip(axes, PANELS):
        scale = 100.0 if term == "error" else 1.0
        through = [points[variant] for variant in curve if variant in points]
        if len(through) == len(curve):
            rates = np.array([point["kl"].mean() for point in through])
            line = np.linspace(rates.min(), rates.max(), 200)
            distortion = (
                "reconstruction" if term == "neg_elbo" else term
            )  # -ELBO is not monotone: interpolate the distortion and add the rate
            values = along_curve(rates, [point[distortion].mean() for point in through])(line) + (line if term == "neg_elbo" else 0.0)
            axis.plot(line, scale * values, color="0.6", linewidth=1.2, label="curve of VAEs of several β", zorder=1)
        for variant, (label, colour, mark, _) in looks(points).items():
            rate, value = points[variant]["kl"], scale * points[variant][term]
            spread = [values.std(ddof=1) if len(values) > 1 else None for values in (rate, value)]
            axis.errorbar(
                rate.mean(),
                value.mean(),
                xerr=spread[0],
                yerr=spread[1],
                fmt=mark,
                color=colour,
                markersize=6,
                markerfacecolor="white" if variant in curve else colour,
                capsize=2,
                label=label,
            )
        axis.set_title(f"{PANELS[term][0]} over the rate", fontsize=11)
        axis.set_xlabel("KL divergence, the rate (nats per image)")
        axis.set_ylabel(f"{PANELS[term][1]};  ← lower is better")
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"study {drawn(name)}: means over the test set; bars are standard deviations over seeds")
    beside.axis("off")
    handles, labels = axes[0].get_legend_handles_labels()
    marks = [handle[0] if isinstance(handle, ErrorbarContainer) else handle for handle in handles]  # without bars across them
    beside.legend(marks, labels, loc="upper left", frameon=False)
    return png(figure)


def gaps(differences, name):
    """Draw distances from the VAE's curve at equal rate with both intervals, one panel a kind; `name` is the study's."""
    kinds = [kind for kind in AT_EQUAL_RATE if any(d.kind == kind for d in differences)]
    rows = max(sum(d.kind == kind for d in differences) for kind in kinds)
    figure = Figure(figsize=(6.4 * len(kinds), 2.0 + 0.45 * rows), layout="constrained")
    for axis, kind in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds):
        shown = [d for d in differences if d.kind == kind][::-1]
        scale = 100.0 if kind == "error" else 1.0
        for y, d in enumerate(shown):
            for offset, interval, colour in ((0.12, d.over_seeds, COLOURS[0]), (-0.12, d.over_images, COLOURS[1])):
                if interval is not None:
                    axis.plot([scale * end for end in interval], [y + offset] * 2, color=colour, linewidth=2)
            axis.plot(scale * d.mean, y, "o", color="black", markersize=5)
            axis.plot([scale * value for value in d.per_seed], [y] * len(d.per_seed), "|", color="0.4", markersize=7)
        axis.axvline(0.0, color="0.6", linewidth=1)
        axis.set_yticks(range(len(shown)), [f"{drawn(d.variant)} (n = {len(d.seeds)})" for d in shown])
        axis.set_ylim(-0.5, len(shown) - 0.5)
        title, unit = AT_EQUAL_RATE[kind]
        axis.set_title(title, fontsize=11, pad=20)
        axis.text(0.0, 1.01, "← better    worse →", transform=axis.get_xaxis_transform(), ha="center", va="bottom", fontsize=9)
        axis.set_xlabel(f"difference from a VAE of the same rate ({unit})")
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"study {drawn(name)}: is a variant better than a VAE of the same KL divergence? The line at 0 is the VAE.")
    styles = ((COLOURS[0], "-", "", "95 % over seeds (t)"), (COLOURS[1], "-", "", "95 % over test images (bootstrap)"))
    styles += (("black", "", "o", "mean over n seeds"), ("0.4", "", "|", "one seed"))
    lines = [Line2D([], [], color=colour, linestyle=line, marker=mark, label=label) for colour, line, mark, label in styles]
    figure.legend(handles=lines, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return png(figure)


def curves(histories, term, title):
    """Draw a validation term over the epochs: the mean over seeds, between the lowest and the highest a band, and the best epochs.

    Args:
        histories: variant -> list of histories, one a seed.
        term: of the objective.
        title: of the figure.
    """
    figure = Figure(figsize=(8.4, 4.2), layout="constrained")
    axis = figure.subplots()
    drawn = []
    for variant, (name, colour, _, line) in looks(histories).items():
        values = np.array([[row[f"val_{term}"] for row in history] for history in histories[variant]])
        epochs = np.arange(1, values.shape[1] + 1)
        axis.plot(epochs, values.mean(axis=0), line, color=colour, linewidth=1.4, label=name)
        axis.fill_between(epochs, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.2, linewidth=0)
        axis.plot(*zip(*(marked(history, term) for history in histories[variant])), **DOT, color=colour)
        drawn.extend(values.ravel())
    axis.plot([], [], **DOT, color="0.4", label="best epoch of a seed (lowest loss)")
    label_epochs(axis, "nats per image")
    clip_early_epochs(axis, drawn)
    figure.suptitle(title, fontsize=11)
    axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)  # below the title, not beside it
    return png(figure)
