"""What the recipes of time_to_quality.py share: one -ELBO for all of them, and a file from which a stopped one goes on."""

import json
import os
import pathlib
from typing import NamedTuple

import numpy as np

TARGET = 95.15  # nats; the test -ELBO of the published VAE, dojoteef/dvae
BATCH = 500  # images, in validation


class Recipe(NamedTuple):
    """How often and how long a recipe is trained, and how it is drawn."""

    seeds: tuple[int, ...]
    limit: float  # minutes
    label: str
    colour: str


RECIPES = {
    "tfdvae": Recipe((0, 1, 2), 40.0, "tfdvae", "#08519c"),
    "dojoteef/dvae": Recipe((0,), 100.0, "dojoteef/dvae", "#c2410c"),
    "pythae": Recipe((0,), 40.0, "pythae", "#15803d"),
    "pytorch_example": Recipe((0,), 40.0, "PyTorch example", "#a21caf"),
    "keras_example": Recipe((0,), 40.0, "Keras example", "#7f6000"),
}


def elbo_terms(images, logits, mean, log_variance):
    """Return -ELBO of each image, in nats: Bernoulli cross-entropy, summed over pixels, plus the closed-form KL to a standard normal.

    Args:
        images: (n, ...), grey values in [0, 1], which count as probabilities.
        logits: as many numbers an image, in any shape, decoded from one draw of z.
        mean, log_variance: (n, latent_dim), of the normal posterior that z was drawn from.
    """
    images, logits = (np.reshape(each, (len(images), -1)).astype(np.float64) for each in (images, logits))
    mean, log_variance = (np.asarray(each, np.float64) for each in (mean, log_variance))
    reconstruction = np.sum(np.logaddexp(0.0, logits) - images * logits, axis=1)
    return reconstruction + 0.5 * np.sum(np.exp(log_variance) + mean**2 - 1.0 - log_variance, axis=1)


def neg_elbo(images, encode, decode):
    """Return the mean -ELBO, with one draw of z an image, from the same seed every time.

    Args:
        images: (n, 28, 28, 1) float32 in [0, 1].
        encode: function, images -> mean and log-variance, arrays (n, latent_dim).
        decode: function, z (n, latent_dim) float32 -> logits, an array.
    """
    draws, total = np.random.default_rng(0), 0.0
    for first in range(0, len(images), BATCH):
        batch = images[first : first + BATCH]
        mean, log_variance = encode(batch)
        z = mean + np.exp(0.5 * log_variance) * draws.standard_normal(mean.shape)
        total += elbo_terms(batch, decode(z.astype(np.float32)), mean, log_variance).sum()
    return total / len(images)


class Progress:
    """The epochs that one recipe has done: rows of epoch, minutes of training until then, and validation -ELBO.

    They are written after every epoch, before the recipe saves its state. So a process that goes on from an older state calls `keep`.

    Args:
        folder: where the recipe keeps what it needs to go on.
        limit: minutes after which it is stopped.
    """

    def __init__(self, folder, limit):
        self.folder, self.limit, self.parent = pathlib.Path(folder), limit, os.getppid()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path = self.folder / "epochs.json"
        self.rows = json.loads(self.path.read_text()) if self.path.exists() else []

    @property
    def minutes(self):
        return self.rows[-1][1] if self.rows else 0.0

    @property
    def ended(self):
        """Whether the target is passed, or the limit reached."""
        return bool(self.rows) and (self.rows[-1][2] <= TARGET or self.minutes >= self.limit)

    def keep(self, epochs):
        """Forget all but the first epochs: the saved state knows no more of them."""
        if len(self.rows) < epochs:
            raise RuntimeError(f"{self.folder} has a state of epoch {epochs}, but the time of {len(self.rows)} epochs; remove it")
        self.rows = self.rows[:epochs]

    def record(self, seconds, value):
        """Add an epoch, which took these seconds and ended at this -ELBO."""
        if os.getppid() != self.parent:
            raise SystemExit("the benchmark has been stopped; another may be writing here")
        self.rows.append((len(self.rows) + 1, self.minutes + seconds / 60, float(value)))
        unfinished = self.path.with_suffix(".part")
        unfinished.write_text(json.dumps(self.rows))
        os.replace(unfinished, self.path)
