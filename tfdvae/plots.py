"""Draw numbers and arrays as figures, and return the bytes of a PNG.

The blue and vermilion of Okabe & Ito (2008) differ in grey print and for colour-blind readers.
"""

import io

import matplotlib
import numpy as np
from matplotlib.figure import Figure  # not pyplot: a file needs no screen, and a notebook's own figures stay untouched

from .lettering import as_text, drawn, drawn_apart

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GREY, DIVERGING = (matplotlib.colormaps[name].with_extremes(bad=line) for name, line in (("gray", "white"), ("RdBu_r", "0.6")))
RANGES = {"unit": (0.0, 1.0, GREY), "signed": (-1.0, 1.0, GREY), "real": (-3.0, 3.0, DIVERGING)}  # lowest and highest pixel, colour map
LABEL_BOX = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}
TITLES = {
    "loss": "loss",
    "neg_elbo": "−ELBO",
    "reconstruction": "reconstruction",
    "vae_reconstruction": "reconstruction of the VAE within",
    "kl": "KL divergence",
    "mse": "squared error",
    "kl_weight": "weight of the KL",
    "label": "class cross-entropy",
    "error": "classification error",
}


def run_curves(history):
    """Draw every term of one run over its epochs, training and validation."""
    terms = [term for term in TITLES if f"val_{term}" in history[0]]
    columns = 2 if len(terms) in (2, 4) else 3
    rows = -(-len(terms) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.1 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis, term in zip(axes.flat, terms):
        for prefix, style, label in (("", "--", "training"), ("val_", "-", "validation")):
            axis.plot(*_series(history, prefix + term), style, color=COLOURS[0], label=label)
        _label(axis, term)
        if term != "kl_weight":  # this weight may rise late
            clip_early_epochs(axis, [v for prefix in ("", "val_") for v in _series(history, prefix + term)[1]])
        axis.legend(frameon=False)
    for axis in axes.flat[len(terms) :]:
        axis.remove()
    return png(figure)


def compared_curves(histories, term, title=""):
    """Draw one validation term of several runs over their epochs; `histories` is a dict name -> rows."""
    figure = Figure(figsize=(5.6, 3.8), layout="constrained")
    axis = figure.subplots()
    values = []
    for i, (name, history) in enumerate(zip(drawn_apart(histories), histories.values())):
        for key, style, suffix in ((term, "-", ""), (f"vae_{term}", ":", ", VAE's own output")):
            if f"val_{key}" in history[0]:
                epochs, series = _series(history, f"val_{key}")
                axis.plot(epochs, series, style, color=COLOURS[i % len(COLOURS)], label=name + suffix)
                values += list(series)
    _label(axis, term, "validation ")
    clip_early_epochs(axis, values)
    axis.set_title(drawn(title, 60))
    figure.set_figheight(max(3.8, 1.0 + 0.21 * len(axis.lines)))  # inches; a legend higher than the axes would leave them no room
    axis.legend(frameon=False)
    return png(figure)


def grids(columns, pixel_range="unit", side=8, limits=None):
    """Draw sets of images as square grids, four grids in a row.

    Args:
        columns: title -> (n, H, W, C); the n-th images of all columns belong to the same input.
        pixel_range: "unit" for pixels in [0, 1], "signed" for [-1, 1], "real" for pixels about 0, in diverging colours.
        side: images in a row.
        limits: lowest and highest grey value of every column, or None for the pixel range; None uses the pixel range for all columns.
    """
    across, down = min(len(columns), 4), -(-len(columns) // 4)
    figure = Figure(figsize=(3.6 * across, 3.8 * down), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False)
    for axis in axes.flat[len(columns) :]:
        axis.remove()
    for axis, title, images, limit in zip(axes.flat, drawn_apart(columns), columns.values(), limits or [None] * len(columns)):
        low, high, colours = (*limit, GREY) if limit else RANGES[pixel_range]
        shown = axis.imshow(mosaic(images[: side * side], low, high, side), cmap=colours, vmin=0.0, vmax=1.0, interpolation="nearest")
        axis.set_title(title)
        axis.set_axis_off()
        if (limit or pixel_range == "real") and images.shape[-1] == 1:
            bar = figure.colorbar(shown, ax=axis, shrink=0.8, ticks=[0.0, 0.5, 1.0])
            bar.set_ticklabels([f"{value:.2g}" for value in (low, (low + high) / 2, high)])
    return png(figure)


def frames(pictures, caption):
    """Draw tiled pictures side by side, with a caption below: title -> (H, W, 3), values from 0 to 255."""
    height, width, _ = next(iter(pictures.values())).shape
    figure = Figure(figsize=(2.4 * len(pictures), 2.4 * height / width + 0.6), layout="constrained")
    axes = figure.subplots(1, len(pictures), squeeze=False)
    for axis, (title, picture) in zip(axes.flat, pictures.items()):
        axis.imshow(picture, interpolation="nearest")
        axis.set_title(title, fontsize=10)
        axis.set_axis_off()
    figure.supxlabel(caption, fontsize=9)
    return png(figure)


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
    axis.set_title(title)
    axis.set_xticks([])
    axis.set_yticks([])
    return png(figure)


def posterior(history):
    """Draw the posterior over the epochs of a run: active units, KL per dimension, extremes of mean and standard deviation."""
    figure = Figure(figsize=(15.0, 3.2), layout="constrained")
    axes = figure.subplots(1, 4)
    dimensions = [key for key in history[0] if key.startswith("kl_") and key[3:].isdigit()]
    axes[0].plot(*_series(history, "active_units"), color=COLOURS[0])
    axes[0].set_ylim(bottom=0)
    label_axis(axes[0], "active units\n(variance of the mean above 0.01)")
    for key in dimensions:
        axes[1].plot(*_series(history, key), color=COLOURS[0], linewidth=0.6, alpha=0.6)
    label_axis(axes[1], "KL of each dimension from N(0, 1)\n(nats per image)")
    for axis, name, label in ((axes[2], "mean", "posterior mean"), (axes[3], "std", "posterior standard deviation")):
        for i, end in enumerate(("min", "max")):
            axis.plot(*_series(history, f"posterior_{name}_{end}"), color=COLOURS[i], label={"min": "smallest", "max": "largest"}[end])
        axis.legend(frameon=False)
        label_axis(axis, label)
    return png(figure)


def mosaic(images, low=0.0, high=1.0, side=8):
    """Tile images, `side` in a row with a line between them, scaled from [low, high] to [0, 1].

    Returns:
        (H', W') with NaN for the line, which this module's colour maps show, or (H', W', 3) with a white line.
    """
    images = np.clip((np.asarray(images, np.float32) - low) / (high - low), 0.0, 1.0)
    n, height, width, channels = images.shape
    rows = -(-n // side)
    tiles = np.full((rows * side, height + 1, width + 1, channels), np.nan if channels == 1 else 1.0, np.float32)
    tiles[:n, :-1, :-1] = images
    tiled = tiles.reshape(rows, side, height + 1, width + 1, channels).transpose(0, 2, 1, 3, 4)
    tiled = tiled.reshape(rows * (height + 1), side * (width + 1), channels)[:-1, :-1]
    return tiled[..., 0] if channels == 1 else tiled


def _series(history, key):
    return np.array([row["epoch"] for row in history]), np.array([row[key] for row in history])


def _label(axis, term, prefix=""):
    unit = {"error": "fraction", "mse": "per pixel", "kl_weight": "beta"}.get(term, "nats per image")
    label_axis(axis, f"{prefix}{TITLES.get(term, term)}\n({unit})")


def label_axis(axis, label):
    """Label an axis over epochs."""
    axis.set_xlabel("epoch")
    axis.set_ylabel(label)
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.spines[["top", "right"]].set_visible(False)


def clip_early_epochs(axis, values):
    """Limit the vertical axis where high values of early epochs would flatten the later epochs."""
    low, typical, high = np.min(values), np.quantile(values, 0.9), np.max(values)
    if high - low > 3.0 * (typical - low) > 0:
        axis.set_ylim(low - 0.1 * (typical - low), low + 1.6 * (typical - low))


def png(figure):
    """Return a figure as the bytes of a PNG."""
    as_text(figure)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=130, bbox_inches="tight")
    return content.getvalue()
