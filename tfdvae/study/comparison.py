"""Runs to differences: at equal rate, over seeds and over test images, with intervals. Plain arrays in, plain numbers out.

The rate-distortion curve of the VAE has its rates and reconstructions at several weights of the KL. A variant below the curve at its own
rate is better than a VAE of equal rate; a variant on the curve is as good.
"""

import dataclasses
import math
import warnings

import numpy as np
import scipy.interpolate
import scipy.stats

CONFIDENCE = 0.95
RESAMPLES = 1_000  # of test images
CURVE_OF = {"reconstruction": "reconstruction", "error": "error", "vae_reconstruction": "reconstruction"}  # term -> its curve's term
TERMS = ("kl", *CURVE_OF)


@dataclasses.dataclass(frozen=True)
class Difference:
    """A variant's difference from the VAE, lower being better.

    kinds:
        "reconstruction", "error", "vae_reconstruction" (of the VAE within): from the curve of the same seed, at equal KL.
        a term, "neg_elbo", "bound_K": from the baseline of the same seed; each run has its own rate.
        "denoised": the final reconstruction minus that of the VAE within.
    """

    kind: str
    variant: str
    per_seed: tuple[float, ...]
    seeds: tuple[int, ...]
    over_seeds: tuple[float, float] | None  # t interval; None for one seed
    over_images: tuple[float, float] | None  # bootstrap interval; None where some resample has its rate beyond the curve

    @property
    def mean(self):
        """The average over seeds."""
        return float(np.mean(self.per_seed))

    @property
    def shown(self):
        """Whether zero is farther away than both intervals reach together; a single seed shows nothing.

        Neither interval contains the uncertainty of the other. Independent errors add as squares, and so do the arms of the
        intervals towards zero.
        """
        if self.over_seeds is None or self.over_images is None:
            return False
        arms = [self.mean - low if self.mean > 0 else high - self.mean for low, high in (self.over_seeds, self.over_images)]
        return abs(self.mean) > math.hypot(*arms)


def t_interval(values):
    """Return the ends of Student's interval for the mean of independent values, or None for fewer than two."""
    if len(values) < 2:
        return None
    interval = scipy.stats.ttest_1samp(values, 0.0).confidence_interval(CONFIDENCE)
    return float(interval.low), float(interval.high)


def along_curve(rates, values):
    """Return the function rate -> values of a monotone piecewise cubic through points (PCHIP, Fritsch & Butland 1984); NaN beyond them.

    Args:
        rates: (p,), any order; of points with the same rate, as two collapsed posteriors have, the first counts.
        values: (p, ...).
    """
    rates, order = np.unique(rates, return_index=True)
    return scipy.interpolate.PchipInterpolator(rates, np.asarray(values)[order], axis=0, extrapolate=False)


def matched_rate(means, curve):
    """Return the distances of runs from the curve of the VAE with their seed, at their own rate.

    Args:
        means: (variant, seed) -> dict of means over test images, of "kl" and of any of `CURVE_OF`.
        curve: variants that make it up.

    Returns:
        dict (kind, variant) -> {seed: distance}; without the runs whose seed has no complete curve, or whose rate is beyond it.
    """
    distances = {}
    of_curve = [term for term in dict.fromkeys(CURVE_OF.values()) if all(term in terms for terms in means.values())]
    for seed in sorted({seed for _, seed in means}):
        if not all((variant, seed) in means for variant in curve):  # part of a curve is another curve
            continue
        points = [means[variant, seed] for variant in curve]
        expected = along_curve([point["kl"] for point in points], [[point[term] for term in of_curve] for point in points])
        for variant, _ in (key for key in means if key[1] == seed and key[0] not in curve):
            own = means[variant, seed]
            values = dict(zip(of_curve, map(float, expected(own["kl"]))))
            for kind, term in CURVE_OF.items():
                if kind in own and math.isfinite(values.get(term, math.nan)):
                    distances.setdefault((kind, variant), {})[seed] = own[kind] - values[term]
    return distances


def leave_one_out(means, curve):
    """Return the distance of each inner VAE of the curve from the curve through the others, in the form of `matched_rate`.

    The gap is twice as wide without this VAE, so the error of the full curve is smaller.
    """
    of_curve, distances = {key: terms for key, terms in means.items() if key[0] in curve}, {}
    for variant in curve if len(curve) > 2 else ():  # one VAE alone is no curve
        distances |= matched_rate(of_curve, [vae for vae in curve if vae != variant])
    return distances


