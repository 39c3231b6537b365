"""Write evaluated runs as a table like that of dojoteef/dvae: test loss, KL divergence and classifier error."""

import csv
import io
import statistics

from ..errors import legible
from ..lettering import markdown

PLAIN, PERCENT = (1, 2, ""), (100, 2, " %")  # factor, decimals, unit
# columns that only some evaluations have: name in the summary -> heading, factor, decimals, unit
FURTHER = {
    "corrupted_neg_elbo": ("−ELBO of corrupted input", 1, 2, ""),
    "mse": ("squared error", 1, 5, ""),
    "pca_mse": ("PCA's squared error", 1, 5, ""),
    "optimal_mse": ("best denoiser's squared error", 1, 5, ""),
    "mse_of_corrupted": ("squared error of corrupted images", 1, 5, ""),
    "mse_from_corrupted": ("of outputs for them", 1, 5, ""),
    "mse_from_clean": ("of outputs for clean images", 1, 5, ""),
    "probe_error": ("linear probe's error", 100, 2, " %"),
}
CSV_COLUMNS = ("model", "dataset", "seed", "n", "reconstruction", "kl", "neg_elbo", "classifier_error")


def table_csv(evaluations):
    """Return the table as CSV, one row per run.

    Args:
        evaluations: list of objects with run, params_dict, record, summary and notes, as `run.Evaluation`.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    further = _further(evaluations)
    writer.writerow([*CSV_COLUMNS, *further, "run"])
    for evaluation in evaluations:
        summary = evaluation.summary
        values = [_mean_and_error(summary, name) for name in ("reconstruction", "kl", "neg_elbo", "error", *further)]
        numbers = ["" if value is None else f"{value[0]:.6g}" for value in values]
        setting = [legible(evaluation.params_dict[name]) for name in ("model", "dataset", "seed")]
        writer.writerow([*setting, summary["n"], *numbers, legible(evaluation.run)])
    return text.getvalue()


def labels(evaluations, parts=("{model}", "{model}, seed {seed}", "{run}")):
    """Return a label per run, in the first format of `parts` that gives every run a different label."""
    for part in parts:
        names = [part.format(**evaluation.params_dict, run=evaluation.run) for evaluation in evaluations]
        if len(set(names)) == len(names):
            break
    return names


def table_markdown(evaluations):
    """Return the table as Markdown, with standard errors over test images, and the notes on data and models.

    Runs that differ only in their seed get one more row: mean and standard deviation over seeds.
    """
    further = _further(evaluations)
    headings = ["model", "dataset", "test loss", "test KLD", "−ELBO", "classifier error", *(heading for heading, *_ in further.values())]
    lines = [f"| {' | '.join(headings)} |", "|" + "---|" * len(headings)]
    forms = {"reconstruction": PLAIN, "kl": PLAIN, "neg_elbo": PLAIN, "error": PERCENT} | {
        name: form for name, (_, *form) in further.items()
    }
    for label, evaluation in zip(labels(evaluations, ("{model}, seed {seed}", "{run}")), evaluations):
        values = [_mean_and_error(evaluation.summary, name) for name in forms]
        lines.append(_row(label, evaluation.params_dict, values, forms))
    seeds = _same_but_for_seed(evaluations)
    for label, group in zip(_labels_of_groups(seeds), seeds):
        values = [_over_seeds([_mean_and_error(evaluation.summary, name) for evaluation in group]) for name in forms]
        lines.append(_row(label, group[0].params_dict, values, forms))
    counts = " or ".join(f"{n:,}" for n in sorted({evaluation.summary["n"] for evaluation in evaluations}))
    lines += ["", f"Nats per image, squared errors per pixel; mean ± standard error over {counts} test images."]
    if seeds:
        lines.append("Rows of several seeds: mean ± standard deviation over the seeds.")
    notes = dict.fromkeys(
        note for evaluation in evaluations for note in (markdown(evaluation.record["data"]["note"]), *evaluation.notes) if note
    )
    lines += [f"Note: {note}." for note in notes]
    return "\n".join(lines) + "\n"


def _row(label, params_dict, values, forms):
    """Return a row: values are (mean, spread) or None, in the order of forms."""
    names = [markdown(label), markdown(params_dict["dataset"])]
    return f"| {' | '.join([*names, *(_cell(value, *form) for value, form in zip(values, forms.values()))])} |"


def _same_but_for_seed(evaluations):
    """Return the groups of two or more evaluations whose parameters differ only in the seed and the folder."""
    groups = {}
    for evaluation in evaluations:
        setting = {name: value for name, value in evaluation.params_dict.items() if name not in ("seed", "run_dir")}
        groups.setdefault(repr(sorted(setting.items())), []).append(evaluation)
    return [group for group in groups.values() if len({evaluation.params_dict["seed"] for evaluation in group}) == len(group) >= 2]


def _labels_of_groups(groups):
    """Return a label for each group of seeds: its model, and the parameters in which groups of that model and dataset differ."""
    settings = [group[0].params_dict for group in groups]
    labels = []
    for own, group in zip(settings, groups):
        like = [other for other in settings if (other["model"], other["dataset"]) == (own["model"], own["dataset"])]
        differing = [name for name in own if name not in ("seed", "run_dir") and len({repr(other.get(name)) for other in like}) > 1]
        labels.append(", ".join([own["model"], *(f"{name} {own[name]}" for name in differing), f"{len(group)} seeds"]))
    return labels


def _over_seeds(values):
    """Return mean and standard deviation over runs of their means; None where a run has none."""
    if None in values:
        return None
    means = [mean for mean, _ in values]
    return statistics.fmean(means), statistics.stdev(means)


def _further(evaluations):
    """Return the columns of `FURTHER` that at least one run has."""
    return {name: column for name, column in FURTHER.items() if any(name in evaluation.summary for evaluation in evaluations)}


def _error_name(summary):
    """Return the name of a run's classification error: a classifier's own error, or the classifier's error on the run's outputs."""
    return "error" if "error" in summary else "error_of_output"


def _mean_and_error(summary, name):
    """Return mean and standard error of a summary's value, or None where it has none."""
    value = summary.get(_error_name(summary) if name == "error" else name)
    return None if value is None else (value["mean"], value["standard_error"])


def _cell(value, scale, decimals, unit):
    """Return a mean and its spread as text; "" where there is no value."""
    if value is None:
        return ""
    mean, spread = value
    return f"{scale * mean:.{decimals}f}{'' if spread is None else f' ± {scale * spread:.{decimals}f}'}{unit}"
