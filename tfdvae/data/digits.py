"""The 1,797 handwritten digits that scikit-learn ships: no download."""

import numpy as np
from sklearn.datasets import load_digits

from .source import Source, Sources, resized


def digits_sources(preparation):
    """Return the `Sources` of the digits, 8x8 pixels or resized."""
    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]  # 17 grey levels
    images = np.asarray(resized(images, preparation))
    return Sources(Source(len(images), images.shape[1:], tuple("0123456789"), images, digits.target.astype(np.int64)))
