"""The declaration of a study: its runs and their parameters, its judge, and its bounds."""

import contextlib
import dataclasses
import re

from .. import rules
from ..errors import InputError, counted, refusal
from ..runs.record import complete
from ..terminal import command

ALIKE = ("dataset", "image_size", "pixel_range", "binarize", "validation_fraction", "likelihood")  # for all variants of a study


@dataclasses.dataclass(frozen=True)
class Bound:
    """An importance-weighted bound on log p(x), for the first runs of some variants."""

    samples: int  # k, for each image
    images: int  # the first ones of the test set
    variants: tuple[str, ...]
    seeds: int  # the first ones


@dataclasses.dataclass(frozen=True)
class Study:
    """Variants x seeds that `compare.py` trains and compares, all with one recipe and one judge.

    A study states every parameter, so that it stays the same when defaults and presets change.
    """

    params_dict: dict  # every parameter of a run; a variant changes some
    judge_dict: dict  # every parameter of the classifier that judges outputs
    variants: dict  # name -> (the parameters that it changes, number of seeds)
    curve: tuple[str, ...]  # variants that are the VAE at several weights of the KL
    bounds: tuple[Bound, ...] = ()
    convergence_tolerance: float = 0.1  # nats; training is long enough where the last fifth of its epochs gains less in validation loss

    def runs(self):
        """Return (variant, seed) of every run; the first seed of every variant comes first."""
        most = max(seeds for _, seeds in self.variants.values())
        return [(name, seed) for seed in range(most) for name, (_, seeds) in self.variants.items() if seed < seeds]

    def run_dict(self, variant, seed):
        """Return every parameter of a run."""
        return complete(self.params_dict | self.variants[variant][0] | {"seed": seed}, "its declaration", "add it in studies.py")

    def judge_run_dict(self):
        """Return every parameter of the judge."""
        return complete(self.judge_dict, "its declaration", "add it in studies.py")

    def bounds_of(self, variant, seed):
        """Return (samples, images) of the bounds that a run's result should have."""
        return tuple((bound.samples, bound.images) for bound in self.bounds if variant in bound.variants and seed < bound.seeds)


def label(key):
    """Return the name of the folders of a run (variant, seed)."""
    return f"{key[0]}-seed{key[1]}"


def next_comparison(dataset, studies):
    """Return lines with the command that makes a study of a dataset; none where no such study is declared.

    Args:
        dataset: its name.
        studies: name -> `Study`; the study that is named like the dataset comes first.
    """
    names = sorted((name for name in studies if studies[name].params_dict["dataset"] == dataset), key=lambda name: name != dataset)
    if not names:
        return []
    runs = counted(len(studies[names[0]].runs()), "run")
    return [
        f"To compare VAEs and DVAEs on {dataset} at equal rate ({runs}; the missing ones are trained):\n  {command('compare.py', names[0])}"
    ]


def check_study(name, study):
    """Raise InputError at the first part of a study that cannot be used; the parameters of every variant are checked too."""
    if not re.fullmatch(r"\w[\w.+-]*", name):  # of a folder, and a word of a command
        raise refusal("study", name, "a name of letters, digits and _ . + -, a letter, digit or _ first", "change it in studies.py")
    every = {}
    for variant in study.variants:
        with _named(f"study {name}, variant {variant}"):
            every[variant] = study.run_dict(variant, 0)
            rules.check(every[variant])
    with _named(f"study {name}, judge"):
        rules.check(study.judge_run_dict())
    _check_variants(name, study, every)
    _check_curve(name, study, every)
    _check_bounds(name, study, every)


@contextlib.contextmanager
def _named(part):
    """Put the name of a part of a study before the sentence of a refusal."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{part}: {error}") from None


def _require(study_name, part, received, holds, expected):
    if not holds:
        raise InputError(f"{part} of study {study_name}: received {received!r}; expected {expected}; change it in studies.py.")


def _check_variants(name, study, every):
    models, names = {params_dict["model"] for params_dict in every.values()}, list(every)
    measures = {tuple(params_dict[field] for field in ALIKE) for params_dict in every.values()}
    for holds, expected in (
        (all(re.fullmatch(r"[\w.+-]+", variant) for variant in every), "names of letters, digits and _ . + -"),
        (all(seeds >= 1 for _, seeds in study.variants.values()), "at least one seed of each"),
        (models <= set(rules.VARIATIONAL), f"models {', '.join(rules.VARIATIONAL)}, which have a KL"),
        ("vae" in every, "one of them named vae, which the others are compared with"),
        (len(measures) == 1, f"the same {', '.join(ALIKE)} for all, or their numbers cannot be compared"),
    ):
        _require(name, "variants", names, holds, expected)
    judge = study.judge_run_dict()
    alike = rules.judged_alike(judge)
    seen = {tuple(params_dict[field] for field in alike) for params_dict in every.values()}
    of_judge = {field: judge[field] for field in ("model", *alike)}
    valid = judge["model"] == "classifier" and {tuple(judge[field] for field in alike)} == seen
    _require(name, "judge", of_judge, valid, f"a classifier with the variants' {', '.join(alike)}")


def _check_curve(name, study, every):
    of_curve = [every[variant] for variant in study.curve if variant in every]
    for holds, expected in (
        (len(of_curve) == len(set(study.curve)) >= 2, "at least two variants of the study, each once"),
        ({params_dict["model"] for params_dict in of_curve} == {"vae"}, "variants of model vae"),
        (len({params_dict["kl_weight"] for params_dict in of_curve}) == len(of_curve), "variants that differ in kl_weight"),
    ):
        _require(name, "curve", study.curve, holds, expected)


def _check_bounds(name, study, every):
    bounded = [variant for bound in study.bounds for variant in bound.variants]
    bernoulli = all(variant in every and every[variant]["likelihood"] == "bernoulli" for variant in bounded)
    _require(name, "bounds", bounded, bernoulli, "variants of the study with likelihood bernoulli")
    large = all(bound.samples >= 1 and bound.images >= 2 and bound.seeds >= 1 for bound in study.bounds)
    _require(name, "bounds", study.bounds, large, "at least 1 sample, 2 images and 1 seed of each")
    distinct = len({bound.samples for bound in study.bounds}) == len(study.bounds)
    _require(name, "bounds", study.bounds, distinct, "each number of samples once")
