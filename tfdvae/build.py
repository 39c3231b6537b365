"""Flat parameters to a model: the one place that knows every name."""

import contextlib
import inspect
import random

from . import corruptions, likelihoods, networks, priors
from .errors import check_choice
from .models import DAE, DVAE, VAE, Classifier


def build_model(
    *,
    image_shape,
    num_classes=0,
    model="dvae",
    network="conv",
    channels=(),
    hidden_units=(),
    latent_dim=16,
    likelihood="bernoulli",
    sigma=0.1,
    kl_weight=1.0,
    denoise_weight=1.0,
    share_encoder=True,
    propagate=True,
    label_weight=0.0,
    corruption="gaussian:0.3",
    pixel_range="unit",
    shift=0.0,
    blur=0.0,
    precision="float32",
    seed=0,
):
    """Return a built, uncompiled model.

    Args:
        image_shape: (H, W, C).
        num_classes: 0 where the data has no labels.
        precision: "float32" or "bfloat16", of the networks' computations; weights stay float32.
        The others: see `params.py`.
    """
    check_choice("model", model, ("vae", "dae", "dvae", "classifier"))
    check_choice("network", network, networks.NETWORKS)
    check_choice("precision", precision, ("float32", "bfloat16"))
    dtype = "mixed_bfloat16" if precision == "bfloat16" else "float32"
    with initializers_seeded(seed):
        if model == "classifier":
            built = Classifier(networks.classifier(image_shape, num_classes, shift, blur, dtype), seed=seed, name=model)
            built.build((None, *image_shape))
            return built

        density = build_likelihood(likelihood, sigma)
        sizes = {"channels": tuple(channels), "units": tuple(hidden_units), "dtype": dtype}
        output_channels = image_shape[-1] * density.outputs_per_channel

        def new_encoder(name, passes=1):
            return networks.encoder(network, image_shape, passes=passes, name=name, **sizes)

        def new_decoder(name):
            return networks.decoder(network, image_shape, output_channels, name=name, **sizes)

        shared = model == "dvae" and share_encoder
        parts = {"encoder": new_encoder("encoder", passes=2 if shared else 1), "decoder": new_decoder("decoder")}
        parts |= {"likelihood": density, "latent_dim": latent_dim, "seed": seed, "name": model}
        if model == "dae":
            built = DAE(corruption=build_corruption(corruption, pixel_range, seed), **parts)
        else:
            parts |= {"prior": priors.StandardNormal(), "kl_weight": kl_weight, "label_weight": label_weight, "num_classes": num_classes}
            if model == "vae":
                built = VAE(**parts)
            else:
                built = DVAE(
                    denoising_encoder=None if shared else new_encoder("denoising_encoder"),
                    denoising_decoder=new_decoder("denoising_decoder"),
                    denoise_weight=denoise_weight,
                    propagate=propagate,
                    **parts,
                )
        built.build((None, *image_shape))
    return built


MODEL_PARAMETERS = tuple(inspect.signature(build_model).parameters)


def build_likelihood(name, sigma=0.1):
    """Return the likelihood of a name; sigma is the standard deviation of "gaussian_fixed"."""
    check_choice("likelihood", name, ("bernoulli", "gaussian", "gaussian_fixed"))
    if name == "bernoulli":
        return likelihoods.Bernoulli()
    return likelihoods.Gaussian() if name == "gaussian" else likelihoods.FixedGaussian(sigma)


def build_corruption(spec, pixel_range="unit", seed=0):
    """Return the corruption layer of "gaussian:SIGMA", "masking:FRACTION" or "salt_and_pepper:FRACTION"."""
    kind, _, amount = spec.partition(":")
    check_choice("corruption", kind, ("gaussian", "masking", "salt_and_pepper"))
    common = {"seed": seed, "name": "corruption"}
    if kind == "gaussian":
        return corruptions.GaussianNoise(float(amount), **common)
    if kind == "masking":
        return corruptions.Masking(float(amount), **common)
    return corruptions.SaltAndPepper(float(amount), low=-1.0 if pixel_range == "signed" else 0.0, **common)


@contextlib.contextmanager
def initializers_seeded(seed):
    """Have Keras' initializers draw their seeds from this one, and leave Python's own generator as it was.

    An initializer without a seed takes one from Python's `random`.
    """
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
