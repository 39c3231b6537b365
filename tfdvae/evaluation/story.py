"""What a DVAE does, in one picture: images, what its VAE makes of them, what its DAE makes of that."""

import dataclasses

import numpy as np

from ..errors import counted
from ..image_grids import RANGES, coloured
from ..models.base import TEST_SEED
from ..plots import COLOURS
from ..sheet import Sheet, fitted

ROWS = 8
AMONG = 100  # images, of which the rows are chosen
DPI = 200  # the picture is about 1,400 pixels wide, so text and images are sharp where a page shows it half as large
IMAGE = 140  # pixels on the longer side of an image
ARROW, WORDS = 200, 230  # pixels of an arrow between images, and of the words beside an output
COLUMNS = ("image", "what the VAE\nmakes of it", "what the DAE\nmakes of that")
BETTER, WORSE = COLOURS[2], COLOURS[1]


@dataclasses.dataclass(frozen=True)
class Story:
    """Images with both outputs of a DVAE, of one sample of z per image, and the errors of these outputs."""

    images: np.ndarray  # (n, H, W, C), as the two outputs
    vae_outputs: np.ndarray
    outputs: np.ndarray  # of the DAE, the final ones
    vae_errors: np.ndarray  # (n,), reconstruction errors in nats, as those of the final outputs
    errors: np.ndarray


def of_different_classes(classes, n=ROWS):
    """Return the indices of n images, in their order: the first image of every class, then the second of every class, and so on."""
    before = [int((classes[:i] == k).sum()) for i, k in enumerate(classes)]  # images of its class before an image
    return sorted(sorted(range(len(classes)), key=lambda i: (before[i], i))[:n])


def story(model, images):
    """Return the `Story` of images, (n, H, W, C), which a DVAE tells; z is drawn from a fixed seed."""
    both = model.both_outputs(images, seed=[TEST_SEED, 0])
    vae_outputs, outputs = (model.likelihood.mean(each).numpy() for each in both)
    vae_errors, errors = (model.likelihood.negative_log_likelihood(images, each).numpy() for each in both)
    return Story(np.asarray(images), vae_outputs, outputs, vae_errors, errors)


def picture(told, heading, footer, pixel_range):
    """Draw a `Story`, a row for each image, as the bytes of a PNG.

    Args:
        told: `Story`.
        heading, footer: lines above and below the rows, each a list.
        pixel_range: of the images.
    """
    sheet = Sheet(dpi=DPI)
    columns = [fitted(coloured(each, *RANGES[pixel_range]), IMAGE) for each in (told.images, told.vae_outputs, told.outputs)]
    height, width = columns[0].shape[1:3]
    places = (0, width + ARROW, 2 * (width + ARROW) + WORDS)
    middle = (places[-1] + width + WORDS) / 2
    sheet.text(middle, -160, heading[0], fontsize=11, fontweight="bold", ha="center", va="bottom")
    sheet.text(middle, -148, "\n".join(heading[1:]), fontsize=8.5, ha="center", va="top")
    for x, name in zip(places, COLUMNS):
        sheet.text(x + width / 2, -18, name, fontsize=9.5, fontweight="bold", ha="center", va="bottom", linespacing=1.1)
    for i, errors in enumerate(zip(told.vae_errors, told.errors)):
        y = i * (height + 16)
        for x, images in zip(places, columns):
            sheet.image(x - 1, y - 1, np.full((height + 2, width + 2, 3), 190, np.uint8))  # a frame, for images with white edges
            sheet.image(x, y, images[i])
        for x, network in zip(places[1:], ("VAE", "DAE")):
            sheet.text(x - ARROW / 2, y + height / 2 - 8, network, fontsize=7.5, color="0.4", ha="center", va="bottom")
            sheet.text(x - ARROW / 2, y + height / 2 + 8, "⟶", fontsize=19, color="0.4", ha="center", va="center")
        for x, error, (word, colour) in zip(places[1:], errors, compared(*errors)):
            sheet.text(x + width + 16, y + height / 2 - 2, f"{error:,.1f} nats", fontsize=9, va="bottom" if word else "center")
            sheet.text(x + width + 16, y + height / 2 + 8, word, fontsize=8, va="top", color=colour)
    sheet.text(middle, len(told.images) * (height + 16) + 14, "\n".join(footer), fontsize=8.5, ha="center", va="top", linespacing=1.4)
    return sheet.png(margin=24)


def compared(vae_error, error):
    """Return (words, colour) beside the VAE's output, which has none, and beside the DAE's: how much nearer it is to the image."""
    difference = round(round(float(error), 1) - round(float(vae_error), 1), 1)  # of the numbers as they are shown
    if difference == 0:
        words = ("as near", "0.4")
    else:
        words = (f"{-difference:,.1f} better", BETTER) if difference < 0 else (f"{difference:,.1f} worse", WORSE)
    return ("", "black"), words


def heading(title, params_dict):
    """Return the lines above the rows: the title, and in two sentences what a DVAE is."""
    together = "The two are trained together." if params_dict["propagate"] else "The two are trained side by side."
    return [title, f"A VAE redraws an image from {params_dict['latent_dim']} numbers. A DAE redraws what the VAE made. {together}"]


def footer(row, images, vae_weight, learns_variance):
    """Return the lines below the rows.

    Args:
        row: of the history, of the epoch whose weights are drawn.
        images: number of validation images.
        vae_weight: of the run.
        learns_variance: whether the likelihood has a variance for each pixel.
    """
    vae_mean, mean = row["val_vae_reconstruction"], row["val_reconstruction"]
    lines = [
        "Beside each output: its reconstruction error. Lower is nearer to the image. Better or worse: than the VAE's.",
        f"Mean over {'all ' if images > 1 else ''}{counted(images, 'validation image')}: VAE {vae_mean:,.1f} nats, DAE {mean:,.1f} nats.",
    ]
    if learns_variance:
        lines.append("The error also depends on the predicted variance of each pixel, which is not shown.")
    if vae_weight == 0:
        lines.append("The VAE's output was not trained to look like the image (vae_weight 0).")
    return lines
