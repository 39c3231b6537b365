"""Every parameter, its default, its unit and the reason for it. Edit a default here, or override it on the command line:

python train.py                                   the digits preset as it stands
python train.py mnist --model vae --epochs 5      a preset, with two parameters overridden
"""

import contextlib
import dataclasses
import difflib
import io
import math
import re

import tyro

MODELS = ("ae", "dae", "vae", "dvae", "im_dvae", "classifier")
VARIATIONAL = ("vae", "dvae", "im_dvae")  # have a posterior and a prior
NETWORKS = ("conv", "r0", "r1", "mlp", "linear")
ACTIVATIONS = ("relu", "leaky_relu")
LIKELIHOODS = ("bernoulli", "gaussian", "gaussian_fixed")
PRIORS = ("normal", "mixture", "vampprior")
PIXEL_RANGES = ("unit", "signed", "real")
BINARIZATIONS = ("none", "threshold", "sample")
CORRUPTIONS = ("gaussian", "masking", "salt_and_pepper")
CORRUPTION_FORM = "gaussian:SIGMA, masking:FRACTION or salt_and_pepper:FRACTION, above 0"
SCHEDULES = ("constant", "cosine", "cosine_hold", "staircase", "plateau")
PRECISIONS = ("auto", "float32", "bfloat16")
WIDTH_LIMIT, SIDE_LIMIT = 2**20, 2**14  # units or filters, pixels: far beyond use, so that a slip of the hand is told as one


class ParameterError(ValueError):
    """A parameter cannot be used. The message is a sentence: its name, what was received, what is expected, what to do."""


