"""Evaluated runs to tables, in the form of R0's."""

import csv
import io

CSV_COLUMNS = ("model", "dataset", "seed", "n", "reconstruction", "kl", "neg_elbo", "classifier_error")


def table_csv(rows):
    """Return the table as CSV. Each row is a dict with "model", "dataset", "seed" and the "summary" of `evaluation.summarize`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for row in rows:
        summary = row["summary"]
        means = [_mean(summary, name) for name in ("reconstruction", "kl", "neg_elbo", _error_name(summary))]
        writer.writerow([row["model"], row["dataset"], row["seed"], summary["n"], *("" if m is None else f"{m:.6g}" for m in means)])
    return text.getvalue()


def table_markdown(rows):
    """Return the table as Markdown, each number with its standard error over test images."""
    lines = ["| model | dataset | test loss | test KLD | −ELBO | classifier error |", "|---|---|---|---|---|---|"]
    for row in rows:
        summary = row["summary"]
        cells = [_cell(summary, name, 1, "") for name in ("reconstruction", "kl", "neg_elbo")]
        cells.append(_cell(summary, _error_name(summary), 100, " %"))
        lines.append(f"| {row['model']}, seed {row['seed']} | {row['dataset']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _error_name(summary):
    """A model is judged by the classifier's error on its outputs, a classifier by its own."""
    return "error" if "error" in summary else "error_of_output"


def _mean(summary, name):
    return summary[name]["mean"] if name in summary else None


def _cell(summary, name, scale, unit):
    if name not in summary:
        return ""
    return f"{scale * summary[name]['mean']:.2f} ± {scale * summary[name]['standard_error']:.2f}{unit}"
