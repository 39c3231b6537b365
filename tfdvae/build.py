"""Build a model from flat parameters. Only this file joins names to parts."""

import contextlib
import inspect
import random
import types

from . import blocks, corruptions, forms, likelihoods, models, networks, priors, rules, schedules
from .errors import refusal

MODELS = {
    "ae": models.Autoencoder,
    "dae": models.DAE,
    "vae": models.VAE,
    "dvae": models.DVAE,
    "im_dvae": models.ImDVAE,
    "classifier": models.Classifier,
}


def build_model(
    *,
    image_shape,
    num_classes=0,
    model="dvae",
    network="conv",
    channels=(),
    hidden_units=(),
    decoder_units=(),
    activation="relu",
    batch_norm=True,
    latent_dim=20,
    likelihood="bernoulli",
    sigma=0.1,
    prior="normal",
    prior_components=100,
    kl_weight=1.0,
    kl_schedule="constant",
    denoise_weight=1.0,
    vae_weight=1.0,
    share_encoder=True,
    propagate=True,
    label_weight=0.0,
    corruption="gaussian:0.3",
    gate=False,
    pixel_range="unit",
    shift=0.0,
    blur=0.0,
    precision="float32",
    seed=0,
):
    """Return a built, uncompiled model.

    Args:
        image_shape: (H, W, C).
        num_classes: number of classes, 0 for data without labels.
        precision: "float32" or "bfloat16", of the networks' computations; weights stay float32.
        All others: see `params.py`.

    Raises:
        InputError: an argument cannot be used, or the network cannot take images of this shape.
    """
    arguments = {name: rules.plain(value) for name, value in locals().items()}
    rules.check({name: value for name, value in arguments.items() if name in rules.RULES})
    rules.check_value("image_shape", arguments["image_shape"], rules.IMAGE_SHAPE)
    rules.check_value("num_classes", arguments["num_classes"], rules.NUM_CLASSES)
    rules.check_classes(model, label_weight, num_classes, "give num_classes above 0")
    if precision == "auto":
        raise refusal("precision", precision, "float32 or bfloat16 to build a model")
    parts = Parts(types.SimpleNamespace(**arguments))
    with initializers_seeded(parts.chosen.seed):
        built = MODELS[model](**MODELS[model].arguments(parts), pixel_range=pixel_range, seed=parts.chosen.seed, name=model)
        built.build((None, *arguments["image_shape"]))
    return built


MODEL_PARAMETERS = tuple(inspect.signature(build_model).parameters)


class Parts:
    """Makers of the parts of a model. A model's `arguments` calls the makers that it needs.

    Args:
        chosen: namespace of the arguments of `build_model`.
    """

    def __init__(self, chosen):
        self.chosen = chosen
        self.dtype = "mixed_bfloat16" if chosen.precision == "bfloat16" else "float32"

    def encoder(self, name, passes=1):
        chosen = self.chosen
        style = blocks.Style(self.dtype, passes, chosen.batch_norm, chosen.activation == "leaky_relu")
        return networks.encoder(chosen.network, chosen.image_shape, tuple(chosen.channels), tuple(chosen.hidden_units), style, name)

    def decoder(self, name):
        chosen = self.chosen
        outputs = chosen.image_shape[-1] * self.likelihood().outputs_per_channel
        units = tuple(reversed(chosen.decoder_units)) or tuple(chosen.hidden_units)
        style = blocks.Style(self.dtype, batch_norm=chosen.batch_norm)
        return networks.decoder(chosen.network, chosen.image_shape, outputs, tuple(chosen.channels), units, style, name)

    def classifier(self):
        chosen = self.chosen
        return networks.classifier(chosen.image_shape, chosen.num_classes, chosen.shift, chosen.blur, blocks.Style(self.dtype))

    def likelihood(self):
        return build_likelihood(self.chosen.likelihood, self.chosen.sigma)

    def prior(self):
        chosen = self.chosen
        if chosen.prior == "normal":
            return priors.StandardNormal(name="prior")
        if chosen.prior == "mixture":
            return priors.Mixture(chosen.prior_components, name="prior")
        return priors.VampPrior(chosen.prior_components, chosen.image_shape, name="prior")

    def kl_schedule(self):
        return build_kl_schedule(self.chosen.kl_schedule)

    def corruption(self):
        return build_corruption(self.chosen.corruption, self.chosen.pixel_range, self.chosen.seed)


def build_likelihood(name, sigma=0.1):
    """Return the likelihood with this name; sigma is the standard deviation of "gaussian_fixed"."""
    rules.check({"likelihood": name, "sigma": sigma})
    if name == "bernoulli":
        return likelihoods.Bernoulli()
    return likelihoods.Gaussian() if name == "gaussian" else likelihoods.FixedGaussian(sigma)


def build_kl_schedule(spec):
    """Return the schedule of "linear:STEPS" or "wait:NATS:STEP", or None for "constant"."""
    rules.check({"kl_schedule": spec})
    kind, numbers = forms.parse_kl_schedule(spec)
    if kind == "constant":
        return None
    return schedules.Linear(*numbers) if kind == "linear" else schedules.Wait(*numbers)


def build_corruption(spec, pixel_range="unit", seed=0):
    """Return the corruption layer of "gaussian:SIGMA", "masking:FRACTION" or "salt_and_pepper:FRACTION"."""
    rules.check({"corruption": spec, "pixel_range": pixel_range})
    kind, amount = forms.parse_corruption(spec)
    common = {"seed": seed, "name": "corruption"}
    if kind == "gaussian":
        return corruptions.GaussianNoise(amount, **common)
    if kind == "masking":
        return corruptions.Masking(amount, **common)
    return corruptions.SaltAndPepper(amount, low=-1.0 if pixel_range == "signed" else 0.0, **common)


@contextlib.contextmanager
def initializers_seeded(seed):
    """Seed Keras' initializers in this block, and restore Python's `random` after it.

    A Keras initializer without a seed draws one from Python's `random`.
    """
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
