"""Figures of a study, as the bytes of a PNG. Every variant has its own mark and line, which differ in grey print, too."""

import itertools

import numpy as np
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..lettering import drawn, drawn_apart
from ..plots import COLOURS, clip_early_epochs, label_axis, png
from .comparison import along_curve

MARKS = "osD^v<>PX*hpd"
LINES = ("-", "--", ":", "-.")
PANELS = {
    "reconstruction": "reconstruction (nats per image)",
    "neg_elbo": "−ELBO (nats per image)",
    "error": "classifier error on outputs (%)",
}
AT_EQUAL_RATE = {  # kinds of differences that have a panel
    "reconstruction": PANELS["reconstruction"],
    "error": "classifier error on outputs (percentage points)",
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
            axis.plot(line, scale * values, color="0.6", linewidth=1.2, label="the VAE's curve", zorder=1)
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
        axis.set_xlabel("KL divergence, the rate (nats per image)")
        axis.set_ylabel(PANELS[term])
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"study {drawn(name)}, test set; bars are standard deviations over seeds")
    beside.axis("off")
    handles, labels = axes[0].get_legend_handles_labels()
    marks = [handle[0] if isinstance(handle, ErrorbarContainer) else handle for handle in handles]  # without bars across them
    beside.legend(marks, labels, loc="upper left", frameon=False)
    return png(figure)


def gaps(differences):
    """Draw distances from the VAE's curve at equal rate with both intervals, one panel a kind."""
    kinds = [kind for kind in AT_EQUAL_RATE if any(d.kind == kind for d in differences)]
    rows = max(sum(d.kind == kind for d in differences) for kind in kinds)
    figure = Figure(figsize=(5.2 * len(kinds), 1.4 + 0.45 * rows), layout="constrained")
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
        axis.set_yticks(range(len(shown)), [f"{drawn(d.variant, 24)} (n = {len(d.seeds)})" for d in shown])
        axis.set_ylim(-0.5, len(shown) - 0.5)
        axis.set_xlabel(AT_EQUAL_RATE[kind] + "\nminus the VAE's at the same rate; left is better")
        axis.spines[["top", "right"]].set_visible(False)
    labels = ("95 % over seeds (t)", "95 % over test images (bootstrap)")
    lines = [Line2D([], [], color=colour, linewidth=2, label=label) for colour, label in zip(COLOURS, labels)]
    figure.legend(handles=lines, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return png(figure)


def curves(histories, term, label):
    """Draw a validation term over the epochs: the mean over seeds, and between the lowest and the highest a band.

    Args:
        histories: variant -> list of histories, one a seed.
    """
    figure = Figure(figsize=(7.0, 4.0), layout="constrained")
    axis = figure.subplots()
    drawn = []
    for variant, (name, colour, _, line) in looks(histories).items():
        values = np.array([[row[f"val_{term}"] for row in history] for history in histories[variant]])
        epochs = np.arange(1, values.shape[1] + 1)
        axis.plot(epochs, values.mean(axis=0), line, color=colour, linewidth=1.4, label=name)
        axis.fill_between(epochs, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.2, linewidth=0)
        drawn.extend(values.ravel())
    label_axis(axis, label)
    clip_early_epochs(axis, drawn)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return png(figure)
