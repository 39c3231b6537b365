"""Evaluated runs to tables, in the form of R0's."""

import csv
import io

# further numbers, where evaluation was asked for them: name in the summary -> heading, factor, decimals, unit
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


def table_csv(evaluated):
    """Return the table as CSV, one row a run: `evaluated` is a list of objects with run, params, record and summary."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    further = _further(evaluated)
    writer.writerow([*CSV_COLUMNS, *further, "run"])
    for each in evaluated:
        means = [_mean(each.summary, name) for name in ("reconstruction", "kl", "neg_elbo", _error_name(each.summary), *further)]
        numbers = ["" if mean is None else f"{mean:.6g}" for mean in means]
        writer.writerow([*(each.params[name] for name in ("model", "dataset", "seed")), each.summary["n"], *numbers, each.run])
    return text.getvalue()


def labels(evaluated, parts=("{model}", "{model}, seed {seed}", "{run}")):
    """Return a label for each run: the first of `parts` that tells all of them apart."""
    for part in parts:
        found = [part.format(**each.params, run=each.run) for each in evaluated]
        if len(set(found)) == len(found):
            break
    return found


def table_markdown(evaluated):
    """Return the table as Markdown, each number with its standard error over test images, and what a reader must know of the data."""
    further = _further(evaluated)
    headings = ["model", "dataset", "test loss", "test KLD", "−ELBO", "classifier error", *(heading for heading, *_ in further.values())]
    lines = [f"| {' | '.join(headings)} |", "|" + "---|" * len(headings)]
    for label, each in zip(labels(evaluated, ("{model}, seed {seed}", "{run}")), evaluated):
        cells = [_cell(each.summary, name, 1, 2, "") for name in ("reconstruction", "kl", "neg_elbo")]
        cells.append(_cell(each.summary, _error_name(each.summary), 100, 2, " %"))
        cells += [_cell(each.summary, name, *form) for name, (_, *form) in further.items()]
        lines.append(f"| {label} | {each.params['dataset']} | {' | '.join(cells)} |")
    counts = " or ".join(f"{n:,}" for n in sorted({each.summary["n"] for each in evaluated}))
    lines += ["", f"Nats per image, squared errors per pixel; mean ± standard error over {counts} test images."]
    notes = dict.fromkeys(note for each in evaluated for note in (each.record["data"]["note"], *each.notes) if note)
    lines += [f"Note: {note}." for note in notes]
    return "\n".join(lines) + "\n"


def _further(evaluated):
    """Return those of `FURTHER` that any run has."""
    return {name: column for name, column in FURTHER.items() if any(name in each.summary for each in evaluated)}


def _error_name(summary):
    """A model is judged by the classifier's error on its outputs, a classifier by its own."""
    return "error" if "error" in summary else "error_of_output"


def _mean(summary, name):
    return summary[name]["mean"] if name in summary else None


def _cell(summary, name, scale, decimals, unit):
    if name not in summary:
        return ""
    mean, spread = (summary[name][key] for key in ("mean", "standard_error"))
    return f"{scale * mean:.{decimals}f}{'' if spread is None else f' ± {scale * spread:.{decimals}f}'}{unit}"
