"""The allowed values of every parameter: the choices, and all checks. `forms.py` reads texts such as `gaussian:SIGMA`.

The command line, `build_model`, `load_dataset` and the reader of a run's record all use this module, so they refuse the same values with
the same sentence. It needs no TensorFlow.
"""

import dataclasses
import inspect
import numbers
from collections.abc import Callable
from typing import Literal, get_args

from .errors import refusal, unknown
from .forms import COUNT_LIMIT, parse_background, parse_corruption, parse_kl_schedule

Model = Literal["ae", "dae", "vae", "dvae", "im_dvae", "classifier"]
Network = Literal["conv", "s2d", "r0", "r1", "mlp", "linear"]
Activation = Literal["relu", "leaky_relu"]
Likelihood = Literal["bernoulli", "gaussian", "gaussian_fixed"]
Prior = Literal["normal", "mixture", "vampprior"]
PixelRange = Literal["unit", "signed", "real"]
Resize = Literal["crop", "fit", "stretch"]
Binarization = Literal["none", "threshold", "sample"]
LearningRateSchedule = Literal["constant", "linear", "cosine", "cosine_hold", "staircase", "plateau"]
Precision = Literal["auto", "float32", "bfloat16"]

VARIATIONAL = ("vae", "dvae", "im_dvae")  # models with a posterior and a prior
DENSE = ("mlp", "linear")  # networks without convolutions
VARIANCE = "variance_"  # before a dataset's name
OWN_IMAGES = ("folder:", "arrays:")  # before the path of a user's own images

# Far beyond use: a larger value is a typo, or comes from a run folder that was made to fill the memory.
WIDTH_LIMIT, LAYERS_LIMIT, SIDE_LIMIT = 2**20, 64, 2**14  # units, layers, pixels


# ---- one parameter


@dataclasses.dataclass(frozen=True)
class Rule:
    """The allowed values of one parameter, and their names in a refusal."""

    kind: str  # name of the type, for the sentence
    is_kind: Callable
    expected: str = ""  # name of the allowed values, for the sentence
    holds: Callable = lambda value: True


def _choice(choices, expected=""):
    known = get_args(choices)
    expected = expected or f"one of {', '.join(known)}"
    return Rule(expected, lambda value: isinstance(value, str), expected, lambda value: value in known)


