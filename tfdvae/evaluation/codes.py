"""Evaluate codes: the error of a linear probe, a picture in two dimensions, and the error of a PCA of the same size."""

import math
import warnings

import numpy as np
import tensorflow as tf
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ..data import UNLABELLED, images_and_labels

MAX_FIT_IMAGES = 60_000  # most training images for fitting a probe and a PCA
MAX_FIT_VALUES = 150_000_000  # most pixel values of these images; 1.2 GB in the PCA's float64
SHOWN = 2_000  # most codes in a picture


def max_fit_images(image_shape):
    """Return the largest number of training images of this shape for fitting a probe and a PCA."""
    return max(1, min(MAX_FIT_IMAGES, MAX_FIT_VALUES // math.prod(image_shape)))


def linear_probe(codes, classes):
    """Fit a multinomial logistic regression (C = 1e5) to codes; return None where they have only one class.

    Args:
        codes: (n, latent_dim) array.
        classes: (n,) integers.

    Returns:
        function, codes (m, latent_dim) -> classes (m,).
    """
    if len(np.unique(classes)) < 2:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a fit that has not converged: its higher error shows it
        return make_pipeline(StandardScaler(), LogisticRegression(C=1e5, max_iter=2000)).fit(codes, classes).predict


def principal_components(images, latent_dim):
    """Fit a PCA. It has the error of the best linear autoencoder with this code size (Baldi & Hornik 1989).

    Args:
        images: (n, H, W, C) array to fit to.
        latent_dim: number of components, at most the number of pixels and of images.

    Returns:
        function, images (m, H, W, C) -> mean squared error per pixel, (m,).
    """

    def flat(images):
        return np.asarray(images, np.float64).reshape(len(images), -1)

    pca = PCA(min(latent_dim, *flat(images).shape), random_state=0).fit(flat(images))

    def errors(images):
        return np.mean(np.square(pca.inverse_transform(pca.transform(flat(images))) - flat(images)), axis=1).astype(np.float32)

    return errors


def in_two_dimensions(codes):
    """Return (n, 2) points for codes, (n, latent_dim), by t-SNE (van der Maaten & Hinton 2008).

    Codes of one or two dimensions are the points themselves. t-SNE cannot place codes that hardly differ, or fewer than four codes. Their
    first two dimensions are the points.
    """
    if codes.shape[1] == 1:
        return np.concatenate([codes, np.zeros_like(codes)], axis=1)
    if codes.shape[1] == 2 or len(codes) < 4 or codes.std(axis=0).max() < 1e-6:
        return codes[:, :2]
    print("Placing the codes in a plane, by t-SNE ...", flush=True)
    return TSNE(perplexity=min(30.0, (len(codes) - 1) / 3), init="pca", random_state=0).fit_transform(codes)


def read_codes(model, batches):
    """Yield codes (B, latent_dim), images (B, H, W, C) and classes (B,) or None, as arrays, for every batch of a pipeline."""
    encode = tf.function(model.codes, autograph=False, reduce_retracing=True)
    for batch in batches:
        images, classes = images_and_labels(batch)
        yield encode(images).numpy(), images.numpy(), None if classes is None else classes.numpy()


def probe_codes(model, train, test, most):
    """Return the errors of a linear probe on a model's codes, and of a PCA of their size.

    Args:
        model: a model that reconstructs.
        train, test: pipelines of images, or of images and labels.
        most: largest number of training images; the first are used.

    Returns:
        dict of (n,) arrays over the test images: "pca_mse", per pixel, and for more than one class "probe_error", 1 where the probe is
        wrong or the label unknown. Then codes and classes (or None) of the first `SHOWN` test images.
    """
    gathered, number = [], 0
    for batch in read_codes(model, train):
        gathered.append(batch)
        number += len(batch[0])
        if number >= most:
            break
    train_codes, train_images, train_classes = (None if part[0] is None else np.concatenate(part)[:most] for part in zip(*gathered))
    pca_errors = principal_components(train_images, model.latent_dim)
    known = None if train_classes is None else train_classes != UNLABELLED
    predict = None if train_classes is None else linear_probe(train_codes[known], train_classes[known])
    errors = {"pca_mse": [], **({"probe_error": []} if predict else {})}
    all_codes, classes = [], []
    for test_codes, images, test_classes in read_codes(model, test):
        errors["pca_mse"].append(pca_errors(images))
        if predict:
            errors["probe_error"].append((predict(test_codes) != test_classes).astype(np.float32))
        all_codes.append(test_codes)
        classes.append(test_classes)
    shown = np.concatenate(all_codes)[:SHOWN], None if classes[0] is None else np.concatenate(classes)[:SHOWN]
    return {name: np.concatenate(values) for name, values in errors.items()}, *shown
