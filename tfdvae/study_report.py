"""Records of a study to its report: runs.csv, figures, report.md, and report.html with everything in one file.

The same records make the same files, byte for byte; nothing in them depends on when or where the report was written.
"""

import base64
import csv
import io
import math
import pathlib
import re

import numpy as np

from . import files, plots, study_figures
from .comparison import bound_differences, denoising_differences, differences, left_out, term_differences
from .study_figures import AT_EQUAL_RATE

FIGURES = "figures"
SIDE = 5  # images in a row of each variant's grid
COLUMNS = ("reconstruction", "kl", "neg_elbo", "error", "error_of_original", "mse", "vae_reconstruction", "corrupted_neg_elbo")
PUBLISHED = {  # R0's, test loss, KL divergence and error: nats per image, one seed
    "mnist": {"vae": (74.248, 20.900, 0.0385), "dvae": (71.648, 25.728, 0.0299), "original": 0.0101},
    "cifar10": {"vae": (1811.562, 35.668, 0.7184), "dvae": (1790.816, 52.144, 0.7061), "original": 0.2223},
}
CURVES = {"neg_elbo": "−ELBO", "reconstruction": "reconstruction", "kl": "KL divergence"}
CHORD = """ The curve has two points here, so it is a chord, which lies above a convex curve: to lie below it is no gain yet."""
PRIORS = """ The curve's prior is N(0, I), so what another prior gains is part of the distance of the variants that have one."""
STYLE = """body { max-width: 65rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 sans-serif; color: #111; background: #fff }
p, li { overflow-wrap: anywhere }
img { max-width: 100% } table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto; font-size: 0.8rem }
th, td { border-bottom: 1px solid #bbb; padding: 0.25rem 0.4rem; text-align: left; vertical-align: bottom } td { white-space: nowrap }
@media print { body { font-size: 10pt } table { display: table; font-size: 7pt } th, td { padding: 1pt 2pt } pre { white-space: pre-wrap } }
code { background: #f2f2f2; padding: 0 0.2rem } pre { overflow-x: auto; background: #f2f2f2; padding: 0.5rem } pre code { padding: 0 }"""


def write(folder, name, dataset, variants, curve, records, missing, flat, judge):
    """Write the report of a study.

    Args:
        folder: of the study, which has its records too.
        name: of the study.
        dataset: that it is on.
        variants: its variants, in order: name -> parameters in place of the common ones.
        curve: those that are the VAE at several weights of the KL.
        records: (variant, seed) -> `Record`.
        missing: (variant, seed) of runs that there are not yet.
        flat: nats by which the last fifth of the epochs may lower the validation loss at most.
        judge: the classifier's own record, a dict.
    """
    folder = pathlib.Path(folder)
    (folder / FIGURES).mkdir(parents=True, exist_ok=True)
    order = list(variants)
    records = {key: records[key] for key in sorted(records, key=lambda key: (order.index(key[0]), key[1]))}
    rows = [row_of(*key, record) for key, record in records.items()]
    per_image = {key: compared_terms(record) for key, record in records.items()}
    found = differences(per_image, curve)
    at_equal_rate = [d for d in found if d.kind in AT_EQUAL_RATE]
    outputs = [*(d for d in found if d.kind == "vae_reconstruction"), *denoising_differences(per_image)]
    terms = sorted({term for each in per_image.values() for term in each if term.startswith("bound_")}, key=samples_of)
    bounds = {term: {d.variant: d for d in bound_differences(per_image, term)} for term in terms}

    files.write(folder / "runs.csv", runs_csv(rows))
    draw(folder / FIGURES, name, order, curve, records, rows, at_equal_rate)
    parts = [
        f"# Study {name}: does denoising help?",
        summary(name, records, missing),
        "## At equal rate",
        equal_rate(at_equal_rate, curve, rows, variants, flat),
        *(["## What the DAE adds", outputs_table(outputs, order, len(curve) == 2)] if outputs else []),
        "## R0's table",
        published_table(dataset, rows, records),
        *(["## R0's claims", claims] if (claims := claims_table(per_image, variants)) else []),
        "## Every variant",
        variants_table(variants, rows, found, records),
        *(["## Likelihood", bounds_table(records, bounds)] if bounds else []),
        "## Over training",
        curves_section(rows, records, flat),
        "## Images",
        images_section(),
        "## Where the numbers come from",
        provenance(name, records, judge),
    ]
    text = "\n\n".join(part.strip() for part in parts) + "\n"
    files.write(folder / "report.md", text)
    files.write(folder / "report.html", html(text, folder, f"Study {name}"))


