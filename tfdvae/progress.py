"""How a model comes to see: the same validation images and the same draws from the prior, after every epoch.

A frame is a small PNG in the run's folder, so that a run that is resumed has those of all its epochs, and the figure and the animation are
made from the frames alone.
"""

import io
import itertools

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw

from . import plots
from .models.base import TEST_SEED

SIDE = 8  # images in a row
CHOSEN = (1, 2, 5, 10, 20, 30, 50)  # epochs in the figure, and the last
LONGEST = 100  # frames of the animation
SCALE_TO = 480  # pixels; an animation is enlarged to about this width


def shown_images(dataset):
    """Return the validation images that every frame shows, (n, H, W, C): the first `SIDE`, or all where there are fewer."""
    batch = next(iter(dataset.validation(SIDE)))
    return batch[0] if isinstance(batch, tuple) else batch


def write_frame(run, epoch, model, images, pixel_range):
    """Write what a model makes of some images after an epoch as rows of a PNG: images, mean outputs, pixel-by-pixel samples of the
    likelihood, and draws from the prior where there is one."""
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


def prior_images(model, n, pixel_range):
    """Return n images of draws from the prior, (n, H, W, C): mean images, or samples pixel by pixel where pixels are "real", whose
    means say nothing."""
    outputs = model.output_of_prior(n)
    return model.likelihood.sample(outputs, [0, 1]) if pixel_range == "real" else model.likelihood.mean(outputs)


def rows_of(model):
    """Say what the rows of a model's frames are, from the top."""
    return "images, outputs, outputs sampled pixel by pixel" + (", draws from the prior" if model.generates else "")


def figure(run, name, rows):
    """Draw the frames of some epochs beside each other; `rows` is of `rows_of`."""
    frames = run.frames()
    if not frames:
        return
    last = max(frames)
    chosen = {epoch: Image.open(io.BytesIO(frames[epoch].read_bytes())) for epoch in sorted({*CHOSEN, last}) if epoch in frames}
    if len(chosen) > 6:  # as many as a page shows
        chosen = {epoch: chosen[epoch] for epoch in (*list(chosen)[:-1:2], last)}
    plots.frames({f"epoch {epoch}": np.asarray(image) for epoch, image in chosen.items()}, run.file(name), f"rows: {rows}")


def animation(run, name, rows):
    """Write an animated GIF of the frames, at most `LONGEST` of them, that stays on the last for a while; `rows` is of `rows_of`."""
    frames = run.frames()
    if not frames:
        return
    epochs = sorted(frames)
    thinned = sorted({epochs[round(i)] for i in np.linspace(0, len(epochs) - 1, min(LONGEST, len(epochs)))})
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
