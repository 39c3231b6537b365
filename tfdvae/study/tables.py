"""Tables of a study's report, in Markdown."""

import numpy as np

from ..lettering import markdown
from .comparison import term_differences

PUBLISHED_SYSTEM = "dojoteef/dvae"  # without a link, since a page needs nothing from outside
PUBLISHED = {  # of the published system: test loss, KL divergence and error; nats per image, one seed
    "mnist": {"vae": (74.248, 20.900, 0.0385), "dvae": (71.648, 25.728, 0.0299), "original": 0.0101},
    "cifar10": {"vae": (1811.562, 35.668, 0.7184), "dvae": (1790.816, 52.144, 0.7061), "original": 0.2223},
}


def published_table(dataset, rows, results):
    """Return VAE, DVAE and CNN in the form of the published table, with the published numbers where there are some for this dataset."""
    published = PUBLISHED.get(dataset, {})
    lines = ["| model | test loss | test KLD | −ELBO | classifier error |", "|---|---|---|---|---|"]
    originals = [row["error_of_original"] for row in rows if "error_of_original" in row]
    if originals:
        lines.append(f"| **CNN on originals** | | | | {100 * originals[0]:.2f} % |")
    if "original" in published:
        lines.append(f"| dojoteef/dvae, CNN | | | | {100 * published['original']:.2f} % |")
    for variant in ("vae", "dvae"):
        lines.append(f"| **{variant}** | {' | '.join(spread_cells(rows, variant))} |")
        if variant in published:
            loss, kl, error = published[variant]
            lines.append(f"| dojoteef/dvae, {variant.upper()} | {loss:.3f} | {kl:.3f} | {loss + kl:.3f} | {100 * error:.2f} % |")
    notes = dict.fromkeys(result.run["data"]["note"] for result in results.values())
    of_published = f"The models of {PUBLISHED_SYSTEM} had one seed and were trained with labels. Their loss contains an L2 penalty."
    sentences = [
        "Mean ± standard deviation over seeds.",
        *([of_published] if published else []),
        *(f"Note: {markdown(note)}." for note in notes if note),
    ]
    return "\n".join(lines) + "\n\n" + " ".join(sentences)


def claims_table(per_image, variants):
    """Return the published claims as differences: DVAE minus VAE, and a variant with another prior minus its like with N(0, I)."""
    text = f"""The claim of {PUBLISHED_SYSTEM}: the DVAE has a lower loss and a higher KL divergence than the VAE. Its conjecture: a
mixture as prior lowers both. The table has the differences in loss (the reconstruction) and in KL divergence. They are paired and judged as
above. Each model has its own rate here, so these differences do not show which model is better.

| difference | in | pairs | | 95 %, over seeds | 95 %, over test images | |
|---|---|---|---|---|---|---|
"""
    lines = []
    for variant, like in ({"dvae": "vae"} | likes_of(variants)).items():
        of_both = {run: terms for run, terms in per_image.items() if run[0] in (variant, like)}
        for term, named in (("reconstruction", "loss"), ("kl", "KL divergence")):
            pair = f"{markdown(variant)} minus {markdown(like)}"
            lines += [f"| {pair} | {named} | {difference_cells(d)} |" for d in term_differences(of_both, term, like)]
    return text + "\n".join(lines) if lines else ""


def likes_of(variants):
    """Return variant -> the variant that differs from it in the prior alone, which is N(0, I) there."""
    return {
        variant: like
        for variant, changes in variants.items()
        for like, others in variants.items()
        if changes.keys() - others.keys() == {"prior"} and changes.items() >= others.items()
    }


def variants_table(variants, rows, differences, results, labels):
    """Return every variant's numbers, its difference from the VAE of β = 1, its parameters, and the notes on its numbers.

    `labels` has the names of variants in figures.
    """
    lines = [
        "| variant | seeds | reconstruction | KL | −ELBO | classifier error "
        "| pairs | −ELBO minus the vae's | 95 %, over seeds | over test images | |",
        "|" + "---|" * 11,
    ]
    against = {d.variant: d for d in differences if d.kind == "neg_elbo"}
    finished = dict.fromkeys(row["variant"] for row in rows)
    for variant in finished:
        n = sum(row["variant"] == variant for row in rows)
        compared = difference_cells(against[variant], unit="") if variant in against else " | | | | "
        lines.append(f"| {markdown(variant)} | {n} | {' | '.join(spread_cells(rows, variant))} | {compared} |")
    text = (
        "Mean ± standard deviation over seeds. Differences are only for seeds that both variants have. The list has the variants, in "
        "brackets their names in figures, and the parameters that they change:\n"
    )
    changes = {v: ", ".join(f"{name} {markdown(value)}" for name, value in variants[v].items()) for v in finished}
    listed = [f"- {markdown(v)} ({markdown(labels[v])}): {changes[v]}" for v in finished]
    notes = dict.fromkeys(f"Note: {note}." for result in results.values() for note in result.notes)
    return "\n".join([*lines, "", text, *listed, *(f"\n{note}" for note in notes)])


