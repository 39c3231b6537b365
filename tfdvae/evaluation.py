"""A trained model and test images to numbers, one per image, and to arrays of images."""

import math

import numpy as np
import scipy.stats
import tensorflow as tf

from .models.base import TEST_SEED
from .priors import StandardNormal

BATCH = 500  # images; part of the definition of the numbers, since the latent noise is drawn per batch
GRID = 64  # the first test images, shown in every grid
MANIFOLD_SIDE = 16  # images in a row of the picture of a latent plane


def evaluate_model(model, batches, classifier=None):
    """Return every term of the objective, and the classes that a classifier sees, image by image.

    The latent noise comes from a fixed seed, so the same weights give the same numbers. The output that the classifier judges is the
    mean image decoded from the very sample of z that the terms were computed with, as in R0.

    Args:
        model: of `tfdvae.models`; a classifier gives its loss and error.
        batches: pipeline of images, or of images and labels, in batches of `BATCH`.
        classifier: a trained `Classifier`, or None.

    Returns:
        dict of (n,) arrays: the terms in nats per image; "true_class" where there are labels; "class_of_original" and
        "class_of_output", the classes seen, where there is a classifier.
    """

    @tf.function(autograph=False, reduce_retracing=True)
    def terms_of(images, labels, seed):
        terms = model.evaluation_terms(images, labels, seed=seed)
        if classifier is not None:
            terms["class_of_original"] = classifier.classify(images)
            terms["class_of_output"] = classifier.classify(model.reconstruct(images, seed=seed))
        return terms

    collected = []
    for index, batch in enumerate(batches):
        images, labels = batch if isinstance(batch, tuple) else (batch, None)
        values = terms_of(images, labels, tf.constant([TEST_SEED, index]))
        if labels is not None:
            values["true_class"] = labels
        collected.append({k: v.numpy() for k, v in values.items()})
    return {k: np.concatenate([c[k] for c in collected]) for k in collected[0]}


def corrupted_errors(model, batches, corruption):
    """Return what becomes of corrupted images, each error a mean square per pixel against the clean image, without any noise of the model.

    Args:
        model: one that reconstructs.
        batches: as in `evaluate_model`.
        corruption: of `tfdvae.corruptions`.

    Returns:
        dict of (n,) arrays "mse_of_corrupted", the corrupted image itself; "mse_from_corrupted", what the model makes of it; and
        "mse_from_clean", what it makes of the clean one. And the first `GRID` of clean, corrupted and reconstructed images.
    """

    @tf.function(autograph=False, reduce_retracing=True)
    def restore(images, seed):
        corrupted = corruption(images, seed=seed)
        return corrupted, model.reconstruct(corrupted), model.reconstruct(images)

    errors, shown = [], None
    for index, batch in enumerate(batches):
        images = images_of(batch)
        found = restore(images, tf.constant([TEST_SEED, index]))
        errors.append([tf.reduce_mean(tf.square(each - images), axis=(1, 2, 3)).numpy() for each in found])
        if shown is None:
            shown = [each[:GRID].numpy() for each in (images, *found[:2])]
    names = ("mse_of_corrupted", "mse_from_corrupted", "mse_from_clean")
    return dict(zip(names, map(np.concatenate, zip(*errors)))), shown


def optimal_denoising(model, batches, variances):
    """Return the mean squared error per pixel of the best denoiser, which knows the variance of each pixel, on what the model was given.

    For x ~ N(0, s^2) and noise N(0, n^2) it is E[x | corrupted x] = corrupted x * s^2 / (s^2 + n^2), that of R1.

    Args:
        model: a DAE with Gaussian noise.
        batches: pipeline of images of a variance dataset, in batches of `BATCH`.
        variances: pipeline of the true variances of their pixels.

    Returns:
        (n,) array of errors; and, of the first `GRID` images, what was given, the model's gate and the optimal one.
    """
    noise = model.corruption.sigma**2
    errors, shown = [], None
    for index, (batch, variance) in enumerate(zip(batches, variances)):
        images = images_of(batch)
        corrupted = model.corrupted(images, tf.constant([TEST_SEED, index]))
        gate = variance / (variance + noise)
        errors.append(tf.reduce_mean(tf.square(gate * corrupted - images), axis=(1, 2, 3)).numpy())
        if shown is None:
            shown = [each[:GRID].numpy() for each in (corrupted, model.gates(corrupted[:GRID]), gate)]
    return np.concatenate(errors), shown


