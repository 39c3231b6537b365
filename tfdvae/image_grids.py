"""Many images in one picture: strips that pair images with outputs, grids of one set each, frames of a training."""

import textwrap

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from .lettering import drawn_apart
from .plots import png
from .sheet import Sheet, fitted

GREY, DIVERGING = (matplotlib.colormaps[name].with_extremes(bad=line) for name, line in (("gray", "white"), ("RdBu_r", "0.6")))
RANGES = {"unit": (0.0, 1.0, GREY), "signed": (-1.0, 1.0, GREY), "real": (-3.0, 3.0, DIVERGING)}  # lowest and highest pixel, colour map
IMAGE = 64  # pixels on the longer side of an image in a strip
ACROSS = 16  # images in a row of a strip
GAP = 2  # pixels between images
FRAME, FRAMES_ACROSS = 400, 3  # pixels on the longer side of a frame of a training; frames side by side
BAR = 12  # pixels, the width of a colour bar


def strips(rows, title, pixel_range="unit", limits=None):
    """Draw sets of images in strips: a row of each set, the n-th images of all sets below each other.

    Args:
        rows: label -> (n, H, W, C); the n-th images of all rows belong to the same input. The first row is the input.
        title: of the picture.
        pixel_range: "unit" for pixels in [0, 1], "signed" for [-1, 1], "real" for pixels about 0, in diverging colours.
        limits: lowest and highest grey value of every row, or None for the pixel range; None uses the pixel range for all rows.
    """
    sheet, y = Sheet(), 0
    sheet.text(0, -16, title, fontsize=10, va="bottom")
    coloured_rows = []
    for label, images, limit in zip(drawn_apart(rows), rows.values(), limits or [None] * len(rows)):
        low, high, colours = (*limit, GREY) if limit else RANGES[pixel_range]
        enlarged = fitted(coloured(images[: shown(len(rows))], low, high, colours), IMAGE)
        bar = (low, high, colours) if (limit or pixel_range == "real") and images.shape[-1] == 1 else None
        coloured_rows.append((textwrap.fill(label, 22), enlarged, bar))
    height, width = coloured_rows[0][1].shape[1:3]
    for start in range(0, len(coloured_rows[0][1]), ACROSS):
        for label, images, bar in coloured_rows:
            sheet.text(-10, y + height / 2, label, fontsize=8, ha="right", va="center")
            for i, image in enumerate(images[start : start + ACROSS]):
                sheet.image(i * (width + GAP), y, image)
            if bar:
                colour_bar(sheet, min(ACROSS, len(images)) * (width + GAP) + 10, y, height, *bar)
            y += height + GAP
        y += height // 3
    return sheet.png()


def shown(rows):
    """Return the number of images of a row that strips of so many rows show: about twelve rows in all, in at most four strips."""
    return ACROSS * min(4, max(1, 12 // rows))


def colour_bar(sheet, x, y, height, low, high, colours):
    """Put a colour bar with its lowest, middle and highest value at a place of a sheet."""
    ramp = colours(np.linspace(1.0, 0.0, height))[:, None, :3].repeat(BAR, axis=1)
    sheet.image(x, y, np.round(255 * ramp).astype(np.uint8))
    for value, at, va in ((high, 0.0, "top"), ((low + high) / 2, 0.5, "center"), (low, 1.0, "bottom")):
        sheet.text(x + BAR + 5, y + at * height, f"{value:.2g}", fontsize=6, va=va)


def grids(columns, title, pixel_range="unit", side=8):
    """Draw sets of images as square grids, four grids in a row.

    Args:
        columns: title -> (n, H, W, C).
        title: of the picture.
        pixel_range: as in `strips`.
        side: images in a row.
    """
    across, down = min(len(columns), 4), -(-len(columns) // 4)
    figure = Figure(figsize=(3.6 * across, 3.8 * down), layout="constrained")
    figure.suptitle(title, fontsize=10)
    axes = figure.subplots(down, across, squeeze=False)
    for axis in axes.flat[len(columns) :]:
        axis.remove()
    low, high, colours = RANGES[pixel_range]
    for axis, name, images in zip(axes.flat, drawn_apart(columns), columns.values()):
        shown = axis.imshow(mosaic(images[: side * side], low, high, side), cmap=colours, vmin=0.0, vmax=1.0, interpolation="nearest")
        axis.set_title(name, fontsize=10)
        axis.set_axis_off()
        if pixel_range == "real" and images.shape[-1] == 1:
            bar = figure.colorbar(shown, ax=axis, shrink=0.8, ticks=[0.0, 0.5, 1.0])
            bar.set_ticklabels([f"{value:.2g}" for value in (low, (low + high) / 2, high)])
    return png(figure)


def frames(pictures, rows, title):
    """Draw tiled pictures of a training side by side.

    Args:
        pictures: heading -> (H, W, 3) bytes, all of one size.
        rows: (label, number of rows) from the top.
        title: of the picture.
    """
    sheet = Sheet()
    sheet.text(0, -40, title, fontsize=10, va="bottom")
    enlarged = fitted(np.stack(list(pictures.values())), FRAME)
    height, width = enlarged.shape[1:3]
    for i, (heading, picture) in enumerate(zip(pictures, enlarged)):
        x, y = i % FRAMES_ACROSS * (width + 16), i // FRAMES_ACROSS * (height + 40)
        sheet.image(x, y, picture)
        sheet.text(x + width / 2, y - 8, heading, fontsize=9, ha="center", va="bottom")
        for label, middle in row_labels(rows, height) if x == 0 else ():
            sheet.text(-10, y + middle, textwrap.fill(label, 12), fontsize=8, ha="right", va="center")
    return sheet.png()


def row_labels(rows, height):
    """Return (label, y of its middle) for rows of a tiled picture; `rows` has (label, number of rows) from the top."""
    of_row, labels, y = height / sum(number for _, number in rows), [], 0.0
    for label, number in rows:
        labels.append((label, y + number * of_row / 2))
        y += number * of_row
    return labels


def coloured(images, low, high, colours):
    """Return images, (n, H, W, C), as colours in bytes, (n, H, W, 3); a single channel goes through a colour map."""
    images = scaled(images, low, high)
    if images.shape[-1] == 1:
        images = colours(images[..., 0])[..., :3]
    return np.round(255 * images).astype(np.uint8)


def scaled(images, low, high):
    """Return images with [low, high] scaled to [0, 1], as float32; values beyond it are cut off."""
    return np.clip((np.asarray(images, np.float32) - low) / (high - low), 0.0, 1.0)


def mosaic(images, low=0.0, high=1.0, side=8):
    """Tile images, `side` in a row with a line between them, scaled from [low, high] to [0, 1].

    Returns:
        (H', W') with NaN for the line, which this module's colour maps show, or (H', W', 3) with a white line.
    """
    images = scaled(images, low, high)
    n, height, width, channels = images.shape
    rows = -(-n // side)
    tiles = np.full((rows * side, height + 1, width + 1, channels), np.nan if channels == 1 else 1.0, np.float32)
    tiles[:n, :-1, :-1] = images
    tiled = tiles.reshape(rows, side, height + 1, width + 1, channels).transpose(0, 2, 1, 3, 4)
    tiled = tiled.reshape(rows * (height + 1), side * (width + 1), channels)[:-1, :-1]
    return tiled[..., 0] if channels == 1 else tiled