@dataclasses.dataclass(frozen=True)
class Params:
    """Parameters of a run; the defaults are the digits preset."""

    # ---- data

    # digits (8x8, ships with scikit-learn), folder:PATH, or a TensorFlow Datasets name: mnist, cifar10, fashion_mnist, ...;
    # variance_NAME multiplies each pixel of digits or a TensorFlow dataset by an N(0, 1) draw of its own, anew each time (R1)
    dataset: str = "digits"
    # pixels; images are resized to this height and width, 0 keeps the dataset's own
    image_size: int = 0
    # unit scales pixels to [0, 1], as Bernoulli needs; signed to [-1, 1]; real is that of variance_NAME, which has no bounds
    pixel_range: str = "unit"
    # none leaves images grey, as R0 does; threshold cuts at one half; sample draws each pixel anew each epoch
    binarize: str = "none"
    # share of the training images, the first ones, held out for validation; R0's tenth
    validation_fraction: float = 0.1
    # GiB of images (one byte a pixel) kept in memory; larger datasets are streamed
    memory_limit: float = 2.0

    # ---- model

    # ae, dae (denoising), vae, dvae (the joint model), im_dvae (a vae that sees corrupted images) or classifier (which judges outputs)
    model: str = "dvae"
    # conv (strided convolutions), r0 (5x5 convolutions and max-pooling, as published), r1 (5x5 convolutions alone), mlp or linear
    network: str = "conv"
    # filters of each convolution of the encoder, mirrored in the decoder; none given: the network's own for the image size
    channels: tuple[int, ...] = ()
    # units of each dense layer after them; none given: the network's own for the image size
    hidden_units: tuple[int, ...] = ()
    # units of each dense layer of the decoder, in its order; none given: the encoder's mirrored
    decoder_units: tuple[int, ...] = ()
    # after each hidden layer of the encoder: relu or leaky_relu (slope 0.2); decoders have relu
    activation: str = "relu"
    # whether there is batch normalisation before each activation
    batch_norm: bool = True
    # size of z, or of the code of an ae or dae; 16 is ample for 64 pixels
    latent_dim: int = 16
    # bernoulli (images in [0, 1]), gaussian (mean and variance of each pixel learned) or gaussian_fixed (squared error)
    likelihood: str = "bernoulli"
    # standard deviation of gaussian_fixed, in pixel values
    sigma: float = 0.1
    # p(z): normal (standard normal), mixture (of Gaussians, learned) or vampprior (of the posteriors of learned pseudo-inputs)
    prior: str = "normal"
    # components of a mixture, pseudo-inputs of a vampprior
    prior_components: int = 100
    # beta, the weight of the KL term; 1 makes the loss the negative ELBO, 0 an autoencoder
    kl_weight: float = 1.0
    # the KL's weight over training: constant; linear:STEPS, rising from zero to kl_weight; or wait:NATS:STEP, zero until a batch's
    # reconstruction term is below so many nats, then STEP more each step, up to kl_weight. Validation always has kl_weight
    kl_schedule: str = "constant"
    # weight of the denoised output's reconstruction in a dvae; R0's 1
    denoise_weight: float = 1.0
    # weight of the reconstruction by the VAE within a dvae; R0's 1. At 0 only the final output is trained: one deeper network, no denoising
    vae_weight: float = 1.0
    # whether a dvae's two encoders are one, as in R0; batch-norm statistics are kept apart
    share_encoder: bool = True
    # whether the DAE's gradient runs back into the VAE; off trains in two stages and needs --no-share-encoder
    propagate: bool = True
    # weight of R0's class cross-entropy on every pass through the encoder; 0 keeps training unsupervised
    label_weight: float = 0.0
    # noise on the input of a dae or im_dvae: gaussian:SIGMA, masking:FRACTION or salt_and_pepper:FRACTION
    corruption: str = "gaussian:0.3"
    # whether a dae's decoder emits a gate in (0, 1) that multiplies the corrupted image (R1); needs gaussian_fixed
    gate: bool = False
    # share of their size by which a classifier's training images are moved at random; 0 leaves them in place
    shift: float = 0.0
    # pixels, standard deviation of the blur that a classifier's training images are mixed with by a random share; 0 leaves them sharp
    blur: float = 0.0

    # ---- training

    # whether training images are mirrored left to right, each with probability one half: right for photographs, wrong for digits
    flip: bool = False
    # passes over the training images
    epochs: int = 60
    # images per step; smaller batches learn more per epoch of few images
    batch_size: int = 64
    # Adam's step size at the start
    learning_rate: float = 2e-3
    # constant, cosine (to zero over all epochs), cosine_hold (to a hundredth over four fifths of them, then held there), staircase (a tenth
    # at each fifth of the epochs, not below 1e-5, as in R0) or plateau (a tenth whenever more than 10 epochs in a row have not lowered the
    # training loss, as in R2)
    learning_rate_schedule: str = "cosine"
    # of the networks' arithmetic: float32, bfloat16, or auto, which takes bfloat16 where the hardware multiplies it
    precision: str = "auto"
    # of initial weights, order of images and noise
    seed: int = 0
    # folder of the run; empty makes a new one under runs/
    run_dir: str = ""


