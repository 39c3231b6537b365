"""The look of every figure: colours, axes, and a figure as the bytes of a PNG.

The blue and vermilion of Okabe & Ito (2008) differ in grey print and for colour-blind readers.
"""

import io

import matplotlib
import numpy as np
from matplotlib.figure import Figure  # not pyplot: a file needs no screen, and a notebook's own figures stay untouched

from .lettering import as_text, drawn_apart

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LABEL_BOX = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}


def scatter(points, classes, class_names, title):
    """Draw (n, 2) points, coloured by class unless `classes` is None; those without a label (-1) are grey."""
    figure = Figure(figsize=(6.4, 5.2), layout="constrained")
    axis = figure.subplots()
    if classes is None:
        axis.scatter(*points.T, s=4, color=COLOURS[0])
    else:
        colours = matplotlib.colormaps["tab10" if len(class_names) <= 10 else "turbo"].resampled(max(10, len(class_names)))
        if np.any(classes < 0):
            axis.scatter(*points[classes < 0].T, s=4, color="0.7")
        for k, name in enumerate(drawn_apart(class_names, 30)):
            axis.scatter(*points[classes == k].T, s=4, color=colours(k))
            if np.any(classes == k):  # also named in the picture: some readers cannot tell ten colours apart
                axis.annotate(name, np.median(points[classes == k], axis=0), ha="center", va="center", fontweight="bold", bbox=LABEL_BOX)
    axis.set_title(title, fontsize=10)
    axis.set_xticks([])
    axis.set_yticks([])
    return png(figure)


def label_epochs(axis, label=""):
    """Label an axis over epochs."""
    axis.set_xlabel("epoch")
    axis.set_ylabel(label)
    axis.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axis.spines[["top", "right"]].set_visible(False)


def clip_early_epochs(axis, values):
    """Limit the vertical axis where high values of early epochs would flatten the later epochs."""
    low, typical, high = np.min(values), np.quantile(values, 0.9), np.max(values)
    if high - low > 3.0 * (typical - low) > 0:
        axis.set_ylim(low - 0.1 * (typical - low), low + 1.6 * (typical - low))


def png(figure, tight=True):
    """Return a figure as the bytes of a PNG.

    Args:
        figure: of matplotlib.
        tight: whether the picture is cut to what is drawn. Otherwise it has the size and the resolution of the figure.
    """
    as_text(figure)
    content = io.BytesIO()
    figure.savefig(content, format="png", **({"dpi": 130, "bbox_inches": "tight"} if tight else {"dpi": figure.dpi}))
    return content.getvalue()