def outputs_table(outputs, order, chord):
    """Return the two parts of joint models' distances: the VAE within from the curve, and the DAE's output from that of the VAE within."""
    text = """A joint model makes two reconstructions from one latent, at one rate. The first is the output of the VAE within. The DAE makes
the second from the first. So the distance from the curve has two parts: that of the VAE within, and the difference that the DAE makes. A
model that does not train the output within (`vae_weight` 0) is not listed.

| variant | difference in reconstruction | pairs | | 95 %, over seeds | 95 %, over test images | |
|---|---|---|---|---|---|---|
"""
    parts = {"vae_reconstruction": "VAE within, from the curve at equal rate", "denoised": "DAE's output, from that of the VAE within"}
    ordered = sorted(outputs, key=lambda d: (order.index(d.variant), list(parts).index(d.kind)))
    cells = (difference_cells(d, chord=chord and d.kind == "vae_reconstruction") for d in ordered)
    return text + "\n".join(f"| {markdown(d.variant)} | {parts[d.kind]} | {each} |" for d, each in zip(ordered, cells))


def bounds_table(results, bounds):
    """Return the importance-weighted bounds, `bounds` being term -> variant -> `Difference`, with fewer samples first."""
    text = """The table has importance-weighted bounds on log p(x), in nats per image; lower is better. Pixels are drawn once, black
or white, with their grey value as probability. The encoder sees the grey image, as in training. Differences and intervals are those of
the bounds.

A bound is not exact. The gain of more samples shows roughly by how much. It is for the same images and seeds, and it can differ between
models. These rows are not at equal rate. So compare a joint model with a VAE of smaller β, where the table has one.
"""
    lines = [
        "| variant | samples | test images | seeds | −log p(x) ≤ | with fewer samples | pairs | minus the vae's | 95 %, over seeds "
        "| over test images | |",
        "|" + "---|" * 11,
    ]
    for looser, term in zip([None, *bounds], bounds):
        for variant in dict.fromkeys(variant for variant, _ in results):
            having = [result.per_image for (v, _), result in results.items() if v == variant and term in result.per_image]
            if not having:
                continue
            n = len(having[0][term])
            means = np.array([-values[term].mean(dtype=np.float64) for values in having])
            spread = f" ± {means.std(ddof=1):.2f}" if len(means) > 1 else ""
            gains = [(each[term] - each[looser][:n]).mean(dtype=np.float64) for each in having if len(each.get(looser, ())) >= n]
            gain = f"{np.mean(gains):.2f} more with {samples_of(looser):,}" if gains else ""
            gain += f" ({len(gains)} of the seeds)" if 0 < len(gains) < len(means) else ""
            cells = difference_cells(bounds[term][variant], unit="") if variant in bounds[term] else " | | | | "
            lines.append(
                f"| {markdown(variant)} | {samples_of(term):,} | {n:,} | {len(means)} | {means.mean():.2f}{spread} | {gain} | {cells} |"
            )
    return text + "\n" + "\n".join(lines)


def difference_cells(d, scale=1, unit=" nats", chord=False):
    """Return the cells of a difference: number of pairs, mean, both intervals, verdict."""
    intervals = [f"{scale * i[0]:+.2f} to {scale * i[1]:+.2f}" if i else "–" for i in (d.over_seeds, d.over_images)]
    return f"{len(d.seeds)} | {scale * d.mean:+.2f}{unit} | {' | '.join(intervals)} | {verdict(d, chord)}"


def verdict(d, chord=False):
    """Return the verdict on a difference; a curve through two points alone is a chord."""
    if d.over_seeds is None:
        return "one seed"
    if d.over_images is None:
        return "at the end of the curve"
    if not d.shown:
        return "no difference shown"
    if chord and (d.mean < 0 or d.kind == "error"):
        return "below the chord" if d.mean < 0 else "above the chord"
    return "lower" if d.mean < 0 else "higher"


def spread_cells(rows, variant):
    """Return reconstruction, KL, −ELBO and error of a variant, mean ± standard deviation over seeds."""
    cells = []
    for term, scale, unit in (("reconstruction", 1, ""), ("kl", 1, ""), ("neg_elbo", 1, ""), ("error", 100, " %")):
        values = scale * values_of(rows, variant, term)
        spread = f" ± {values.std(ddof=1):.2f}" if len(values) > 1 else ""
        cells.append(f"{values.mean():.2f}{spread}{unit}" if len(values) else "")
    return cells


def values_of(rows, variant, term):
    """Return a variant's values of a term, one a seed."""
    return np.array([row[term] for row in rows if row["variant"] == variant and term in row])


def samples_of(term):
    """Return K of "bound_K"."""
    return int(term.removeprefix("bound_"))