MNIST = Params(
    dataset="mnist",
    latent_dim=50,  # as in R0
    epochs=30,
    batch_size=128,
    learning_rate=1e-2,  # R0's; 6 epochs of it end at 97.1 nats of validation -ELBO (VAE), 10 epochs of 2e-3 at 97.7
)
CIFAR10 = Params(
    dataset="cifar10",
    latent_dim=100,  # as in R0
    epochs=28,
    flip=True,  # a dvae's validation reconstruction: 1780.3 nats after 20 epochs without it, rising for two; 1777.2 after 28 with it
    batch_size=64,  # R0's; twice the steps of 128 in the same time, and after 2 epochs 5 nats ahead of it on validation images
    learning_rate=1e-3,  # R0's; larger ones leave latents unused (KL after 2 epochs of batch 128: 25 nats at 5e-3, 31 at 1e-3)
)
# R1: what a narrow code keeps of an image, of an image in noise, and of an image that is only in the variance of its pixels
MNIST_BOTTLENECK = Params(
    dataset="mnist",
    pixel_range="signed",
    model="ae",
    network="mlp",
    hidden_units=(1000, 500, 250),
    batch_norm=False,
    latent_dim=10,
    likelihood="gaussian_fixed",
    sigma=1.0,  # scales the loss alone
    epochs=30,
    batch_size=128,
    learning_rate=1e-3,
)
VARIANCE_MNIST_VAE = Params(
    dataset="variance_mnist",
    pixel_range="real",
    model="vae",
    network="conv",  # R1's own, --network r1, is 16 nats behind after twice the epochs, on validation images
    latent_dim=10,
    likelihood="gaussian",
    epochs=10,
    batch_size=64,
    learning_rate=3e-3,  # after 5 epochs 20 nats ahead of 1e-3 without batch norm, on validation images
)
VARIANCE_MNIST_DAE = dataclasses.replace(
    VARIANCE_MNIST_VAE,
    model="dae",
    network="r1",
    epochs=20,
    likelihood="gaussian_fixed",
    sigma=0.1,
    corruption="gaussian:0.2",
    gate=True,
)
# R2: three likelihoods; --likelihood gaussian_fixed, or --likelihood bernoulli --binarize threshold, for the other two
MNIST_R2 = Params(
    dataset="mnist",
    model="vae",
    channels=(64, 128),
    hidden_units=(1024,),
    activation="leaky_relu",
    latent_dim=10,
    likelihood="gaussian",
    epochs=20,
    batch_size=128,
    learning_rate=2e-4,  # R2's is 1e-4; at 1e-3 the first steps overshoot, and posteriors with variances of 10^5 are left for epochs
)
CIFAR10_R2 = dataclasses.replace(MNIST_R2, dataset="cifar10", channels=(64, 128, 256), latent_dim=30)
# R3: a linear autoencoder, which can be no better than PCA, and an MLP
MNIST_LINEAR = Params(
    dataset="mnist",
    model="ae",
    network="linear",
    latent_dim=20,
    likelihood="gaussian_fixed",
    sigma=1.0,
    epochs=10,
    batch_size=128,
    learning_rate=1e-3,
)
MNIST_MLP = Params(
    dataset="mnist",
    model="vae",
    network="mlp",
    hidden_units=(400,),
    activation="leaky_relu",
    batch_norm=False,
    latent_dim=20,
    epochs=20,
    batch_size=128,
    learning_rate=1e-3,
)
# R4: an autoencoder and a VAE of one architecture, a small one, and what too heavy a KL does
MNIST_R4 = Params(
    dataset="mnist",
    model="vae",
    channels=(64, 64),
    hidden_units=(256,),
    latent_dim=32,
    epochs=10,
    batch_size=64,
    learning_rate=2e-3,
)
MNIST_DEEP = dataclasses.replace(
    MNIST_R4,
    network="mlp",
    channels=(),
    hidden_units=(300,) * 8,
    batch_norm=False,
    latent_dim=50,
    epochs=8,
    batch_size=128,
    learning_rate=1e-3,
)
GENERAL = {  # one a dataset, for any model, and the classifiers
    "digits": Params(),
    "mnist": MNIST,
    "cifar10": CIFAR10,
    # the CNNs that judge outputs want fewer passes over varied images
    "digits_classifier": Params(model="classifier", epochs=30, shift=0.1),
    "mnist_classifier": dataclasses.replace(MNIST, model="classifier", epochs=10, learning_rate=3e-3, shift=0.1),
    # a judge that has only seen sharp images takes blur itself for another class: it errs on 78 % of a dvae's outputs, this one on 57 %
    "cifar10_classifier": dataclasses.replace(CIFAR10, model="classifier", epochs=12, learning_rate=2e-3, shift=0.125, blur=2.0),
}
FAMILY = {  # one a published system
    "mnist_bottleneck": MNIST_BOTTLENECK,
    "variance_mnist_dae": VARIANCE_MNIST_DAE,
    "variance_mnist_vae": VARIANCE_MNIST_VAE,
    "mnist_r2": MNIST_R2,
    "cifar10_r2": CIFAR10_R2,
    "mnist_linear": MNIST_LINEAR,
    "mnist_mlp": MNIST_MLP,
    "mnist_r4": MNIST_R4,
    "mnist_r4_ae": dataclasses.replace(MNIST_R4, kl_weight=0.0),
    "mnist_r4_annealed": dataclasses.replace(MNIST_R4, kl_schedule="wait:90:0.0005"),
    "mnist_r4_mlp": dataclasses.replace(MNIST_R4, network="mlp", channels=(), hidden_units=(500, 500), decoder_units=(500,)),
    # a Gaussian of variance 784 / 2, R4's mean squared error over pixels: so little is gained by a code that using none is the optimum
    "mnist_collapse": dataclasses.replace(MNIST_R4, likelihood="gaussian_fixed", sigma=19.8, epochs=3),
    # here it is not the optimum: a network too deep to learn to use its code before the KL has closed it
    "mnist_deep": MNIST_DEEP,
    "mnist_deep_annealed": dataclasses.replace(MNIST_DEEP, kl_schedule="linear:1700"),
}
PRESETS = GENERAL | FAMILY
DEFAULT_PRESET = "digits"


