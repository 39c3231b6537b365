"""What a posterior does over a whole set of images: which dimensions of the latent are used, and how far they have collapsed."""

import numpy as np
import tensorflow as tf

from .priors import kl_from_standard_normal

ACTIVE = 0.01  # variance over the data of a posterior mean, above which its dimension counts as active (Burda et al. 2016, section 5.1)
BATCH = 500  # images that are encoded at a time
SHOWN = 128  # dimensions at most whose KL is kept for every epoch
FEW = 0.05  # share of active dimensions, below which a posterior counts as collapsed


def posterior_statistics(mean, log_variance):
    """Return what describes the posteriors of a set of images.

    Args:
        mean, log_variance: (n, latent_dim) arrays.

    Returns:
        dict of numbers: "active_units"; the smallest and largest posterior mean and standard deviation of all images and dimensions;
        and "kl_J", the KL divergence from N(0, 1) of dimension J, averaged over images, in nats, whatever the model's prior is; of the
        first `SHOWN` dimensions.
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
    found = [model.encode(batch[0] if isinstance(batch, tuple) else batch) for batch in batches]
    return tuple(tf.concat(part, axis=0).numpy() for part in zip(*found))


def schedule_warning(row):
    """Return a sentence where a schedule has left the weight of the KL at zero to an epoch's end, otherwise ""."""
    if row.get("val_kl_weight") != 0:
        return ""
    return "Warning: the weight of the KL is still zero: no batch's reconstruction term has come below the threshold of kl_schedule."


def collapse_warning(row, latent_dim):
    """Return a sentence where fewer than one in twenty dimensions are active in an epoch's row of the history, otherwise ""."""
    active = row.get("active_units")
    if active is None or active >= FEW * latent_dim:
        return ""
    return (
        f"Warning: posterior collapse: {active} of {latent_dim} latent dimensions are active, so outputs depend little on the image. A "
        "lower kl_weight, a kl_schedule that starts at zero, or a smaller sigma may help."
    )
