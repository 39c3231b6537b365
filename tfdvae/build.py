"""Flat parameters to a model: the one place that knows every name."""

import inspect

import keras

from . import corruptions, likelihoods, networks, priors
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
    augment="none",
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
    keras.utils.set_random_seed(seed)  # initial weights
    dtype = "mixed_bfloat16" if precision == "bfloat16" else "float32"
    if model == "classifier":
        shift, flip = {"none": (0.0, False), "shift": (0.1, False), "shift_flip": (0.125, True)}[augment]
        return _built(
            Classifier(networks.classifier(image_shape, num_classes, shift, flip, dtype), seed=seed, name="classifier"), image_shape
        )

    density = {
        "bernoulli": lambda: likelihoods.Bernoulli(),
        "gaussian": lambda: likelihoods.Gaussian(),
        "gaussian_fixed": lambda: likelihoods.FixedGaussian(sigma),
    }[likelihood]()
    sizes = {"channels": tuple(channels), "units": tuple(hidden_units), "dtype": dtype}
    output_channels = image_shape[-1] * density.outputs_per_channel

    def new_encoder(name, passes=1):
        return networks.encoder(network, image_shape, passes=passes, name=name, **sizes)

    def new_decoder(name):
        return networks.decoder(network, image_shape, output_channels, name=name, **sizes)

    shared = model == "dvae" and share_encoder
    parts = {
        "encoder": new_encoder("encoder", passes=2 if shared else 1),
        "decoder": new_decoder("decoder"),
        "likelihood": density,
        "latent_dim": latent_dim,
        "seed": seed,
        "name": model,
    }
    if model == "dae":
        return _built(DAE(corruption=build_corruption(corruption, pixel_range, seed), **parts), image_shape)
    parts |= {"prior": priors.StandardNormal(), "kl_weight": kl_weight, "label_weight": label_weight, "num_classes": num_classes}
    if model == "vae":
        return _built(VAE(**parts), image_shape)
    return _built(
        DVAE(
            denoising_encoder=None if shared else new_encoder("denoising_encoder"),
            denoising_decoder=new_decoder("denoising_decoder"),
            denoise_weight=denoise_weight,
            propagate=propagate,
            **parts,
        ),
        image_shape,
    )


def build_corruption(spec, pixel_range="unit", seed=0):
    """Return the corruption layer of "gaussian:SIGMA", "masking:FRACTION" or "salt_and_pepper:FRACTION"."""
    kind, amount = spec.split(":")
    if kind == "gaussian":
        return corruptions.GaussianNoise(float(amount), seed=seed, name="corruption")
    if kind == "masking":
        return corruptions.Masking(float(amount), seed=seed, name="corruption")
    low = -1.0 if pixel_range == "signed" else 0.0
    return corruptions.SaltAndPepper(float(amount), low=low, seed=seed, name="corruption")


def _built(model, image_shape):
    model.build((None, *image_shape))
    return model


MODEL_PARAMETERS = tuple(inspect.signature(build_model).parameters)