@dataclasses.dataclass(frozen=True)
class Bound:
    """An importance-weighted bound that `compare.py` computes for some variants' first runs."""

    samples: int  # k, for each image
    images: int  # the first ones of the test set
    variants: tuple[str, ...]
    seeds: int  # the first ones


@dataclasses.dataclass(frozen=True)
class Study:
    """Variants x seeds that `compare.py` trains and sets beside each other. All have one preset, one recipe and one judge."""

    preset: str
    judge: str  # preset of the classifier
    common: dict  # parameters of every run, in place of the preset's
    variants: dict  # name -> (parameters in place of the common ones, number of seeds)
    curve: tuple[str, ...]  # variants that are the VAE at several weights of the KL
    bounds: tuple[Bound, ...] = ()
    flat: float = 0.1  # nats; a recipe is long enough where the last fifth of its epochs lowers the validation loss by less

    def runs(self):
        """Return (variant, seed) of every run; the first seed of every variant comes first."""
        most = max(seeds for _, seeds in self.variants.values())
        return [(name, seed) for seed in range(most) for name, (_, seeds) in self.variants.items() if seed < seeds]

    def changes(self, variant, seed):
        """Return what a run has in place of the preset's parameters."""
        return self.common | self.variants[variant][0] | {"seed": seed}

    def bounds_of(self, variant, seed):
        """Return the bounds that a run's record should have."""
        return [bound for bound in self.bounds if variant in bound.variants and seed < bound.seeds]

    def params(self, variant, seed):
        """Return the parameters of a run."""
        return override(preset(self.preset), **self.changes(variant, seed))

    def judge_changes(self):
        """Return what the judge has in place of its preset's parameters."""
        return {"precision": self.common.get("precision", "auto"), "seed": 0}

    def judge_params(self):
        """Return the parameters of the judge."""
        return override(preset(self.judge), **self.judge_changes())


