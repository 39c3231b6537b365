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


def linear_probe_errors(codes, classes, test_codes, test_classes):
    """Return where a multinomial logistic regression on codes errs: (n,), 1 for an error and 0 otherwise (R1: C = 1e5).

    Args:
        codes, test_codes: (m, latent_dim) and (n, latent_dim) arrays.
        classes, test_classes: (m,) and (n,) integers.
    """
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=1e5, max_iter=2000))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a fit that has not converged: it is then the worse, which the number shows
        probe.fit(codes, classes)
    return (probe.predict(test_codes) != test_classes).astype(np.float32)


def pca_errors(images, test_images, latent_dim):
    """Return the mean squared error per pixel of test images, reconstructed from as many principal components of training images: (n,).

    It is what the best linear autoencoder of that code size makes of the training images (Baldi & Hornik 1989).

    Args:
        images, test_images: (m, H, W, C) and (n, H, W, C) arrays.
        latent_dim: number of components; no more are taken than there are pixels or images.
    """
    flat, test_flat = (np.asarray(each, np.float64).reshape(len(each), -1) for each in (images, test_images))
    pca = PCA(min(latent_dim, *flat.shape), random_state=0).fit(flat)
    restored = pca.inverse_transform(pca.transform(test_flat))
    return np.mean(np.square(restored - test_flat), axis=1).astype(np.float32)


def in_two_dimensions(codes):
    """Return (n, 2) points for codes: themselves where they have two dimensions, otherwise by t-SNE (van der Maaten & Hinton 2008)."""
    if codes.shape[1] == 2:
        return codes
    if codes.shape[1] == 1:
        return np.concatenate([codes, np.zeros_like(codes)], axis=1)
    perplexity = min(30.0, (len(codes) - 1) / 3)
    return TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(codes)
