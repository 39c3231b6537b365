"""Show how a model learns: the same validation images and the same draws from the prior, after every epoch.

A frame is a small PNG in the run's folder, so a resumed run has the frames of all its epochs. The figure and the animation need only the
frames.
"""

import io
import itertools
import textwrap

import numpy as np
import tensorflow as tf
from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont

from .. import image_grids
from ..data import images_of
from ..evaluation.terms import prior_images
from ..models.base import TEST_SEED

SIDE = 8  # images in a row
FIGURE_EPOCHS = (1, 2, 5, 10, 20, 30, 50)  # epochs in the figure, besides the last epoch
MAX_FRAMES = 100  # in the animation
SCALE_TO = (480, 70)  # pixels, about the width of the frames in the animation and the height of one of their rows, at most
MARGIN, HEADING = 92, 24  # pixels of the labels at the left of the animation, and above it
HEADING_WIDTH = 160  # pixels of "epoch 1000 of 1000"
FONT = ImageFont.truetype(findfont("DejaVu Sans"), 12)  # which matplotlib brings


def shown_images(dataset):
    """Return the validation images that every frame shows, (n, H, W, C): the first `SIDE`, or fewer where the set is smaller."""
    return images_of(next(iter(dataset.validation(SIDE))))


def frame_writer(run, model, images, pixel_range):
    """Return the function that writes an epoch's PNG; call it with the number of the epoch.

    Its rows are images, mean outputs, pixel-by-pixel samples and, for a model with a prior, its draws.
    """

    @tf.function(autograph=False)  # operation by operation it takes six times as long
    def tiles():
        outputs = model.output(images, seed=[TEST_SEED, 0])
        rows = [images, model.likelihood.mean(outputs), model.likelihood.sample(outputs, seed=[TEST_SEED, 1])]
        if model.generates:
            rows.append(prior_images(model, 2 * len(images), pixel_range))
        return tf.concat(rows, axis=0)

    low, high, colours = image_grids.RANGES[pixel_range]

    def write(epoch):
        mosaic = image_grids.mosaic(tiles(), low, high, side=len(images))
        if mosaic.ndim == 2:
            mosaic = colours(mosaic)[..., :3]
        content = io.BytesIO()
        Image.fromarray(np.round(255 * mosaic).astype(np.uint8)).save(content, format="png")
        run.write_frame(epoch, content.getvalue())

    return write


def rows_of(model):
    """Return (label, number of rows) of a model's frames, from the top."""
    return [("images", 1), ("outputs", 1), ("outputs, sampled", 1), *([("draws from the prior", 2)] if model.generates else [])]


def figure(run, rows, title):
    """Draw the frames of some epochs side by side, as the bytes of a PNG; `rows` comes from `rows_of`."""
    frames = run.frames()
    last = max(frames)
    shown = {epoch: Image.open(io.BytesIO(frames[epoch].read_bytes())) for epoch in sorted({*FIGURE_EPOCHS, last}) if epoch in frames}
    if len(shown) > 6:  # too many for a page
        shown = {epoch: shown[epoch] for epoch in (*list(shown)[:-1:2], last)}
    return image_grids.frames({f"epoch {epoch}": np.asarray(image) for epoch, image in shown.items()}, rows, title)


def animation(run, rows):
    """Return an animated GIF of at most `MAX_FRAMES` frames, which shows the last frame longer; `rows` comes from `rows_of`."""
    frames = run.frames()
    epochs = sorted(frames)
    thinned = sorted({epochs[round(i)] for i in np.linspace(0, len(epochs) - 1, min(MAX_FRAMES, len(epochs)))})
    labelled = _labelled(rows, frames[epochs[0]])
    pictures = [_with_frame(labelled, frames[epoch], f"epoch {epoch} of {epochs[-1]}") for epoch in thinned]
    content = io.BytesIO()
    durations = [*itertools.repeat(150, len(pictures) - 1), 2000]  # milliseconds
    pictures[0].save(content, format="gif", save_all=True, append_images=pictures[1:], duration=durations, loop=0)
    return content.getvalue()


def _labelled(rows, path):
    """Return an empty picture with labels at the left of the rows, and the box of the frame in it."""
    with Image.open(path) as frame:
        width, height = frame.size
    of_row = height / sum(number for _, number in rows)
    scale = min(SCALE_TO[0] / width, SCALE_TO[1] / of_row)
    if scale > 1:
        scale = round(scale)
    width, height = round(scale * width), round(scale * height)
    picture = Image.new("RGB", (MARGIN + max(width, HEADING_WIDTH), HEADING + height), "white")
    for label, middle in image_grids.row_labels(rows, height):
        text = textwrap.fill(label, 12)
        ImageDraw.Draw(picture).multiline_text((MARGIN - 8, HEADING + middle), text, "black", FONT, anchor="rm", align="right")
    return picture, (MARGIN, HEADING, MARGIN + width, HEADING + height)


def _with_frame(labelled, path, heading):
    """Return a copy of a labelled picture with a frame in its box and a heading above, in few colours."""
    (empty, box), (left, top, right, bottom) = labelled, labelled[1]
    picture = empty.copy()
    with Image.open(path) as frame:
        sharp = right - left >= frame.width
        resampling = Image.Resampling.NEAREST if sharp else Image.Resampling.BOX
        picture.paste(frame.convert("RGB").resize((right - left, bottom - top), resampling), box)
    ImageDraw.Draw(picture).text((left, top - 6), heading, "black", FONT, anchor="ls")
    return picture.convert("P", palette=Image.Palette.ADAPTIVE)