MNIST_VARIANTS = {  # five seeds of the curve, the whole of it for each, so that all distances from it are alike
    "vae": ({"model": "vae"}, 5),
    "dvae": ({"model": "dvae"}, 5),
    "vae_beta0.5": ({"model": "vae", "kl_weight": 0.5}, 5),
    "vae_beta0.7": ({"model": "vae", "kl_weight": 0.7}, 5),  # near a dvae's rate, where interpolation should be short
    "vae_beta0.25": ({"model": "vae", "kl_weight": 0.25}, 5),
    "vae_beta2": ({"model": "vae", "kl_weight": 2.0}, 5),
    "vae_beta4": ({"model": "vae", "kl_weight": 4.0}, 5),  # dvae_final_only spends less than the vae_beta2
    "dvae_own_encoder": ({"model": "dvae", "share_encoder": False}, 3),
    "dvae_two_stage": ({"model": "dvae", "share_encoder": False, "propagate": False}, 3),
    "dvae_final_only": ({"model": "dvae", "vae_weight": 0.0}, 3),
    "im_dvae": ({"model": "im_dvae"}, 3),
    "vae_mixture": ({"model": "vae", "prior": "mixture"}, 3),
    "dvae_mixture": ({"model": "dvae", "prior": "mixture"}, 3),
}
MNIST_CURVE = ("vae_beta0.25", "vae_beta0.5", "vae_beta0.7", "vae", "vae_beta2", "vae_beta4")
# float32 and not auto, so that a study that goes on on another machine stays one study
STUDIES = {
    "digits": Study(
        preset="digits",
        judge="digits_classifier",
        common={"precision": "float32", "epochs": 30, "learning_rate_schedule": "cosine_hold"},
        variants={
            "vae": ({"model": "vae"}, 3),
            "dvae": ({"model": "dvae"}, 3),
            "vae_beta0.5": ({"model": "vae", "kl_weight": 0.5}, 3),
        },
        curve=("vae", "vae_beta0.5"),
        bounds=(Bound(500, 180, ("vae", "dvae", "vae_beta0.5"), 3), Bound(5_000, 20, ("vae", "dvae", "vae_beta0.5"), 3)),
    ),
    "mnist": Study(
        preset="mnist",
        judge="mnist_classifier",
        common={"precision": "float32", "epochs": 30, "learning_rate_schedule": "cosine_hold"},
        variants=MNIST_VARIANTS,
        curve=MNIST_CURVE,
    ),
    "mnist_short": Study(  # less than half the epochs, which leaves time for bounds on log p(x)
        preset="mnist",
        judge="mnist_classifier",
        common={"precision": "float32", "epochs": 12, "learning_rate_schedule": "cosine_hold"},
        variants=MNIST_VARIANTS,
        curve=MNIST_CURVE,
        bounds=(
            Bound(500, 10_000, ("vae", "dvae"), 2),  # a dvae's takes longer than its training
            Bound(5_000, 200, ("vae", "dvae", "vae_beta0.5", "vae_mixture", "dvae_mixture"), 3),
        ),
    ),
    "cifar10": Study(
        preset="cifar10",
        judge="cifar10_classifier",
        common={"precision": "float32", "epochs": 10, "learning_rate_schedule": "cosine_hold"},
        variants={
            "vae": ({"model": "vae"}, 3),
            "dvae": ({"model": "dvae"}, 3),
            "vae_beta0.5": ({"model": "vae", "kl_weight": 0.5}, 3),
            "vae_beta0.7": ({"model": "vae", "kl_weight": 0.7}, 3),  # near a dvae's rate; two alone are a chord, which shows no gain
        },
        curve=("vae_beta0.5", "vae_beta0.7", "vae"),
        flat=1.0,
    ),
}
DEFAULT_STUDY = "digits"


