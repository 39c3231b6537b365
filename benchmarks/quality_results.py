"""The results of time_to_quality.py: its CSV files, its table and its picture."""

import csv
import os
import statistics

import matplotlib.figure
from peers import RECIPES, TARGET

NAME = "time_to_quality"
HEADER = ("recipe", "seed", "minutes", "limit", "best")
CURVES_HEADER = ("recipe", "seed", "epoch", "minutes", "neg_elbo")
DIGITS = {"minutes": 3, "limit": 3, "best": 3, "neg_elbo": 3}  # of numbers in the files
LOWEST, HIGHEST = 92.0, 125.0  # nats, of the picture
GAP = 2.1  # nats between the names in it


class Results:
    """The finished trainings in a folder: `rows` of `HEADER` and `curves` of `CURVES_HEADER`, lists of dicts."""

    def __init__(self, folder):
        self.folder = folder
        self.rows, self.curves = read(folder / f"{NAME}.csv", HEADER), read(folder / f"{NAME}_curves.csv", CURVES_HEADER)

    def of(self, recipe):
        return [row for row in self.rows if row["recipe"] == recipe]

    def curves_of(self, recipe):
        """Return the epochs of each seed, a list of lists of dicts."""
        seeds = sorted({row["seed"] for row in self.of(recipe)})
        return [[row for row in self.curves if (row["recipe"], row["seed"]) == (recipe, seed)] for seed in seeds]

    def has(self, recipe, seed, limit):
        """Return whether a training passed, or was stopped at no lower limit."""
        rows = [row for row in self.of(recipe) if row["seed"] == seed]
        return any(row["minutes"] is not None or row["limit"] >= limit for row in rows)

    def add(self, recipe, seed, limit, epochs):
        """Take the epochs of a training, each (epoch, minutes, -ELBO), in place of older ones, and write the files."""
        training = {"recipe": recipe, "seed": seed}
        passed = next((minutes for _, minutes, value in epochs if value <= TARGET), None)
        row = training | {"minutes": passed, "limit": limit, "best": min(value for _, _, value in epochs)}
        curve = [training | {"epoch": epoch, "minutes": minutes, "neg_elbo": value} for epoch, minutes, value in epochs]
        self.rows, self.curves = with_training(self.rows, [row]), with_training(self.curves, curve)
        write(self.folder / f"{NAME}_curves.csv", CURVES_HEADER, self.curves)
        write(self.folder / f"{NAME}.csv", HEADER, self.rows)


def with_training(rows, new):
    """Return rows with those of a training in place of its older ones, in the order of `RECIPES`."""
    training = (new[0]["recipe"], new[0]["seed"])
    others = [row for row in rows if (row["recipe"], row["seed"]) != training]
    return sorted(others + new, key=lambda row: (list(RECIPES).index(row["recipe"]), row["seed"]))


def read(path, header):
    """Return the rows of a CSV file as dicts, an empty field as None; [] where there is no file."""
    if not path.exists():
        return []
    with open(path, newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    if tuple(reader.fieldnames or ()) != header:
        raise SystemExit(f"{path} has the columns {reader.fieldnames}; expected {','.join(header)}; remove it, or choose another --output")
    kinds = {name: int if name in ("seed", "epoch") else float for name in header[1:]}
    return [{name: kinds.get(name, str)(value) if value else None for name, value in row.items()} for row in rows]


def write(path, header, rows):
    with open(path.with_suffix(".part"), "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for row in rows:
            writer.writerow(round(row[n], DIGITS[n]) if n in DIGITS and row[n] is not None else row[n] for n in header)
    os.replace(path.with_suffix(".part"), path)


def table(results):
    """Return the markdown table: minutes of each recipe, as a multiple of tfdvae's median too, and its lowest -ELBO."""
    ours = [row["minutes"] for row in results.of("tfdvae")]
    middle = statistics.median(ours) if ours and None not in ours else None
    lines = [f"| recipe | minutes to {TARGET} nats | times tfdvae's | lowest −ELBO, nats |", "|---|---|---|---|"]
    for recipe in RECIPES:
        if rows := results.of(recipe):
            passed = [row["minutes"] for row in rows if row["minutes"] is not None]
            late = "" if len(passed) == len(rows) else "> "
            ends = [curve[-1]["minutes"] for curve in results.curves_of(recipe)]  # below the limit where a schedule ended there
            minutes = min(max(ends), max(row["limit"] for row in rows)) if late else statistics.median(passed)
            ratio = f"{late}{minutes / middle:.1f}" if middle else ""
            spread = f" ({min(passed):.1f} to {max(passed):.1f})" if len(rows) > 1 and not late else ""
            best = [f"{pick(row['best'] for row in rows):.2f}" for pick in (min, max)]
            lines.append(f"| {recipe} | {late}{minutes:.1f}{spread} | {ratio} | {' to '.join(dict.fromkeys(best))} |")
    return "\n".join(lines)


def draw(results, path):
    """Draw −ELBO over minutes: a line for each training, and the recipe's name near its end. Legible at a width of 400 pixels."""
    figure = matplotlib.figure.Figure(figsize=(5.2, 3.7), layout="constrained")
    axes = figure.subplots()
    beside = [(TARGET, f"published: {TARGET}", "#444444")]
    for recipe, (_, _, label, colour) in RECIPES.items():
        for rows in results.curves_of(recipe):
            minutes, values = ([row[name] for row in rows] for name in ("minutes", "neg_elbo"))
            axes.plot(minutes, values, color=colour, linewidth=2)
            axes.plot(minutes[-1], values[-1], "o", color=colour, markersize=5)
        if results.curves_of(recipe) and values[-1] <= TARGET:
            axes.annotate(label, (minutes[-1], TARGET), xytext=(5, -4), textcoords="offset points", va="top", color=colour, fontsize=12)
        elif results.curves_of(recipe):
            beside.append((min(values[-1], HIGHEST), label, colour))
    lowest = LOWEST
    for height, label, colour in sorted(beside):
        lowest = max(height, lowest + GAP)
        where = {"xytext": (6, 0), "textcoords": "offset points", "va": "center", "annotation_clip": False}
        axes.annotate(label, (1, lowest), xycoords=("axes fraction", "data"), color=colour, fontsize=12, **where)
    axes.axhline(TARGET, color="#444444", linestyle="--", linewidth=1.5)
    axes.set(xscale="log", ylim=(LOWEST, HIGHEST))
    axes.set_xlabel("minutes of training, two cores", fontsize=12)
    axes.set_ylabel("validation −ELBO, nats", fontsize=12)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.tick_params(labelsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=160)
