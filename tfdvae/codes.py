"""What is in a code: how well a linear classifier reads the class off it, how it looks in a plane, and what a PCA of its size does."""

import math
import warnings

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

MOST = 60_000  # training images at most that a probe and a PCA are fitted to
MOST_VALUES = 150_000_000  # of all their pixels; 1.2 GB as a PCA takes them
SHOWN = 2_000  # codes at most in a picture


def most_images(image_shape):
    """Return how many training images of a shape a probe and a PCA are fitted to, at most."""
    return max(1, min(MOST, MOST_VALUES // math.prod(image_shape)))


def linear_probe(codes, classes):
    """Return a multinomial logistic regression fitted to codes (R1: C = 1e5), or None where they are of one class.

    Args:
        codes: (n, latent_dim) array.
        classes: (n,) integers.

    Returns:
        what predicts classes, (m,), from codes, (m, latent_dim).
    """
    if len(np.unique(classes)) < 2:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a fit that has not converged: it is then the worse, which the number shows
        return make_pipeline(StandardScaler(), LogisticRegression(C=1e5, max_iter=2000)).fit(codes, classes).predict


def principal_components(images, latent_dim):
    """Return what the best linear autoencoder of a code size does: PCA has its subspace and its error (Baldi & Hornik 1989).

    Args:
        images: (n, H, W, C) array to fit to.
        latent_dim: number of components; no more are taken than there are pixels or images.

    Returns:
        function, images (m, H, W, C) -> mean squared error per pixel of each, (m,).
    """

    def flat(images):
        return np.asarray(images, np.float64).reshape(len(images), -1)

    pca = PCA(min(latent_dim, *flat(images).shape), random_state=0).fit(flat(images))

    def errors(images):
        return np.mean(np.square(pca.inverse_transform(pca.transform(flat(images))) - flat(images)), axis=1).astype(np.float32)

    return errors


def in_two_dimensions(codes):
    """Return (n, 2) points for codes, (n, latent_dim), by t-SNE (van der Maaten & Hinton 2008).

    Codes of two dimensions are their own points. So are the first two dimensions of codes that hardly differ or are fewer than four, which
    t-SNE cannot place.
    """
    if codes.shape[1] == 1:
        return np.concatenate([codes, np.zeros_like(codes)], axis=1)
    if codes.shape[1] == 2 or len(codes) < 4 or codes.std(axis=0).max() < 1e-6:
        return codes[:, :2]
    return TSNE(perplexity=min(30.0, (len(codes) - 1) / 3), init="pca", random_state=0).fit_transform(codes)