def compared_terms(record):
    """Return a record's terms, but the output of a VAE within only where that was trained."""
    untrained = {"vae_reconstruction"} if record.run["params"]["vae_weight"] == 0 else ()
    return {term: values for term, values in record.per_image.items() if term not in untrained}


def row_of(variant, seed, record):
    """Return a run's row: means over test images, and what its training was."""
    means = {term: float(values.mean(dtype=np.float64)) for term, values in record.per_image.items()}
    means["neg_elbo"] = means["kl"] + means["reconstruction"]
    losses, neg_elbos = ([row[f"val_{term}"] for row in record.history] for term in ("loss", "neg_elbo"))
    return {
        "variant": variant,
        "model": record.run["params"]["model"],
        "seed": seed,
        **{term: means[term] for term in COLUMNS if term in means},
        **{term: value for term, value in means.items() if term.startswith("bound_")},
        "epochs": len(losses),
        "best_epoch": 1 + int(np.argmin(losses)),
        "last_fifth": last_fifth(losses),
        "last_fifth_neg_elbo": last_fifth(neg_elbos),
        "revision": record.run.get("git") or "",
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


def values_of(rows, variant, term):
    """Return a variant's values of a term, one a seed."""
    return np.array([row[term] for row in rows if row["variant"] == variant and term in row])


def draw(folder, name, order, curve, records, rows, at_equal_rate):
    """Draw every figure."""
    there = [variant for variant in order if any(variant == key[0] for key in records)]
    points = {variant: {term: values_of(rows, variant, term) for term in ("kl", *study_figures.PANELS)} for variant in there}
    study_figures.rate_distortion(points, curve, folder / "rate_distortion.png", f"study {name}, test set")
    (folder / "gaps.png").unlink(missing_ok=True)
    if at_equal_rate:
        study_figures.gaps(at_equal_rate, folder / "gaps.png")
    histories = {variant: [record.history for key, record in records.items() if key[0] == variant] for variant in there}
    for term, label in CURVES.items():
        study_figures.curves(histories, term, f"validation {label} (nats per image)", folder / f"{term}.png")
    first = {variant: next(record for key, record in records.items() if key[0] == variant) for variant in there}
    grids = {
        title: {v: record.pictures[title] for v, record in first.items() if title in record.pictures} for title in ("outputs", "samples")
    }
    originals = next(iter(first.values())).pictures["images"]
    for title, columns in (("outputs", {"test images": originals} | grids["outputs"]), ("samples", grids["samples"])):
        shown = {variant: images[: SIDE * SIDE].astype(np.float32) / 255.0 for variant, images in columns.items()}
        plots.grids(shown, folder / f"{title}.png", side=SIDE)


def summary(name, records, missing):
    """Return how much of the study there is."""
    total = len(records) + len(missing)
    images = next(iter(records.values())).summary["n"]
    text = (
        f"{len(records)} of {total} runs; test set, {images:,} images, nats per image. `python compare.py {name}` makes all of it. R0 is "
        "the published system, whose VAE and joint DVAE are `vae` and `dvae`; the judge is the classifier that counts errors on outputs."
    )
    if missing:
        text += (
            f"\n\n**Not finished.** Without a record, to be trained or diverged: {listed_runs(missing)}. What stands below is of the runs "
            "that there are."
        )
    return text


def listed_runs(keys):
    """Return runs (variant, seed) in words, the seeds of a variant together."""
    seeds = {}
    for variant, seed in keys:
        seeds.setdefault(variant, []).append(str(seed))
    return ", ".join(f"{variant} (seed{'s' if len(each) > 1 else ''} {', '.join(each)})" for variant, each in seeds.items())


def equal_rate(at_equal_rate, curve, rows, variants, flat):
    """Return the section on distances from the VAE's curve, with its method in words."""
    chord = len(curve) == 2
    priors = any("prior" in changes for changes in variants.values())
    text = f"""A VAE buys a lower reconstruction loss with a higher KL divergence by a smaller weight β of the KL, without any denoising. So
each variant is set against the curve of VAEs of several β at its own KL divergence, the rate. The curve of a seed runs through that
seed's VAEs, interpolated by a monotone piecewise cubic (PCHIP). At equal rate the difference in −ELBO is the difference in
reconstruction. Differences are paired: a run is compared with the VAEs of its own seed, on the same test images. There are two 95 %
intervals, Student's over seeds and a bootstrap over test images. Each leaves out what the other has, so a difference counts as shown only
where zero is farther away than both reach together (the root of the sum of the squares of their arms towards zero). One seed shows
nothing; among many comparisons some are shown by chance; and every classifier error is that of one
judge.{CHORD if chord else ""}{PRIORS if priors else ""}

![rate and distortion of every variant](figures/rate_distortion.png)
"""
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
        lines.append(f"| {what}, {d.variant} | {difference_cells(d, scale, unit, chord)} |")
    return "\n\n".join(filter(None, ["\n".join([text, *lines]), interpolation(curve, rows), shortness(rows, flat), without]))


def interpolation(curve, rows):
    """Return how well the curve tells the distortion of VAEs that it does not run through."""
    distances = left_out({(row["variant"], row["seed"]): row for row in rows}, curve)
    if not distances:
        return ""
    missed = {
        kind: [f"{v} by {scale * np.mean(list(d.values())):+.2f}" for (k, v), d in distances.items() if k == kind]
        for kind, scale in (("reconstruction", 1), ("error", 100))
    }
    return f"""How far interpolation can be trusted: with one of its inner VAEs left out, that VAE lies off the curve through the others, in
nats of reconstruction, {", ".join(missed["reconstruction"])}, in points of error, {", ".join(missed["error"])}. Below zero, the curve runs
too high there, which flatters what is set against it. With every VAE in its place the curve is closer, but what it errs by is in no
interval."""


def shortness(rows, flat):
    """Return whose training was too short for a verdict to hold of more of it, in words."""
    short = dict.fromkeys(row["variant"] for row in rows if max(row["last_fifth"], row["last_fifth_neg_elbo"]) >= flat)
    if not short:
        return ""
    named = ", ".join(short) if len(short) < len({row["variant"] for row in rows}) else "every variant"
    return f"Too short, by the measure of this study (below, over training), was the training of {named}: more may change these distances."


def not_on_curve(at_equal_rate, curve, rows):
    """Return which runs have no distance from the curve, and why."""
    there, placed = {(row["variant"], row["seed"]) for row in rows}, {(d.variant, seed) for d in at_equal_rate for seed in d.seeds}
    reasons = {}
    for variant, seed in ((row["variant"], row["seed"]) for row in rows if row["variant"] not in curve):
        whole = all((each, seed) in there for each in curve)
        if (variant, seed) not in placed:
            reasons.setdefault("rate beyond the curve" if whole else "a VAE of the curve is missing", []).append((variant, seed))
    return "\n\n".join(f"Without a distance, {reason}: {listed_runs(runs)}." for reason, runs in reasons.items())


def outputs_table(outputs, order, chord):
    """Return the differences that parts of joint models make: the VAE within from the curve, and the DAE from the VAE within."""
    text = """A joint model makes two reconstructions from one latent, so at one rate: the output of the VAE within, and what its DAE makes
of that. So its distance from the curve has two parts, that of the VAE within, and what the DAE adds to the very output that it is given.
A model that leaves the output within untrained (`vae_weight` 0) is not listed.

| variant | difference in reconstruction | pairs | | 95 %, over seeds | 95 %, over test images | |
|---|---|---|---|---|---|---|
"""
    parts = {"vae_reconstruction": "VAE within, from the curve at equal rate", "denoised": "DAE's output, from that of the VAE within"}
    ordered = sorted(outputs, key=lambda d: (order.index(d.variant), list(parts).index(d.kind)))
    cells = (difference_cells(d, chord=chord and d.kind == "vae_reconstruction") for d in ordered)
    return text + "\n".join(f"| {d.variant} | {parts[d.kind]} | {each} |" for d, each in zip(ordered, cells))


def difference_cells(d, scale=1, unit=" nats", chord=False):
    """Return the cells of a difference: number of pairs, mean, both intervals, verdict."""
    intervals = [f"{scale * i[0]:+.2f} to {scale * i[1]:+.2f}" if i else "–" for i in (d.over_seeds, d.over_images)]
    return f"{len(d.seeds)} | {scale * d.mean:+.2f}{unit} | {' | '.join(intervals)} | {verdict(d, chord)}"


def verdict(d, chord=False):
    """Return what a difference shows; a curve through two points alone is no more than a chord."""
    if d.over_seeds is None:
        return "one seed"
    if d.over_images is None:
        return "at the end of the curve"
    if not d.shown:
        return "no difference shown"
    if chord and (d.mean < 0 or d.kind == "error"):
        return "below the chord" if d.mean < 0 else "above the chord"
    return "lower" if d.mean < 0 else "higher"


def published_table(dataset, rows, records):
    """Return VAE, DVAE and CNN in the form of R0's table, with R0's numbers where it has this dataset."""
    published = PUBLISHED.get(dataset, {})
    lines = ["| model | test loss | test KLD | −ELBO | classifier error |", "|---|---|---|---|---|"]
    originals = [row["error_of_original"] for row in rows if "error_of_original" in row]
    if originals:
        lines.append(f"| **CNN on originals** | | | | {100 * originals[0]:.2f} % |")
    if "original" in published:
        lines.append(f"| R0's CNN | | | | {100 * published['original']:.2f} % |")
    for variant in ("vae", "dvae"):
        lines.append(f"| **{variant}** | {' | '.join(spread_cells(rows, variant))} |")
        if variant in published:
            loss, kl, error = published[variant]
            lines.append(f"| R0's {variant.upper()} | {loss:.3f} | {kl:.3f} | {loss + kl:.3f} | {100 * error:.2f} % |")
    notes = dict.fromkeys(record.run["data"]["note"] for record in records.values())
    of_r0 = "R0's models had one seed and were trained with labels, and its loss has an L2 penalty in it."
    sentences = ["Mean ± standard deviation over seeds.", *([of_r0] if published else []), *(f"Note: {note}." for note in notes if note)]
    return "\n".join(lines) + "\n\n" + " ".join(sentences)


def claims_table(per_image, variants):
    """Return the differences that R0 claims: of the DVAE from the VAE, and of a variant of another prior from its like with N(0, I)."""
    text = """R0 reports that the DVAE has a lower loss and a higher KL divergence than the VAE, and conjectures that a mixture as prior
lowers both. These are the differences in loss, the reconstruction, and in KL divergence, each model at the rate that it has, so they tell
nothing of who pays less for what; paired and judged as above.

| difference | in | pairs | | 95 %, over seeds | 95 %, over test images | |
|---|---|---|---|---|---|---|
"""
    lines = []
    for variant, like in ({"dvae": "vae"} | likes_of(variants)).items():
        of_both = {run: terms for run, terms in per_image.items() if run[0] in (variant, like)}
        for term, named in (("reconstruction", "loss"), ("kl", "KL divergence")):
            lines += [f"| {variant} minus {like} | {named} | {difference_cells(d)} |" for d in term_differences(of_both, term, like)]
    return text + "\n".join(lines) if lines else ""


def likes_of(variants):
    """Return variant -> the variant that differs from it in the prior alone, which is N(0, I) there."""
    return {
        variant: like
        for variant, changes in variants.items()
        for like, others in variants.items()
        if changes.keys() - others.keys() == {"prior"} and changes.items() >= others.items()
    }


def spread_cells(rows, variant):
    """Return reconstruction, KL, −ELBO and error of a variant, mean ± standard deviation over seeds."""
    cells = []
    for term, scale, unit in (("reconstruction", 1, ""), ("kl", 1, ""), ("neg_elbo", 1, ""), ("error", 100, " %")):
        values = scale * values_of(rows, variant, term)
        spread = f" ± {values.std(ddof=1):.2f}" if len(values) > 1 else ""
        cells.append(f"{values.mean():.2f}{spread}{unit}" if len(values) else "")
    return cells


def variants_table(variants, rows, found, records):
    """Return every variant's numbers, and its difference from the VAE of β = 1; what the variants are, and what is to be known of them."""
    lines = [
        "| variant | seeds | reconstruction | KL | −ELBO | classifier error "
        "| pairs | −ELBO minus the vae's | 95 %, over seeds | over test images | |",
        "|" + "---|" * 11,
    ]
    against = {d.variant: d for d in found if d.kind == "neg_elbo"}
    there = dict.fromkeys(row["variant"] for row in rows)
    for variant in there:
        n = sum(row["variant"] == variant for row in rows)
        compared = difference_cells(against[variant], unit="") if variant in against else " | | | | "
        lines.append(f"| {variant} | {n} | {' | '.join(spread_cells(rows, variant))} | {compared} |")
    text = "Mean ± standard deviation over seeds; differences are of the seeds that both have. Variants by their parameters:\n"
    listed = [f"- {v}: {', '.join(f'{name} {value}' for name, value in variants[v].items())}" for v in there]
    notes = dict.fromkeys(f"Note: {note}." for record in records.values() for note in record.notes)
    return "\n".join([*lines, "", text, *listed, *(f"\n{note}" for note in notes)])


def bounds_table(records, bounds):
    """Return the importance-weighted bounds, `bounds` being term -> variant -> `Difference`, with fewer samples first."""
    text = """Importance-weighted bounds on log p(x) of the first test images, as many as the table says; their pixels are drawn once,
black or white, with their grey value as probability, and the encoder sees the grey image, as in training. Nats per image, lower is
better. What more samples gain is of the same images and seeds. Differences and their intervals are of the bounds: the slack that is left,
of which the gain tells, may differ from model to model. Nothing here is at equal rate: a VAE of smaller β, where it has a row, is to be
set beside the joint models.
"""
    lines = [
        "| variant | samples | test images | seeds | −log p(x) ≤ | with fewer samples | pairs | minus the vae's | 95 %, over seeds "
        "| over test images | |",
        "|" + "---|" * 11,
    ]
    for looser, term in zip([None, *bounds], bounds):
        for variant in dict.fromkeys(variant for variant, _ in records):
            having = [record.per_image for (v, _), record in records.items() if v == variant and term in record.per_image]
            if not having:
                continue
            n = len(having[0][term])
            means = np.array([-values[term].mean(dtype=np.float64) for values in having])
            spread = f" ± {means.std(ddof=1):.2f}" if len(means) > 1 else ""
            gains = [(each[term] - each[looser][:n]).mean(dtype=np.float64) for each in having if len(each.get(looser, ())) >= n]
            gain = f"{np.mean(gains):.2f} more with {samples_of(looser):,}" if gains else ""
            gain += f" ({len(gains)} of the seeds)" if 0 < len(gains) < len(means) else ""
            cells = difference_cells(bounds[term][variant], unit="") if variant in bounds[term] else " | | | | "
            lines.append(f"| {variant} | {samples_of(term):,} | {n:,} | {len(means)} | {means.mean():.2f}{spread} | {gain} | {cells} |")
    return text + "\n" + "\n".join(lines)


def samples_of(term):
    """Return K of "bound_K"."""
    return int(term.removeprefix("bound_"))


def curves_section(rows, records, flat):
    """Return the curves over training, and by how much the last fifth of the epochs still lowered the loss."""
    figures = [f"![validation {label}](figures/{term}.png)" for term, label in CURVES.items()]
    bound = f"{flat:g} nat" if flat == 1 else f"{flat:g} nats"
    text = (
        "Lines are means over seeds, bands reach from the lowest to the highest. Training counts as long enough where the last fifth of "
        f"the epochs (rounded up) lowers the best validation value by less than {bound}; what reaches that is in bold. The "
        "objective, of which the best epoch is kept, weighs its terms, and a joint model's has two reconstructions in it."
    )
    if "im_dvae" in {record.run["params"]["model"] for record in records.values()}:
        text += " An im_dvae's validation values are of corrupted images."
    if {record.run["params"]["learning_rate_schedule"] for record in records.values()} == {"cosine_hold"}:
        text += (
            " Flat is not converged: in that last fifth the learning rate is about a hundredth of what it was, and more epochs before it "
            "may lower all of them further."
        )
    table = ["| variant | seeds | last fifth lowers the objective by at most | and −ELBO by |", "|---|---|---|---|"]
    for variant in dict.fromkeys(row["variant"] for row in rows):
        lowered = [values_of(rows, variant, term) for term in ("last_fifth", "last_fifth_neg_elbo")]
        cells = [f"**{each.max():.3f}**" if each.max() >= flat else f"{each.max():.3f}" for each in lowered]
        table.append(f"| {variant} | {len(lowered[0])} | {cells[0]} | {cells[1]} |")
    return "\n\n".join([text, "\n".join(table), *figures])


def images_section():
    """Return the pictures."""
    return """The first test images, and what the first seed of each variant makes of them:

![outputs of every variant](figures/outputs.png)

Draws from the prior:

![samples of every variant](figures/samples.png)"""


def provenance(name, records, judge):
    """Return code, versions, machines, data and commands of all runs and of the judge."""
    runs = [record.run for record in records.values()]

    def listed(values):
        return ", ".join(dict.fromkeys(str(value) for value in values))

    versions = {key: listed(run["versions"].get(key, "?") for run in runs) for key in runs[0]["versions"]}
    lines = [
        f"- code: revision {listed(run.get('git') or 'unknown' for run in runs)}; evaluated by "
        f"{listed(record.evaluated_by or record.run.get('git') or 'unknown' for record in records.values())}; "
        f"the judge by {judge.get('git') or 'unknown'}",
        f"- versions and machines: {'; '.join(f'{key} {value}' for key, value in versions.items())}; "
        f"precision {listed(run['precision'] for run in runs)}",
        f"- data: SHA-256 of the test images {listed(run['data']['test_fingerprint'] for run in runs)}",
        f"- everything: `python compare.py {name}`; the judge and each run by itself:",
    ]
    commands = "\n".join([judge["command"], *(run["command"] for run in runs)])
    return "\n".join(lines) + f"\n\n```\n{commands}\n```"


def html(text, folder, title):
    """Return the report as one HTML page, with its pictures inside."""
    import markdown

    def inside(match):
        content = base64.b64encode((folder / match[1]).read_bytes()).decode()
        return f'src="data:image/png;base64,{content}"'

    body = re.sub(r'src="([^"]+\.png)"', inside, markdown.markdown(text, extensions=["tables", "fenced_code"]))
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>\n'
