"""Statistics of the posteriors of images: active dimensions of the latent, and warnings of posterior collapse."""

import numpy as np
import tensorflow as tf

from ..data import images_of
from ..priors import kl_from_standard_normal

ACTIVE = 0.01  # active dimension: its posterior mean varies more than this over the data (Burda et al. 2016, section 5.1)
BATCH = 500  # images encoded at once
SHOWN = 128  # most dimensions whose KL is recorded every epoch
COLLAPSED = 0.05  # share of active dimensions below which a posterior counts as collapsed


def posterior_statistics(mean, log_variance):
    """Return statistics of the posteriors of a set of images.

    Args:
        mean, log_variance: (n, latent_dim) arrays.

    Returns:
        dict of numbers: "active_units"; the smallest and largest posterior mean and standard deviation of all images and dimensions;
        and for the first `SHOWN` dimensions "kl_J", the KL divergence of dimension J from N(0, 1), even for a model with another prior,
        in nats, averaged over images.
    """
    deviation = np.exp(0.5 * log_variance)
    per_dimension = kl_from_standard_normal(mean[..., np.newaxis], log_variance[..., np.newaxis]).numpy().mean(axis=0)
    statistics = {
        "active_units": int(np.sum(mean.var(axis=0) > ACTIVE)),
        "posterior_mean_min": float(mean.min()),
        "posterior_mean_max": float(mean.max()),
        "posterior_std_min": float(deviation.min()),
        "posterior_std_max": float(deviation.max()),
    }
    return statistics | {f"kl_{j}": float(value) for j, value in enumerate(per_dimension[:SHOWN])}


def posteriors(model, batches):
    """Return the posterior's mean and log-variance of every image of a pipeline: two (n, latent_dim) arrays."""
    encoded = [model.posterior(images_of(batch)) for batch in batches]
    return tuple(tf.concat(part, axis=0).numpy() for part in zip(*encoded))


def schedule_warning(row):
    """Return a warning where a schedule's KL weight is still zero at the end of an epoch, otherwise ""."""
    if row.get("val_kl_weight") != 0:
        return ""
    return "Warning: the weight of the KL is still zero: no batch's reconstruction term has come below the threshold of kl_schedule."


def collapse_warning(row, latent_dim, alike=""):
    """Return a warning where fewer than one in twenty dimensions are active in an epoch's row of the history, otherwise "".

    Args:
        row: of the history.
        latent_dim: dimensions of the latent.
        alike: in which way all training images are alike, or ""; such images need no latent, whatever the weight of the KL.
    """
    active = row.get("active_units")
    if active is None or active >= COLLAPSED * latent_dim:
        return ""
    if alike:
        advice = f"There is little to encode, since {alike}."
    else:
        advice = "A lower kl_weight, a kl_schedule that starts at zero, or a smaller sigma may help."
    collapsed = f"Warning: posterior collapse: {active} of {latent_dim} latent dimensions are active"
    return f"{collapsed}, so outputs depend little on the image. {advice}"