def against_baseline(means, baseline, kind):
    """Return the differences of runs from the baseline's run with their seed: dict (kind, variant) -> {seed: difference}.

    Args:
        means: (variant, seed) -> mean of a term over test images.
    """
    gaps = {}
    for (variant, seed), mean in means.items():
        if variant != baseline and (baseline, seed) in means:
            gaps.setdefault((kind, variant), {})[seed] = mean - means[baseline, seed]
    return gaps


def differences(per_image, curve, baseline="vae"):
    """Return every `Difference` that runs on the same test images allow.

    Args:
        per_image: (variant, seed) -> dict of (n,) arrays "kl", "reconstruction", where there is a judge "error", and where there is a VAE
            within "vae_reconstruction".
        curve: variants that are the VAE at several weights of the KL, the baseline among them.
        baseline: variant for differences of -ELBO.
    """
    names = [(run, term) for run, terms in per_image.items() for term in TERMS if term in terms]

    def of(averages):
        means = {}
        for (run, term), average in zip(names, averages):
            means.setdefault(run, {})[term] = average
        neg_elbos = {run: terms["kl"] + terms["reconstruction"] for run, terms in means.items()}
        return matched_rate(means, curve) | against_baseline(neg_elbos, baseline, "neg_elbo")

    return _with_intervals([per_image[run][term] for run, term in names], of)


def term_differences(per_image, term, baseline="vae"):
    """Return the `Difference` in a term of every run that has it from the baseline's run of its seed, each at the rate that it has."""
    runs = [run for run, terms in per_image.items() if term in terms]
    return _with_intervals(
        [per_image[run][term] for run in runs], lambda averages: against_baseline(dict(zip(runs, averages)), baseline, term)
    )


def bound_differences(per_image, term, baseline="vae"):
    """Return the `Difference` of every run that has an importance-weighted bound of this name from the baseline's run of its seed, of
    -log p(x): lower is better."""
    return term_differences({run: {term: -terms[term]} for run, terms in per_image.items() if term in terms}, term, baseline)


def denoising_differences(per_image):
    """Return the `Difference` between the two outputs of every joint model, that of its DAE and that of the VAE within."""
    runs = [run for run, terms in per_image.items() if "vae_reconstruction" in terms]

    def of(averages):
        gains = {}
        for (variant, seed), average in zip(runs, averages):
            gains.setdefault(("denoised", variant), {})[seed] = average
        return gains

    return _with_intervals([np.subtract(per_image[run]["reconstruction"], per_image[run]["vae_reconstruction"]) for run in runs], of)


def _with_intervals(columns, of):
    """Return differences, which `of` makes of the means of columns of per-image values, with intervals over seeds and over images.

    Images are resampled together for all runs, so that differences stay paired.
    """
    matrix = np.array(columns, np.float64)
    per_seed_of = of(matrix.mean(axis=1)) if len(matrix) else {}
    if not per_seed_of:
        return []

    def means_over_seeds(images):
        again = of(matrix[:, images].mean(axis=1))
        return np.array([np.mean([again.get(key, {}).get(seed, np.nan) for seed in per_seed_of[key]]) for key in per_seed_of])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", scipy.stats.DegenerateDataWarning)  # reported as None below
        intervals = scipy.stats.bootstrap(
            (np.arange(matrix.shape[1]),),
            means_over_seeds,
            n_resamples=RESAMPLES,
            batch=50,
            vectorized=False,
            confidence_level=CONFIDENCE,
            method="percentile",
            rng=np.random.default_rng(0),
        ).confidence_interval
    ends = np.transpose([np.atleast_1d(intervals.low), np.atleast_1d(intervals.high)])
    over_images = [tuple(map(float, pair)) if np.all(np.isfinite(pair)) else None for pair in ends]
    return [
        Difference(kind, variant, tuple(per_seed.values()), tuple(per_seed), t_interval(list(per_seed.values())), interval)
        for ((kind, variant), per_seed), interval in zip(per_seed_of.items(), over_images)
    ]