def read_codes(model, batches):
    """Yield codes (B, latent_dim), images (B, H, W, C) and classes (B,) or None, as arrays, of each batch of a pipeline."""
    encode = tf.function(model.codes, autograph=False, reduce_retracing=True)
    for batch in batches:
        images = images_of(batch)
        yield encode(images).numpy(), images.numpy(), batch[1].numpy() if isinstance(batch, tuple) else None


def probe_codes(model, train, test, most):
    """Return what is in a model's codes: the errors of a linear probe on them, and of a PCA of their size.

    Args:
        model: one that reconstructs.
        train, test: pipelines of images, or of images and labels.
        most: number of training images that are used, the first ones.

    Returns:
        dict of (n,) arrays over the test images: "pca_mse", per pixel, and "probe_error", 1 where the probe errs, where there is more than
        one class; and codes and classes (or None) of the first `codes.SHOWN` of them.
    """
    from . import codes  # scikit-learn takes a second to import

    gathered, number = [], 0
    for batch in read_codes(model, train):
        gathered.append(batch)
        number += len(batch[0])
        if number >= most:
            break
    train_codes, train_images, train_classes = (None if part[0] is None else np.concatenate(part)[:most] for part in zip(*gathered))
    pca_errors = codes.principal_components(train_images, model.latent_dim)
    predict = None if train_classes is None else codes.linear_probe(train_codes, train_classes)
    errors = {"pca_mse": [], **({"probe_error": []} if predict else {})}
    found, classes = [], []
    for test_codes, images, test_classes in read_codes(model, test):
        errors["pca_mse"].append(pca_errors(images))
        if predict:
            errors["probe_error"].append((predict(test_codes) != test_classes).astype(np.float32))
        found.append(test_codes)
        classes.append(test_classes)
    shown = np.concatenate(found)[: codes.SHOWN], None if classes[0] is None else np.concatenate(classes)[: codes.SHOWN]
    return {name: np.concatenate(values) for name, values in errors.items()}, *shown


def predicted_variances(model, images, seed=0):
    """Return the variance that the likelihood predicts for each pixel of images; samples from the prior, pixel by pixel, and theirs."""
    of_images = model.likelihood.variance(model.output(tf.constant(images), seed=[TEST_SEED, 0])).numpy()
    outputs = model.output_of_prior(len(images), seed)
    return of_images, model.likelihood.sample(outputs, [seed, 1]).numpy(), model.likelihood.variance(outputs).numpy()


def images_of(batch):
    """Return the images of a batch, which may have labels beside them."""
    return batch[0] if isinstance(batch, tuple) else batch


def summarize(per_image):
    """Return mean and standard error (None for a single image) of per-image values, and the classifier's error as a fraction.

    Returns:
        dict of name -> {"mean", "standard_error"}, and "n".
    """
    columns = {k: v for k, v in per_image.items() if "class" not in k}
    for name in ("original", "output"):
        if f"class_of_{name}" in per_image:
            columns[f"error_of_{name}"] = per_image[f"class_of_{name}"] != per_image["true_class"]
    n = len(next(iter(per_image.values())))
    summary = {}
    for name, values in columns.items():
        values = values.astype(np.float64)
        spread = float(values.std(ddof=1) / math.sqrt(n)) if n > 1 else None
        summary[name] = {"mean": float(values.mean()), "standard_error": spread}
    return {"n": n, **summary}


def reconstruction_grid(model, batches):
    """Return the first `GRID` images of a pipeline and a model's outputs for them, as (n, H, W, C) arrays."""
    images = []
    for batch in batches:
        images.append(images_of(batch).numpy())
        if sum(map(len, images)) >= GRID:
            break
    images = np.concatenate(images)[:GRID]
    return images, model.reconstruct(tf.constant(images), seed=[TEST_SEED, 0]).numpy()


def manifold(model):
    """Return the mean images over a 2-d latent, (MANIFOLD_SIDE^2, H, W, C): each coordinate runs through equal quantiles of N(0, 1).

    Rows go down the second coordinate and columns up the first (Kingma & Welling 2014, figure 4). None where the prior is another, or the
    latent has not two dimensions.
    """
    if model.latent_dim != 2 or not isinstance(model.prior, StandardNormal):
        return None
    quantiles = scipy.stats.norm.ppf((np.arange(MANIFOLD_SIDE) + 0.5) / MANIFOLD_SIDE).astype(np.float32)
    first, second = np.meshgrid(quantiles, quantiles[::-1])
    return model.decode(tf.constant(np.stack([first.ravel(), second.ravel()], axis=-1))).numpy()
