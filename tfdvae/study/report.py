"""The results of a study to its report: runs.csv, figures, report.md, and report.html with everything in one file.

The same results make the same files, byte for byte; nothing in them depends on when or where the report was written.
"""

import csv
import dataclasses
import io
import math
import pathlib

import numpy as np

from .. import image_grids
from ..curves import TITLES
from ..labels import variant_labels
from ..lettering import drawn, markdown
from ..runs import files
from . import figures, sections, tables
from .comparison import bound_differences, denoising_differences, differences
from .page import html

FIGURES = "figures"
SIDE = 5  # images in a row of each variant's grid
COLUMNS = ("reconstruction", "kl", "neg_elbo", "error", "error_of_original", "mse", "vae_reconstruction", "corrupted_neg_elbo")


def write(folder, name, study, results, judge_record):
    """Write the report of a study.

    Args:
        folder: of the study, which has its results too.
        name: of the study.
        study: `Study`.
        results: (variant, seed) -> `Result` of its finished runs.
        judge_record: the classifier's own record, a dict.
    """
    folder = pathlib.Path(folder)
    (folder / FIGURES).mkdir(parents=True, exist_ok=True)
    order, curve = list(study.variants), study.curve
    missing = [key for key in study.runs() if key not in results]
    results = {key: results[key] for key in sorted(results, key=lambda key: (order.index(key[0]), key[1]))}
    variants = {variant: changes for variant, (changes, _) in study.variants.items()}
    labels = variant_labels(variants, {variant: study.run_dict(variant, 0) for variant in variants})
    rows = [row_of(*key, result) for key, result in results.items()]
    per_image = {key: compared_terms(result) for key, result in results.items()}
    of_variants = differences(per_image, curve)
    at_equal_rate = [d for d in of_variants if d.kind in figures.AT_EQUAL_RATE]
    outputs = [*(d for d in of_variants if d.kind == "vae_reconstruction"), *denoising_differences(per_image)]
    terms = sorted(
        {term for terms_of_run in per_image.values() for term in terms_of_run if term.startswith("bound_")}, key=tables.samples_of
    )
    bounds = {term: {d.variant: d for d in bound_differences(per_image, term)} for term in terms}

    files.write(folder / "runs.csv", runs_csv(rows))
    draw(folder / FIGURES, name, order, curve, results, rows, at_equal_rate, labels)
    parts = [
        f"# Study {markdown(name)}: does denoising help?",
        *filter(None, [sections.answer(at_equal_rate, len(curve) == 2)]),
        sections.summary(name, results, missing),
        "## At equal rate",
        sections.equal_rate(at_equal_rate, curve, rows, variants, study.convergence_tolerance),
        *(["## What the DAE adds", tables.outputs_table(outputs, order, len(curve) == 2)] if outputs else []),
        "## The published table",
        tables.published_table(study.params_dict["dataset"], rows, results),
        *(["## The published claims", claims] if (claims := tables.claims_table(per_image, variants)) else []),
        "## Every variant",
        tables.variants_table(variants, rows, of_variants, results, labels),
        *(["## Likelihood", tables.bounds_table(results, bounds)] if bounds else []),
        "## Over training",
        sections.curves_section(rows, results, study.convergence_tolerance),
        "## Images",
        sections.images_section(),
        "## Where the numbers come from",
        sections.provenance(name, results, judge_record),
    ]
    text = "\n\n".join(part.strip() for part in parts) + "\n"
    files.write(folder / "report.md", text)
    files.write(folder / "report.html", html(text, folder, f"Study {name}"))


def compared_terms(result):
    """Return a result's terms, but the output of a VAE within only where that was trained."""
    untrained = {"vae_reconstruction"} if result.run["params"]["vae_weight"] == 0 else ()
    return {term: values for term, values in result.per_image.items() if term not in untrained}


def row_of(variant, seed, result):
    """Return a run's row: means over test images, and the length of its training."""
    means = {term: float(values.mean(dtype=np.float64)) for term, values in result.per_image.items()}
    means["neg_elbo"] = means["kl"] + means["reconstruction"]
    losses, neg_elbos = ([row[f"val_{term}"] for row in result.history] for term in ("loss", "neg_elbo"))
    return {
        "variant": variant,
        "model": result.run["params"]["model"],
        "seed": seed,
        **{term: means[term] for term in COLUMNS if term in means},
        **{term: value for term, value in means.items() if term.startswith("bound_")},
        "epochs": len(losses),
        "best_epoch": 1 + int(np.argmin(losses)),
        "last_fifth": last_fifth(losses),
        "last_fifth_neg_elbo": last_fifth(neg_elbos),
        "revision": result.run.get("git") or "",
    }


def last_fifth(values):
    """Return by how much the last fifth of the epochs, rounded up, still lowers the best of a term's validation values, one an epoch."""
    before = len(values) - math.ceil(len(values) / 5)
    return min(values[:before], default=math.inf) - min(values)


def runs_csv(rows):
    """Return the rows as CSV; a column that a run has no number for stays empty."""
    text = io.StringIO()
    rows = [{name.replace("bound_", "log_p_bound_"): value for name, value in row.items()} for row in rows]
    columns = dict.fromkeys(name for row in rows for name in row)
    trailing = ("epochs", "best_epoch", "last_fifth", "last_fifth_neg_elbo", "revision")
    writer = csv.DictWriter(text, [*(name for name in columns if name not in trailing), *trailing], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()} for row in rows)
    return text.getvalue()


def draw(folder, name, order, curve, results, rows, at_equal_rate, labels):
    """Draw every figure of the report into a folder. `labels` has the names of variants in figures."""
    variants = [variant for variant in order if any(variant == key[0] for key in results)]
    points = {labels[v]: {term: tables.values_of(rows, v, term) for term in ("kl", *figures.PANELS)} for v in variants}
    files.write(folder / "rate_distortion.png", figures.rate_distortion(points, [labels[variant] for variant in curve], name))
    (folder / "gaps.png").unlink(missing_ok=True)
    if at_equal_rate:
        shown = [dataclasses.replace(d, variant=labels[d.variant]) for d in at_equal_rate]
        files.write(folder / "gaps.png", figures.gaps(shown, name))
    histories = {labels[variant]: [result.history for key, result in results.items() if key[0] == variant] for variant in variants}
    for term in sections.CURVES:
        title = f"study {drawn(name)}: {TITLES[term]}, validation images"
        files.write(folder / f"{term}.png", figures.curves(histories, term, title))
    draw_images(folder, name, {labels[v]: next(result for key, result in results.items() if key[0] == v) for v in variants})


def draw_images(folder, name, first):
    """Draw outputs and samples of the first run of every variant, label -> `Result`."""
    pictures = {
        title: {label: as_unit(result.pictures[title]) for label, result in first.items() if title in result.pictures}
        for title in ("outputs", "samples")
    }
    rows = {"test images": as_unit(next(iter(first.values())).pictures["images"])} | pictures["outputs"]
    title = f"study {drawn(name)}: the first test images, and the outputs of each variant for them"
    files.write(folder / "outputs.png", image_grids.strips(rows, title))
    columns = {label: images[: SIDE * SIDE] for label, images in pictures["samples"].items()}
    files.write(folder / "samples.png", image_grids.grids(columns, f"study {drawn(name)}: images made of draws from the prior", side=SIDE))


def as_unit(images):
    """Return images of bytes in [0, 1]."""
    return images.astype(np.float32) / 255.0