def check(params):
    """Raise ParameterError, in one sentence, at the first parameter that cannot be used."""
    for field in dataclasses.fields(params):
        _check_type(field, getattr(params, field.name))

    def require(name, holds, expected, advice=""):
        if not holds:
            raise ParameterError(f"{name}: received {getattr(params, name)!r}; expected {expected}{advice and '; ' + advice}.")

    for name, known in {
        "pixel_range": PIXEL_RANGES,
        "binarize": BINARIZATIONS,
        "model": MODELS,
        "network": NETWORKS,
        "activation": ACTIVATIONS,
        "likelihood": LIKELIHOODS,
        "prior": PRIORS,
        "learning_rate_schedule": SCHEDULES,
        "precision": PRECISIONS,
    }.items():
        require(name, getattr(params, name) in known, f"one of {', '.join(known)}")
    for name, most in (("latent_dim", WIDTH_LIMIT), ("prior_components", 2**16), ("epochs", 2**31 - 1), ("batch_size", 2**31 - 1)):
        require(name, 1 <= getattr(params, name) <= most, f"a whole number from 1 to {most}")
    for name in ("kl_weight", "denoise_weight", "vae_weight", "label_weight"):
        require(name, 0 <= getattr(params, name) < math.inf, "a number of at least 0")
    for name in ("sigma", "learning_rate", "memory_limit"):
        require(name, 0 < getattr(params, name) < math.inf, "a number above 0")
    for name in ("channels", "hidden_units", "decoder_units"):
        within = all(1 <= n <= WIDTH_LIMIT for n in getattr(params, name))
        require(name, within, f"whole numbers from 1 to {WIDTH_LIMIT}, or none for the network's own")
    dense = params.network in ("mlp", "linear")
    require("channels", not dense or not params.channels, f"none for network {params.network}, which has no convolutions", "leave it out")
    for name in ("hidden_units", "decoder_units"):
        require(name, params.network != "linear" or not getattr(params, name), "none for network linear, which has no hidden layers")
    varied = params.dataset.startswith("variance_")
    valid = params.dataset.strip() not in ("", "folder:", "variance_") and not params.dataset.startswith("variance_folder:")
    require("dataset", valid, "digits, folder:PATH, a TensorFlow Datasets name, or variance_ before digits or such a name")
    require(
        "pixel_range",
        varied == (params.pixel_range == "real"),
        f"{'real' if varied else 'unit or signed'} for dataset {params.dataset}",
        "only the pixels of variance_NAME are without bounds",
    )
    require("image_size", 0 <= params.image_size <= SIDE_LIMIT, f"a number of pixels up to {SIDE_LIMIT}, or 0 for the dataset's own")
    require("validation_fraction", 0 < params.validation_fraction < 1, "a share between 0 and 1")
    require("shift", 0 <= params.shift < 1, "a share of at least 0 and below 1")
    require("blur", 0 <= params.blur <= 100, "a number of pixels from 0 to 100")
    require("seed", 0 <= params.seed < 2**31, "a whole number from 0 to 2147483647")
    require("corruption", is_corruption(params.corruption), CORRUPTION_FORM)
    require(
        "kl_schedule",
        _is_kl_schedule(params.kl_schedule),
        "constant, linear:STEPS or wait:NATS:STEP, with a number of steps of at least 1 and a STEP above 0",
    )
    for name, models in {"prior": VARIATIONAL, "kl_schedule": VARIATIONAL}.items():
        default = getattr(Params, name)
        other = params.model in models or getattr(params, name) == default
        require(name, other, f"{default} for model {params.model}, which has no KL term", f"choose model {' or '.join(models)}")
    alone = params.prior == "vampprior" and params.prior_components == 1
    require("prior_components", not alone, "at least 2 for a vampprior, whose pseudo-inputs are normalised together")
    watched = params.learning_rate_schedule != "plateau" or params.kl_schedule == "constant"
    require("learning_rate_schedule", watched, "another one with a kl_schedule, which raises the loss that plateau watches")
    require("gate", params.model == "dae" or not params.gate, "False: a gate multiplies a corrupted input", "choose model dae")

    if params.model == "classifier":
        return
    require("shift", params.shift == 0, f"0 for a {params.model}", "only a classifier's images are moved")
    require("blur", params.blur == 0, f"0 for a {params.model}", "only a classifier's images are blurred")
    require(
        "likelihood",
        params.likelihood != "bernoulli" or params.pixel_range == "unit",
        f"gaussian or gaussian_fixed with pixel_range {params.pixel_range}, whose pixels leave [0, 1]",
        "bernoulli needs pixel_range unit",
    )
    require("likelihood", not params.gate or params.likelihood == "gaussian_fixed", "gaussian_fixed with a gate, which makes a mean alone")
    require(
        "binarize",
        params.binarize == "none" or params.likelihood == "bernoulli",
        f"none with likelihood {params.likelihood}",
        "binary pixels have a bernoulli likelihood",
    )
    if params.model == "dvae":
        require(
            "propagate",
            params.propagate or not params.share_encoder,
            "True with a shared encoder, through which the gradient would run anyway",
            "add --no-share-encoder for two-stage training",
        )
    if params.model not in VARIATIONAL:
        require("label_weight", params.label_weight == 0, f"0 for a {params.model}, which is trained without labels", "choose vae or dvae")


