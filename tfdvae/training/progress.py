"""Show how a model learns: the same validation images and the same draws from the prior, after every epoch.

A frame is a small PNG in the run's folder, so a resumed run has the frames of all its epochs. The figure and the animation need only the
frames.
"""

import io
import itertools

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw

from .. import plots
from ..data import images_of
from ..evaluation.terms import prior_images
from ..models.base import TEST_SEED

SIDE = 8  # images in a row
FIGURE_EPOCHS = (1, 2, 5, 10, 20, 30, 50)  # epochs in the figure, besides the last epoch
MAX_FRAMES = 100  # in the animation
SCALE_TO = 480  # pixels; the animation is enlarged to about this width


def shown_images(dataset):
    """Return the validation images that every frame shows, (n, H, W, C): the first `SIDE`, or fewer where the set is smaller."""
    return images_of(next(iter(dataset.validation(SIDE))))


def write_frame(run, epoch, model, images, pixel_range):
    """Write an epoch's PNG. Its rows are images, mean outputs, pixel-by-pixel samples and, for a model with a prior, its draws."""
    outputs = model.output(images, seed=[TEST_SEED, 0])
    rows = [images, model.likelihood.mean(outputs), model.likelihood.sample(outputs, seed=[TEST_SEED, 1])]
    if model.generates:
        rows += tf.split(prior_images(model, 2 * len(images), pixel_range), 2)
    low, high, colours = plots.RANGES[pixel_range]
    tiles = plots.mosaic(tf.concat(rows, axis=0), low, high, side=len(images))
    if tiles.ndim == 2:
        tiles = colours(tiles)[..., :3]
    content = io.BytesIO()
    Image.fromarray(np.round(255 * tiles).astype(np.uint8)).save(content, format="png")
    run.write_frame(epoch, content.getvalue())


def rows_of(model):
    """Name the rows of a model's frames, from the top."""
    return "images, outputs, outputs sampled pixel by pixel" + (", draws from the prior" if model.generates else "")


def figure(run, name, rows):
    """Draw the frames of some epochs side by side; `rows` comes from `rows_of`."""
    frames = run.frames()
    if not frames:
        return
    last = max(frames)
    shown = {epoch: Image.open(io.BytesIO(frames[epoch].read_bytes())) for epoch in sorted({*FIGURE_EPOCHS, last}) if epoch in frames}
    if len(shown) > 6:  # too many for a page
        shown = {epoch: shown[epoch] for epoch in (*list(shown)[:-1:2], last)}
    run.write_picture(name, plots.frames({f"epoch {epoch}": np.asarray(image) for epoch, image in shown.items()}, f"rows: {rows}"))


def animation(run, name, rows):
    """Write an animated GIF of at most `MAX_FRAMES` frames, which shows the last frame longer; `rows` comes from `rows_of`."""
    frames = run.frames()
    if not frames:
        return
    epochs = sorted(frames)
    thinned = sorted({epochs[round(i)] for i in np.linspace(0, len(epochs) - 1, min(MAX_FRAMES, len(epochs)))})
    pictures = [_captioned(frames[epoch], f"epoch {epoch}: {rows}") for epoch in thinned]
    content = io.BytesIO()
    durations = [*itertools.repeat(150, len(pictures) - 1), 2000]  # milliseconds
    pictures[0].save(content, format="gif", save_all=True, append_images=pictures[1:], duration=durations, loop=0)
    run.write_picture(name, content.getvalue())


def _captioned(path, caption):
    with Image.open(path) as image:
        scale = max(1, round(SCALE_TO / image.width))
        enlarged = image.convert("RGB").resize((scale * image.width, scale * image.height), Image.Resampling.NEAREST)
    framed = Image.new("RGB", (enlarged.width, enlarged.height + 16), "white")
    framed.paste(enlarged, (0, 16))
    ImageDraw.Draw(framed).text((2, 2), caption, fill="black")
    return framed.convert("P", palette=Image.Palette.ADAPTIVE)