def _is_whole(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _are_whole(values):
    return isinstance(values, tuple | list) and all(map(_is_whole, values))


def _whole(least, most, expected=""):
    return Rule("a whole number", _is_whole, expected or f"a whole number from {least} to {most}", lambda value: least <= value <= most)


def _number(expected, holds):
    return Rule("a number", lambda value: isinstance(value, int | float) and not isinstance(value, bool), expected, holds)


def _widths(expected):
    def holds(values):
        return len(values) <= LAYERS_LIMIT and all(1 <= value <= WIDTH_LIMIT for value in values)

    expected = f"at most {LAYERS_LIMIT} whole numbers from 1 to {WIDTH_LIMIT}, {expected}"
    return Rule("a tuple of whole numbers", _are_whole, expected, holds)


def _is_shape(values):
    return len(values) == 3 and all(1 <= value <= SIDE_LIMIT for value in values)


def _form(expected, parse):
    def holds(value):
        try:
            parse(value)
        except ValueError:
            return False
        return True

    return Rule(expected, lambda value: isinstance(value, str), expected, holds)


def _is_dataset(name):
    stored = name.strip().removeprefix(VARIANCE)
    return stored not in ("", *OWN_IMAGES) and not (stored != name.strip() and stored.startswith(OWN_IMAGES))


def are_own_images(name):
    """Return whether a dataset's name is a path of the user's own images."""
    return isinstance(name, str) and name.startswith(OWN_IMAGES) and _is_dataset(name)


SHIPPED = ("mnist_5k", "digits")  # datasets that come with installed packages
DATASET = "mnist_5k, digits, folder:PATH, arrays:FILE.npz, a TensorFlow Datasets name, or variance_ before any of these but a path"
SWITCH = Rule("True or False", lambda value: isinstance(value, bool))
TEXT = Rule("a text", lambda value: isinstance(value, str))
OWN = "or none for the network's own"
WEIGHT = _number("a number from 0 to 1e9", lambda value: 0 <= value <= 1e9)
SHARE = _number("a share of at least 0 and below 1", lambda value: 0 <= value < 1)
POSITIVE = _number("a number from 1e-9 to 1e9", lambda value: 1e-9 <= value <= 1e9)
CORRUPTION = _form(
    "gaussian:SIGMA, masking:FRACTION or salt_and_pepper:FRACTION, a SIGMA from 1e-9 to 1e9, a FRACTION from 1e-9 to 1", parse_corruption
)
IMAGE_SHAPE = Rule("a tuple of whole numbers", _are_whole, f"height, width and channels, whole numbers from 1 to {SIDE_LIMIT}", _is_shape)
NUM_CLASSES = _whole(0, WIDTH_LIMIT)
RULES = {
    "dataset": Rule(DATASET, lambda value: isinstance(value, str), DATASET, _is_dataset),
    "image_size": _whole(0, SIDE_LIMIT, f"a number of pixels up to {SIDE_LIMIT}, or 0 for the dataset's own"),
    "resize": _choice(Resize),
    "background": _form("a colour such as white or #ff8000, or none", parse_background),
    "pixel_range": _choice(PixelRange),
    "binarize": _choice(Binarization),
    "validation_fraction": _number("a share between 0 and 1", lambda value: 0 < value < 1),
    "memory_limit": POSITIVE,
    "model": _choice(Model),
    "network": _choice(Network),
    "channels": _widths(OWN),
    "hidden_units": _widths(OWN),
    "decoder_units": _widths("or none for the encoder's, mirrored"),
    "activation": _choice(Activation),
    "batch_norm": SWITCH,
    "latent_dim": _whole(1, WIDTH_LIMIT),
    "likelihood": _choice(Likelihood),
    "sigma": POSITIVE,
    "prior": _choice(Prior),
    "prior_components": _whole(1, 2**16),
    "kl_weight": WEIGHT,
    "kl_schedule": _form(
        "constant, linear:STEPS or wait:NATS:STEP, with a number of steps of at least 1 and a STEP above 0", parse_kl_schedule
    ),
    "denoise_weight": WEIGHT,
    "vae_weight": WEIGHT,
    "share_encoder": SWITCH,
    "propagate": SWITCH,
    "label_weight": WEIGHT,
    "corruption": CORRUPTION,
    "gate": SWITCH,
    "shift": SHARE,
    "blur": _number("0, or a number of pixels from 0.01 to 100", lambda value: value == 0 or 0.01 <= value <= 100),
    "flip": SWITCH,
    "epochs": _whole(1, COUNT_LIMIT),
    "batch_size": _whole(1, COUNT_LIMIT),
    "learning_rate": POSITIVE,
    "learning_rate_schedule": _choice(LearningRateSchedule),
    "beta_2": SHARE,
    "weight_decay": WEIGHT,
    "precision": _choice(Precision),
    "seed": _whole(0, COUNT_LIMIT),
    "run_dir": TEXT,
}


def check_value(name, value, rule=None):
    """Raise InputError where a value cannot be that of a parameter; `rule` is for values that are no parameters of a run."""
    rule = rule or RULES[name]
    if not (rule.is_kind(value) and rule.holds(value)):
        raise refusal(name, value, rule.expected if rule.is_kind(value) else rule.kind)


# ---- parameters that must fit together; a rule applies wherever all the values that it reads are given


def _pixels_fit_the_dataset(dataset, pixel_range):
    varied = dataset.startswith(VARIANCE)
    if varied != (pixel_range == "real"):
        expected = f"{'real' if varied else 'unit or signed'} for dataset {dataset}"
        raise refusal("pixel_range", pixel_range, expected, f"only the pixels of {VARIANCE}NAME are without bounds")


def _channels_need_convolutions(network, channels):
    if channels and network in DENSE:
        raise refusal("channels", channels, f"none for network {network}, which has no convolutions", "leave it out")


def _linear_networks_have_no_hidden_layers(network, hidden_units, decoder_units):
    for name, value in (("hidden_units", hidden_units), ("decoder_units", decoder_units)):
        if value and network == "linear":
            raise refusal(name, value, "none for network linear, which has no hidden layers", "leave it out")


def _only_variational_models_have_a_kl(model, prior, kl_schedule):
    for name, value, default in (("prior", prior, "normal"), ("kl_schedule", kl_schedule, "constant")):
        if value != default and model not in VARIATIONAL:
            expected = f"{default} for model {model}, which has no KL term"
            raise refusal(name, value, expected, f"choose model {' or '.join(VARIATIONAL)}")


def _pseudo_inputs_are_normalised_together(prior, prior_components):
    if prior == "vampprior" and prior_components == 1:
        raise refusal("prior_components", 1, "at least 2 for a vampprior, whose pseudo-inputs are normalised together")


def _plateau_watches_a_loss_that_can_fall(learning_rate_schedule, kl_schedule):
    if learning_rate_schedule == "plateau" and kl_schedule != "constant":
        expected = "another schedule: a kl_schedule raises the loss, and plateau would take that for no progress"
        raise refusal("learning_rate_schedule", "plateau", expected, "or add --kl-schedule constant")


def _gates_multiply_a_corrupted_input(model, gate):
    if gate and model != "dae":
        raise refusal("gate", gate, "False: a gate multiplies a corrupted input", "choose model dae")


def _only_a_classifiers_images_are_varied(model, shift, blur):
    for name, value, done in (("shift", shift, "moved"), ("blur", blur, "blurred")):
        if value and model != "classifier":
            raise refusal(name, value, f"0 for model {model}", f"only a classifier's images are {done}")


def _bernoulli_needs_pixels_in_0_1(model, likelihood, pixel_range):
    if likelihood == "bernoulli" and pixel_range != "unit" and model != "classifier":
        expected = f"gaussian or gaussian_fixed with pixel_range {pixel_range}, whose pixels leave [0, 1]"
        raise refusal("likelihood", likelihood, expected, "bernoulli needs pixel_range unit")


def _gates_make_a_mean_alone(gate, likelihood):
    if gate and likelihood != "gaussian_fixed":
        raise refusal("likelihood", likelihood, "gaussian_fixed with a gate, which makes a mean alone")


def _binary_pixels_are_bernoulli(model, binarize, likelihood):
    if binarize != "none" and likelihood != "bernoulli" and model != "classifier":
        raise refusal("binarize", binarize, f"none with likelihood {likelihood}", "binary pixels have a bernoulli likelihood")


def _two_stages_need_two_encoders(model, propagate, share_encoder):
    if model == "dvae" and share_encoder and not propagate:
        expected = "True with a shared encoder, through which the gradient would run anyway"
        raise refusal("propagate", propagate, expected, "add --no-share-encoder for two-stage training")


def _batch_norm_needs_two_images(model, network, batch_norm, batch_size):
    if batch_size == 1 and (model == "classifier" or (batch_norm and network != "linear")):
        advice = "choose more, or --no-batch-norm" if model != "classifier" else "choose more"
        raise refusal("batch_size", 1, "at least 2 with batch norm, which compares the images of a batch", advice)


def _labels_train_variational_models(model, label_weight):
    if label_weight and model not in (*VARIATIONAL, "classifier"):
        raise refusal("label_weight", label_weight, f"0 for model {model}, which is trained without labels", "choose vae or dvae")


COMBINATIONS = {
    rule: tuple(inspect.signature(rule).parameters)
    for rule in (
        _pixels_fit_the_dataset,
        _channels_need_convolutions,
        _linear_networks_have_no_hidden_layers,
        _only_variational_models_have_a_kl,
        _pseudo_inputs_are_normalised_together,
        _plateau_watches_a_loss_that_can_fall,
        _gates_multiply_a_corrupted_input,
        _only_a_classifiers_images_are_varied,
        _bernoulli_needs_pixels_in_0_1,
        _gates_make_a_mean_alone,
        _binary_pixels_are_bernoulli,
        _two_stages_need_two_encoders,
        _batch_norm_needs_two_images,
        _labels_train_variational_models,
    )
}


def check(values):
    """Raise InputError at the first parameter that cannot be used.

    Args:
        values: name -> value, of all parameters or of some; a rule on several parameters applies where all of them are given.
    """
    check_names(values)
    for name, value in values.items():
        check_value(name, value)
    for rule, names in COMBINATIONS.items():
        if all(name in values for name in names):
            rule(**{name: values[name] for name in names})


def check_names(values):
    """Raise InputError at the first name that is no parameter."""
    for name in values:
        if name not in RULES:
            raise unknown("parameter", name, tuple(RULES))


def plain(value):
    """Return a list as a tuple, and a number of NumPy as Python's own."""
    if isinstance(value, list | tuple):
        return tuple(map(plain, value))
    return value.item() if isinstance(value, numbers.Number) and hasattr(value, "item") else value


def override(params, **values):
    """Return a dataclass of parameters with some values replaced and all of them checked.

    Another network takes its own sizes where none are given: those of the network before would not fit it. Likewise a model without a KL
    drops what belongs to one.
    """
    check_names(values)
    if values.get("network", params.network) != params.network:
        values = {"channels": (), "hidden_units": (), "decoder_units": ()} | values
    if "model" in values and values["model"] not in VARIATIONAL:
        values = {"prior": "normal", "kl_schedule": "constant"} | values
    params = dataclasses.replace(params, **{name: plain(value) for name, value in values.items()})
    check(dataclasses.asdict(params))
    return params


def judged_alike(params_dict):
    """Return the names of the parameters that a classifier has in common with a run whose outputs it judges."""
    resized, own = params_dict["image_size"] > 0, params_dict["dataset"].startswith(OWN_IMAGES)
    return ("dataset", "image_size", "pixel_range", *(["resize"] if resized else []), *(["background"] if own else []))


def check_classes(model, label_weight, num_classes, advice):
    """Raise InputError where a model needs classes and its images have none."""
    if model == "classifier" and num_classes < 2:
        raise refusal("model", model, f"another model for images {'of one class' if num_classes else 'without classes'}", advice)
    if label_weight and not num_classes:
        raise refusal("label_weight", label_weight, "0 for images without classes", advice)
