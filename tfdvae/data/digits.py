"""The 1,797 handwritten digits that scikit-learn ships: no download."""

import numpy as np
from sklearn.datasets import load_digits

from .source import Source, resize


def digits_source(image_size):
    """Return the source of the digits, 8x8 pixels or resized to a square of `image_size`."""
    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]  # 17 grey levels
    if image_size:
        images = resize(images, image_size).numpy()
    return Source(len(images), images.shape[1:], tuple("0123456789"), images, digits.target.astype(np.int64))
