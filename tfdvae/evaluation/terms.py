"""Evaluate a trained model on test images: one number per image, and arrays of images."""

import math

import numpy as np
import scipy.stats
import tensorflow as tf

from ..data import UNLABELLED, images_and_labels, images_of
from ..models.base import TEST_SEED
from ..priors import StandardNormal

BATCH = 500  # images; another size changes the numbers, since the latent noise is drawn per batch
GRID = 64  # number of test images in every grid, from the first on
MANIFOLD_SIDE = 16  # images in a row of the picture of a 2-d latent


def evaluate_model(model, batches, classifier=None):
    """Return every image's terms of the objective, and the classes that a classifier predicts.

    The latent noise comes from a fixed seed, so the same weights give the same numbers. The classifier judges the mean image of the
    sample of z that the terms use.

    Args:
        model: of `tfdvae.models`; a classifier gives its loss and error.
        batches: pipeline of images, or of images and labels, in batches of `BATCH`.
        classifier: a trained `Classifier`, or None.

    Returns:
        dict of (n,) arrays: the terms in nats per image; with labels, "true_class"; with a classifier, the predicted classes
        "class_of_original" and "class_of_output".
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
        images, labels = images_and_labels(batch)
        values = terms_of(images, labels, tf.constant([TEST_SEED, index]))
        if labels is not None:
            values["true_class"] = labels
        collected.append({k: v.numpy() for k, v in values.items()})
    return {k: np.concatenate([c[k] for c in collected]) for k in collected[0]}


def corrupted_errors(model, batches, corruption):
    """Return reconstruction errors for corrupted inputs: mean squared errors per pixel against the clean images.

    The model draws no noise of its own here.

    Args:
        model: a model that reconstructs.
        batches: as in `evaluate_model`.
        corruption: a layer from `tfdvae.corruptions`.

    Returns:
        dict of (n,) arrays: "mse_of_corrupted" of the corrupted image, "mse_from_corrupted" of the output for the corrupted image, and
        "mse_from_clean" of the output for the clean image. Then the first `GRID` clean, corrupted and reconstructed images.
    """

    @tf.function(autograph=False, reduce_retracing=True)
    def restore(images, seed):
        corrupted = corruption(images, seed=seed)
        return corrupted, model.reconstruct(corrupted), model.reconstruct(images)

    errors, shown = [], None
    for index, batch in enumerate(batches):
        images = images_of(batch)
        restored = restore(images, tf.constant([TEST_SEED, index]))
        errors.append([tf.reduce_mean(tf.square(result - images), axis=(1, 2, 3)).numpy() for result in restored])
        if shown is None:
            shown = [array[:GRID].numpy() for array in (images, *restored[:2])]
    names = ("mse_of_corrupted", "mse_from_corrupted", "mse_from_clean")
    return dict(zip(names, map(np.concatenate, zip(*errors)))), shown


def optimal_denoising(model, batches, variances):
    """Return the best denoiser's mean squared error per pixel on the model's inputs. It knows the variance of every pixel.

    For x ~ N(0, s^2) and noise N(0, n^2), the best denoiser is E[x | corrupted x] = corrupted x * s^2 / (s^2 + n^2).

    Args:
        model: a DAE with Gaussian noise.
        batches: pipeline of images of a variance dataset, in batches of `BATCH`.
        variances: pipeline of the pixels' true variances.

    Returns:
        (n,) array of errors. Then, for the first `GRID` images, the model's input, its gate and the optimal gate.
    """
    noise = model.corruption.sigma**2
    errors, shown = [], None
    for index, (batch, variance) in enumerate(zip(batches, variances)):
        images = images_of(batch)
        corrupted = model.corrupted(images, tf.constant([TEST_SEED, index]))
        gate = variance / (variance + noise)
        errors.append(tf.reduce_mean(tf.square(gate * corrupted - images), axis=(1, 2, 3)).numpy())
        if shown is None:
            shown = [array[:GRID].numpy() for array in (corrupted, model.gates(corrupted[:GRID]), gate)]
    return np.concatenate(errors), shown


def predicted_variances(model, images, seed=0):
    """Return the predicted variances of images' pixels; samples from the prior, pixel by pixel; and the samples' predicted variances."""
    image_variances = model.likelihood.variance(model.output(tf.constant(images), seed=[TEST_SEED, 0])).numpy()
    outputs = model.output_of_prior(len(images), seed)
    return image_variances, model.likelihood.sample(outputs, [seed, 1]).numpy(), model.likelihood.variance(outputs).numpy()


def summarize(per_image):
    """Return mean and standard error (None for a single image) of per-image values, with the classifier's error as a fraction.

    What compares with the true class is over the images that have a label. It is left out where none has one.

    Returns:
        dict of name -> {"mean", "standard_error"}, and "n".
    """
    columns = {k: v for k, v in per_image.items() if "class" not in k}
    for name in ("original", "output"):
        if f"class_of_{name}" in per_image:
            columns[f"error_of_{name}"] = per_image[f"class_of_{name}"] != per_image["true_class"]
    of_class = {"label", "error", "error_of_original", "error_of_output", "probe_error"} | ({"loss"} if "error" in per_image else set())
    summary = {}
    for name, values in columns.items():
        values = (values[labelled(per_image)] if name in of_class else values).astype(np.float64)
        if len(values):
            spread = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None
            summary[name] = {"mean": float(values.mean()), "standard_error": spread}
    return {"n": len(next(iter(per_image.values()))), **summary}


def labelled(per_image):
    """Return which test images have a label, as (n,) booleans; a classification error means nothing for the others."""
    return per_image["true_class"] != UNLABELLED if "true_class" in per_image else slice(None)


def reconstruction_grid(model, batches):
    """Return the first `GRID` images of a pipeline and a model's outputs for them, as (n, H, W, C) arrays."""
    images = []
    for batch in batches:
        images.append(images_of(batch).numpy())
        if sum(map(len, images)) >= GRID:
            break
    images = np.concatenate(images)[:GRID]
    return images, model.reconstruct(tf.constant(images), seed=[TEST_SEED, 0]).numpy()


def prior_images(model, n, pixel_range):
    """Return n images from the prior, (n, H, W, C): mean images, but samples for pixel range "real", whose means show nothing."""
    outputs = model.output_of_prior(n)
    return model.likelihood.sample(outputs, [0, 1]) if pixel_range == "real" else model.likelihood.mean(outputs)


def has_manifold(model):
    """Return whether `manifold` can be drawn: the latent is a plane under N(0, I)."""
    return model.latent_dim == 2 and isinstance(model.prior, StandardNormal)


def manifold(model):
    """Return the mean images over a 2-d latent, (MANIFOLD_SIDE^2, H, W, C): each coordinate runs through equal quantiles of N(0, 1).

    The second coordinate falls from row to row, the first rises from column to column (Kingma & Welling 2014, figure 4).
    """
    quantiles = scipy.stats.norm.ppf((np.arange(MANIFOLD_SIDE) + 0.5) / MANIFOLD_SIDE).astype(np.float32)
    first, second = np.meshgrid(quantiles, quantiles[::-1])
    return model.decode(tf.constant(np.stack([first.ravel(), second.ravel()], axis=-1))).numpy()
