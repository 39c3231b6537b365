"""A picture laid out in whole pixels, so that images stay sharp. It ends as large as what is on it."""

import math

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import IdentityTransform
from PIL import Image

from .lettering import as_text
from .plots import png


class Sheet:
    """Images and texts at places in pixels: x to the right, y downwards, from any origin.

    Args:
        dpi: pixels of an inch; a point of a text is a 72nd of an inch.
    """

    def __init__(self, dpi=130):
        self.figure = Figure(dpi=dpi)
        self.images, self.texts = [], []

    def image(self, x, y, pixels):
        """Put an image, (H, W, 3) bytes, with its top left corner at a place."""
        self.images.append((x, y, pixels))

    def text(self, x, y, text, **style):
        """Write a text at a place; `style` is for matplotlib."""
        self.texts.append(self.figure.text(x, -y, text, transform=IdentityTransform(), **style))

    def png(self, margin=14):
        """Return the bytes of a PNG, with a margin around what is on the sheet."""
        as_text(self.figure)
        renderer = FigureCanvasAgg(self.figure).get_renderer()
        boxes = [text.get_window_extent(renderer).extents for text in self.texts]
        boxes += [(x, -y - pixels.shape[0], x + pixels.shape[1], -y) for x, y, pixels in self.images]
        left, bottom = (math.floor(edge) - margin for edge in np.min(boxes, axis=0)[:2])
        right, top = (math.ceil(edge) + margin for edge in np.max(boxes, axis=0)[2:])
        self.figure.set_size_inches(*((length + 0.01) / self.figure.dpi for length in (right - left, top - bottom)))
        for text in self.texts:
            x, y = text.get_position()
            text.set_position((x - left, y - bottom))
        for x, y, pixels in self.images:
            self.figure.figimage(pixels, x - left, -y - len(pixels) - bottom, origin="upper")
        return png(self.figure, tight=False)


def fitted(images, size):
    """Return images of bytes, (n, H, W, 3), as near to `size` pixels on their longer side as sharp pixels allow.

    Small images are enlarged by a whole factor; large ones shrink to the size.
    """
    images = np.asarray(images)
    longer = max(images.shape[1:3])
    if longer <= 1.5 * size:
        factor = max(1, round(size / longer))
        return images.repeat(factor, axis=1).repeat(factor, axis=2)
    height, width = (max(1, round(length * size / longer)) for length in images.shape[1:3])
    return np.stack([np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BOX)) for image in images])
