"""Numbers and arrays to figures. Blue and vermilion of Okabe & Ito (2008) stay apart in grey print and for colour-blind readers."""

import io
import pathlib

import matplotlib

matplotlib.use("Agg")  # files, not windows: runs on a machine without a screen

import matplotlib.pyplot as plt
import numpy as np

from . import files

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
TITLES = {
    "loss": "loss",
    "neg_elbo": "−ELBO",
    "reconstruction": "reconstruction",
    "vae_reconstruction": "reconstruction of the VAE within",
    "kl": "KL divergence",
    "label": "class cross-entropy",
    "error": "classification error",
}


def run_curves(history, path):
    """Draw every term of one run over its epochs, training and validation."""
    terms = [term for term in TITLES if f"val_{term}" in history[0]]
    columns = 2 if len(terms) in (2, 4) else 3
    rows = -(-len(terms) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(4.2 * columns, 3.1 * rows), squeeze=False, layout="constrained")
    for axis, term in zip(axes.flat, terms):
        for prefix, style, label in (("", "--", "training"), ("val_", "-", "validation")):
            axis.plot(*_series(history, prefix + term), style, color=COLOURS[0], label=label)
        _label(axis, term)
        _focus(axis, [v for prefix in ("", "val_") for v in _series(history, prefix + term)[1]])
        axis.legend(frameon=False)
    for axis in axes.flat[len(terms) :]:
        axis.remove()
    _save(figure, path)


def compared_curves(histories, term, path, title=""):
    """Draw one validation term of several runs over their epochs: histories is name -> rows."""
    figure, axis = plt.subplots(figsize=(5.6, 3.8), layout="constrained")
    values = []
    for i, (name, history) in enumerate(histories.items()):
        for key, style, what in ((term, "-", ""), (f"vae_{term}", ":", ", VAE's own output")):
            if f"val_{key}" in history[0]:
                epochs, series = _series(history, f"val_{key}")
                axis.plot(epochs, series, style, color=COLOURS[i % len(COLOURS)], label=name + what)
                values += list(series)
    _label(axis, term, "validation ")
    _focus(axis, values)
    axis.set_title(title)
    axis.legend(frameon=False)
    _save(figure, path)


def grids(columns, path, pixel_range="unit", side=8):
    """Draw sets of images as square grids beside each other.

    Args:
        columns: title -> (n, H, W, C); what belongs together stands in the same place of each grid.
        path: of the PNG.
        pixel_range: "unit" for pixels in [0, 1], "signed" for [-1, 1].
        side: images in a row.
    """
    low = -1.0 if pixel_range == "signed" else 0.0
    figure, axes = plt.subplots(1, len(columns), figsize=(3.6 * len(columns), 3.8), squeeze=False, layout="constrained")
    for axis, (title, images) in zip(axes.flat, columns.items()):
        mosaic = _mosaic(np.clip((np.asarray(images, np.float32) - low) / (1.0 - low), 0.0, 1.0), side)
        axis.imshow(mosaic, cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest")
        axis.set_title(title)
        axis.set_axis_off()
    _save(figure, path)


def _mosaic(images, side):
    """Tile up to side * side images, a white line between them: (H', W') grey or (H', W', 3)."""
    n, height, width, channels = images.shape
    rows = min(side, -(-n // side))
    tiles = np.ones((rows * side, height + 1, width + 1, channels), np.float32)
    tiles[: min(n, rows * side), :-1, :-1] = images[: rows * side]
    tiled = tiles.reshape(rows, side, height + 1, width + 1, channels).transpose(0, 2, 1, 3, 4)
    tiled = tiled.reshape(rows * (height + 1), side * (width + 1), channels)[:-1, :-1]
    return tiled[..., 0] if channels == 1 else tiled


def _series(history, key):
    return np.array([row["epoch"] for row in history]), np.array([row[key] for row in history])


def _label(axis, term, prefix=""):
    unit = "fraction" if term == "error" else "nats per image"
    axis.set_xlabel("epoch")
    axis.set_ylabel(f"{prefix}{TITLES.get(term, term)}\n({unit})")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.spines[["top", "right"]].set_visible(False)


def _focus(axis, values):
    """Let the first epochs run out of the picture where they would flatten all that follows."""
    low, typical, high = np.min(values), np.quantile(values, 0.9), np.max(values)
    if high - low > 3.0 * (typical - low) > 0:
        axis.set_ylim(low - 0.1 * (typical - low), low + 1.6 * (typical - low))


def _save(figure, path):
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=130, bbox_inches="tight")
    plt.close(figure)
    files.write(pathlib.Path(path), content.getvalue())