def check_study(name, study):
    """Raise ParameterError, in one sentence, at the first part of a study that cannot be made; each run's parameters are checked too."""
    every = {variant: study.params(variant, 0) for variant in study.variants}
    judge, datasets = PRESETS.get(study.judge), {p.dataset for p in every.values()}
    shared = ("dataset", "image_size", "pixel_range", "binarize", "validation_fraction", "likelihood")
    measures = {tuple(getattr(p, field) for field in shared) for p in every.values()}
    of_curve = [every[variant] for variant in study.curve if variant in every]
    bounded = [variant for bound in study.bounds for variant in bound.variants]
    for part, received, holds, expected in (
        ("variants", list(every), all(re.fullmatch(r"[\w.+-]+", each) for each in every), "names of letters, digits and _ . + -"),
        ("variants", list(every), all(seeds >= 1 for _, seeds in study.variants.values()), "at least one seed of each"),
        ("variants", list(every), all(p.model in VARIATIONAL for p in every.values()), f"models {', '.join(VARIATIONAL)}, which have a KL"),
        ("variants", list(every), "vae" in every, "one of them named vae, which the others are compared with"),
        ("variants", list(every), len(measures) == 1, f"the same {', '.join(shared)} for all, or their numbers cannot be compared"),
        (
            "judge",
            study.judge,
            judge and judge.model == "classifier" and {judge.dataset} == datasets,
            "the preset of a classifier of their dataset",
        ),
        ("curve", study.curve, len(of_curve) == len(set(study.curve)) >= 2, "at least two variants of the study, each once"),
        ("curve", study.curve, {p.model for p in of_curve} == {"vae"}, "variants of model vae"),
        ("curve", study.curve, len({p.kl_weight for p in of_curve}) == len(of_curve), "variants that differ in kl_weight"),
        (
            "bounds",
            bounded,
            all(variant in every and every[variant].likelihood == "bernoulli" for variant in bounded),
            "variants of the study with likelihood bernoulli",
        ),
        (
            "bounds",
            study.bounds,
            all(b.samples >= 1 and b.images >= 2 and b.seeds >= 1 for b in study.bounds),
            "at least 1 sample, 2 images and 1 seed of each",
        ),
        ("bounds", study.bounds, len({b.samples for b in study.bounds}) == len(study.bounds), "each number of samples once"),
    ):
        if not holds:
            raise ParameterError(f"{part} of study {name}: received {received!r}; expected {expected}; change it in params.py.")


def _check_type(field, value):
    """Refuse a value of another type than the field's; an edited default is not checked by anyone else."""
    if field.type is bool:
        valid, expected = isinstance(value, bool), "True or False"
    elif field.type is int:
        valid, expected = isinstance(value, int) and not isinstance(value, bool), "a whole number"
    elif field.type is float:
        valid, expected = isinstance(value, int | float) and not isinstance(value, bool), "a number"
    elif field.type is str:
        valid, expected = isinstance(value, str), "a text"
    else:
        valid = isinstance(value, tuple | list) and all(isinstance(n, int) and not isinstance(n, bool) for n in value)
        expected = "a tuple of whole numbers"
    if not valid:
        raise ParameterError(f"{field.name}: received {value!r}; expected {expected}.")


def is_corruption(spec):
    """Whether a text names a corruption."""
    kind, _, amount = spec.partition(":")
    try:
        amount = float(amount)
    except ValueError:
        return False
    return kind in CORRUPTIONS and 0 < amount < math.inf and (kind == "gaussian" or amount <= 1)


def _is_kl_schedule(spec):
    kind, *amounts = spec.split(":")
    try:
        numbers = [int(amounts[0])] if kind == "linear" else [float(amount) for amount in amounts]
    except (ValueError, IndexError):
        return False
    if kind == "constant":
        return not amounts
    if kind == "linear":
        return len(amounts) == 1 and 1 <= numbers[0] < 2**31
    return kind == "wait" and len(numbers) == 2 and all(map(math.isfinite, numbers)) and numbers[1] > 0


def preset(name):
    """Return a preset by its name, or raise ParameterError with the names there are."""
    if name not in PRESETS:
        raise ParameterError(
            f"preset: received {name!r}; expected one of {', '.join(PRESETS)}; any other dataset is chosen with --dataset NAME."
        )
    return PRESETS[name]


