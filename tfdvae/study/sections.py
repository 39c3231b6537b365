"""Sections of a study's report that are sentences, in Markdown."""

import numpy as np

from ..lettering import markdown
from .comparison import leave_one_out
from .figures import AT_EQUAL_RATE
from .tables import PUBLISHED_SYSTEM, difference_cells, values_of, verdict

CURVES = {"neg_elbo": "−ELBO", "reconstruction": "reconstruction", "kl": "KL divergence"}
CHORD = """This curve has only two points, so it is a straight line. A convex curve lies below that line. So a variant below the line may
only lie on the true curve."""
PRIORS = """The prior of the curve is N(0, I). For a variant with another prior, part of the distance comes from the prior."""


METHOD = """A VAE with a smaller weight β of the KL has a lower reconstruction loss and a higher KL divergence, without any denoising.
So each variant is compared with a curve of VAEs of several β, at its own KL divergence, the rate. At equal rate the difference in −ELBO
is the difference in reconstruction. A positive difference is worse.

* **The curve** of a seed runs through the VAEs of that seed. Between them it is a monotone piecewise cubic (PCHIP).
* **Differences are paired.** A run is compared with the VAEs of its own seed, on the same test images.
* **There are two 95 % intervals.** Student's interval over seeds covers the chance of training. A bootstrap over test images covers the
  chance of the test set.
* **Shown** is a difference that is larger than √(a² + b²). Here a and b are the distances from the mean to the end of each interval that
  is nearer to zero. One seed shows nothing. Among many comparisons some are shown by chance.
* All classifier errors are those of one judge."""


def summary(name, results, missing):
    """Return how much of the study is finished."""
    total = len(results) + len(missing)
    images = next(iter(results.values())).summary["n"]
    text = (
        f"{len(results)} of {total} runs are finished. All numbers are on the test set of {images:,} images, in nats per image. "
        f"`python compare.py {name}` makes all of it.\n\n"
        f"`vae` and `dvae` are the two models of {PUBLISHED_SYSTEM}, the replicated system (github.com/{PUBLISHED_SYSTEM}). The first is a "
        "VAE. The second, a DVAE, is a VAE and a denoising autoencoder (DAE) that are trained together. The judge is a classifier, trained "
        "on original images, that counts errors on outputs."
    )
    if missing:
        text += f"\n\n**Not finished.** No result yet (untrained or diverged): {listed_runs(missing)}. All numbers are of finished runs."
    return text


def answer(at_equal_rate, chord):
    """Return the result for the DVAE in a sentence, or "" where there is none yet."""
    parts = []
    for d in (d for kind in AT_EQUAL_RATE for d in at_equal_rate if d.kind == kind and d.variant == "dvae"):
        number = f"{100 * d.mean:+.2f} points" if d.kind == "error" else f"{d.mean:+.2f} nats"
        parts.append(f"{'classifier error' if d.kind == 'error' else 'reconstruction'} {number} ({verdict(d, chord)})")
    if not parts:
        return ""
    return f"**Found.** At equal rate, `dvae` minus VAEs is: {', '.join(parts)}. Higher is worse."


def equal_rate(at_equal_rate, curve, rows, variants, tolerance):
    """Return the section on distances from the VAE's curve, with its method in words."""
    chord = len(curve) == 2
    priors = any("prior" in changes for changes in variants.values())
    picture = "![rate and distortion of every variant](figures/rate_distortion.png)\n"
    text = "\n\n".join([METHOD, *([CHORD] if chord else []), *([PRIORS] if priors else []), picture])
    without = not_on_curve(at_equal_rate, curve, rows)
    if not at_equal_rate:
        return f"{text}\n{without}"
    lines = [
        "![distances from the VAE's curve](figures/gaps.png)",
        "",
        "| at equal rate | pairs | difference from the VAE | 95 %, over seeds | 95 %, over test images | |",
        "|---|---|---|---|---|---|",
    ]
    for d in (d for kind in AT_EQUAL_RATE for d in at_equal_rate if d.kind == kind):
        scale, unit = (100, " points") if d.kind == "error" else (1, " nats")
        what = "classifier error" if d.kind == "error" else "reconstruction"
        lines.append(f"| {what}, {markdown(d.variant)} | {difference_cells(d, scale, unit, chord)} |")
    return "\n\n".join(filter(None, ["\n".join([text, *lines]), interpolation(curve, rows), shortness(rows, tolerance), without]))


def interpolation(curve, rows):
    """Return the leave-one-out errors of the curve."""
    distances = leave_one_out({(row["variant"], row["seed"]): row for row in rows}, curve)
    if not distances:
        return ""
    text = """How exact is the curve? Each inner VAE was left out in turn; the table has its distance from the curve through the others. A
negative number means that the curve is too high there, so variants look better than they are. The full curve is closer. The intervals do
not include this error.

| left out | nats of reconstruction | points of error |
|---|---|---|"""
    mean = {key: np.mean(list(per_seed.values())) for key, per_seed in distances.items()}
    inner = dict.fromkeys(variant for _, variant in distances)
    lines = [f"| {markdown(vae)} | {mean['reconstruction', vae]:+.2f} | {100 * mean.get(('error', vae), np.nan):+.2f} |" for vae in inner]
    return "\n".join([text, *lines])