def override(params, **values):
    """Return params with some values replaced, checked; an unknown name is an error that lists those there are."""
    check_names(values)
    params = dataclasses.replace(params, **{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
    check(params)
    return params


def restored(record, source):
    """Return the parameters of a run's record, or raise ParameterError naming its file where they are not a whole set of valid ones."""
    missing = [name for name in names(Params) if name not in record["params"]]
    if missing:
        raise ParameterError(f"{source}: lacks the parameter {missing[0]}, so it was not written by this version; train the run again.")
    try:
        params = override(Params(), **record["params"])
    except ParameterError as error:
        raise ParameterError(f"{source}: {error}") from None
    height, width, _ = record["data"]["image_shape"]
    if params.image_size and (height, width) != (params.image_size, params.image_size):
        raise ParameterError(f"{source}: image_size: received {params.image_size}; expected that of its images, {height}x{width}.")
    return params


def check_names(values):
    """Raise ParameterError at the first name that is no parameter."""
    for name in values:
        if name not in names(Params):
            raise ParameterError(f"{name}: no such parameter; expected one of {', '.join(names(Params))}.")


@dataclasses.dataclass(frozen=True)
class Command:
    """What `train.py` is asked to do."""

    params: tyro.conf.OmitArgPrefixes[Params]
    # go on with the run in --run-dir, with its saved parameters
    resume: tyro.conf.FlagCreatePairsOff[bool] = False
    # start anew in --run-dir, discarding the run in it
    overwrite: tyro.conf.FlagCreatePairsOff[bool] = False


def parse(arguments):
    """Read the command line of `train.py`: `[PRESET] [--parameter value ...] [--resume | --overwrite]`.

    Returns:
        The preset's name or None, the parameters that were given (name -> value), resume, overwrite.

    Raises:
        ParameterError: an unknown preset or option, or a value of the wrong type.
    """
    named = bool(arguments) and not arguments[0].startswith("-")
    name, options = (arguments[0], arguments[1:]) if named else (None, arguments)
    command = read_options(
        Command,
        options,
        prog="train.py [PRESET]",
        description=f"Train one model. PRESET is one of {', '.join(PRESETS)} (default: {DEFAULT_PRESET}). Defaults below are its own.",
        default=Command(preset(name or DEFAULT_PRESET)),
        names=(*names(Params), "resume", "overwrite"),
        first="PRESET",
    )
    words = {word.partition("=")[0].removeprefix("--").replace("-", "_") for word in options if word.startswith("--")}
    given = {f: getattr(command.params, f) for f in names(Params) if f in words or f"no_{f}" in words}
    return name, given, command.resume, command.overwrite


def read_options(kind, arguments, *, names, first="", **settings):
    """Read a dataclass from a command line with tyro, whose complaints become one sentence each.

    Args:
        kind: the dataclass.
        arguments: words of the command line.
        names: of all options, to be listed where one is unknown.
        first: what may stand before the options.
        settings: prog, description and default, for tyro.

    Raises:
        ParameterError: an unknown option, or a value that is missing or of the wrong type. --help exits from within.
    """
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            options, unknown = tyro.cli(kind, args=arguments, return_unknown_args=True, **settings)
    except SystemExit as exit:
        if exit.code in (None, 0):
            raise
        lines = [line.strip("│╭╮╰╯─ ") for line in complaint.getvalue().splitlines()]
        reason = next((line for line in lines[1:] if line), "the command line cannot be read")
        raise ParameterError(f"{_printable(reason.removeprefix('Error parsing ').rstrip('.'))}; see --help for what is expected.") from None
    if unknown:
        flags = ["--" + name.replace("_", "-") for name in names]
        near = difflib.get_close_matches(unknown[0], flags, 1)
        hint = f"did you mean {near[0]}? Expected" if near else "expected"
        before = f" a {first} first, then" if first else ""
        raise ParameterError(f"{_printable(unknown[0])}: no such option; {hint}{before} {', '.join(flags)}.")
    return options


def _printable(word):
    return word if word.isprintable() else ascii(word)


def names(kind):
    """Return the names of a dataclass's fields."""
    return [field.name for field in dataclasses.fields(kind)]