def shortness(rows, tolerance):
    """Name the variants that have not converged."""
    short = dict.fromkeys(row["variant"] for row in rows if max(row["last_fifth"], row["last_fifth_neg_elbo"]) >= tolerance)
    if not short:
        return ""
    named = ", ".join(map(markdown, short)) if len(short) < len({row["variant"] for row in rows}) else "every variant"
    return f"Not converged, by the measure of this study (see Over training): {named}. Longer training may change these distances."


def not_on_curve(at_equal_rate, curve, rows):
    """Return the runs without a distance from the curve, and the reason."""
    finished = {(row["variant"], row["seed"]) for row in rows}
    placed = {(d.variant, seed) for d in at_equal_rate for seed in d.seeds}
    reasons = {}
    for variant, seed in ((row["variant"], row["seed"]) for row in rows if row["variant"] not in curve):
        whole = all((vae, seed) in finished for vae in curve)
        if (variant, seed) not in placed:
            reasons.setdefault("its rate is outside the curve" if whole else "a VAE of the curve is missing", []).append((variant, seed))
    return "\n\n".join(f"No distance, since {reason}: {listed_runs(runs)}." for reason, runs in reasons.items())


def listed_runs(keys):
    """Return runs (variant, seed) in words, the seeds of a variant together."""
    seeds = {}
    for variant, seed in keys:
        seeds.setdefault(variant, []).append(str(seed))
    return ", ".join(f"{markdown(variant)} (seed{'s' if len(each) > 1 else ''} {', '.join(each)})" for variant, each in seeds.items())


def curves_section(rows, results, tolerance):
    """Return the curves over training, and the gain in validation loss of the last fifth of the epochs."""
    figures = [f"![validation {label}](figures/{term}.png)" for term, label in CURVES.items()]
    bound = f"{tolerance:g} nat" if tolerance == 1 else f"{tolerance:g} nats"
    text = (
        "Lines are means over seeds; bands reach from the lowest to the highest seed. Training is long enough where the last fifth of the "
        f"epochs (rounded up) lowers the best validation value by less than {bound}; larger values are in bold. The best epoch has "
        "the lowest validation loss. A joint model's loss contains both reconstruction terms."
    )
    if "im_dvae" in {result.run["params"]["model"] for result in results.values()}:
        text += " An im_dvae's validation values are for corrupted images."
    if {result.run["params"]["learning_rate_schedule"] for result in results.values()} == {"cosine_hold"}:
        text += (
            " Flat does not mean converged: in the last fifth the learning rate is about a hundredth of its start, and more epochs "
            "at a higher rate may lower all values."
        )
    table = ["| variant | seeds | last fifth lowers the objective by at most | and −ELBO by |", "|---|---|---|---|"]
    for variant in dict.fromkeys(row["variant"] for row in rows):
        lowered = [values_of(rows, variant, term) for term in ("last_fifth", "last_fifth_neg_elbo")]
        cells = [f"**{each.max():.3f}**" if each.max() >= tolerance else f"{each.max():.3f}" for each in lowered]
        table.append(f"| {markdown(variant)} | {len(lowered[0])} | {cells[0]} | {cells[1]} |")
    return "\n\n".join([text, "\n".join(table), *figures])


def images_section():
    """Return the pictures."""
    return """The first test images, and the outputs for them of each variant's first seed:

![outputs of every variant](figures/outputs.png)

Draws from the prior:

![samples of every variant](figures/samples.png)"""


def provenance(name, results, judge):
    """Return code, versions, machines, data and commands of all runs and of the judge."""
    runs = [result.run for result in results.values()]

    def listed(values):
        return ", ".join(dict.fromkeys(str(value) for value in values))

    versions = {key: listed(run["versions"].get(key, "?") for run in runs) for key in runs[0]["versions"]}
    lines = [
        f"- code: revision {listed(run.get('git') or 'unknown' for run in runs)}; evaluated by "
        f"{listed(result.evaluated_by or result.run.get('git') or 'unknown' for result in results.values())}; "
        f"the judge by {judge.get('git') or 'unknown'}",
        f"- versions and machines: {'; '.join(f'{key} {value}' for key, value in versions.items())}; "
        f"precision {listed(run['precision'] for run in runs)}",
        f"- data: SHA-256 of the test images {listed(run['data']['test_fingerprint'] for run in runs)}",
        f"- everything: `python compare.py {name}`; the commands in the records of the judge and the runs:",
    ]
    commands = "\n".join(dict.fromkeys([judge["command"], *(run["command"] for run in runs)]))
    return "\n".join(lines) + f"\n\n```\n{commands}\n```"
