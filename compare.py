"""Train what is missing of a study, evaluate it, and write its report: python compare.py [STUDY]. Studies are declared in params.py."""

import dataclasses
import pathlib
import shlex
import sys
import time

import tyro

import params as parameters
from tfdvae.errors import InputError, NonFiniteLoss
from tfdvae.interrupts import Interrupts
from tfdvae.runs import Run
from tfdvae.script import exit_status

BOUND_BATCH = 100  # images; part of the definition of the bounds, since pixels and latents are drawn per batch
DEFAULTS = dataclasses.asdict(parameters.Params())


@dataclasses.dataclass(frozen=True)
class Options:
    """What `compare.py` is asked to do, beside the study's name."""

    # folder with one folder a study, for its records and its report
    results: str = "results"
    # folder with one folder a study, for the runs while they are trained
    runs: str = "runs"
    # write the report of the runs that there are, and train nothing
    report_only: tyro.conf.FlagCreatePairsOff[bool] = False


def main(name=parameters.DEFAULT_STUDY, *, results="results", runs="runs", report_only=False, interrupts=None):
    """Do what is missing of a study, and write its report.

    Args:
        name: of the study.
        results, runs, report_only: see `Options`.
        interrupts: `Interrupts` that make a signal wait for the end of a step, or None.

    Returns:
        The folder of the report.

    Raises:
        ParameterError, InputError: the study, a record or a run cannot be used.
        Fault: the machine failed; what was finished is kept.
    """
    if name not in parameters.STUDIES:
        raise InputError(f"study: received {name!r}; expected one of {', '.join(parameters.STUDIES)}; add another to params.py.")
    study = parameters.STUDIES[name]
    parameters.check_study(name, study)
    wanted = {key: dataclasses.asdict(study.params(*key)) for key in study.runs()}
    folder = pathlib.Path(results) / name
    Run(folder).check_writable("results")
    if not report_only:
        Run(pathlib.Path(runs)).check_writable("runs")
    interrupts = interrupts or Interrupts()

    from tfdvae.startup import import_tensorflow

    with interrupts.deferred():  # half an import cannot be left
        import_tensorflow()
        from tfdvae import faults, records, study_report, training  # noqa: F401
    with faults.told(folder, lambda: "The runs that were recorded until then stay."):
        if not report_only:
            finish(name, study, wanted, folder, pathlib.Path(runs) / f"study-{name}", interrupts)
        found = {key: record for key in wanted if (record := recorded(folder, study, key, wanted[key], "it is left out"))}
        if not found:
            raise InputError(f"study: {name} has no recorded run in {folder}; expected some; leave out --report-only to train them.")
        check_same_data(found, folder)
        judge = records.read_judge(folder / "classifier", dataclasses.asdict(study.judge_params()), DEFAULTS)
        missing = [key for key in wanted if key not in found]
        dataset = next(iter(wanted.values()))["dataset"]
        variants = {variant: changes for variant, (changes, _) in study.variants.items()}
        study_report.write(folder, name, dataset, variants, study.curve, found, missing, study.flat, judge)
    print(f"{len(found)} of {len(wanted)} runs are in the report: {folder / 'report.html'}")
    return str(folder)


def dispatch(words, interrupts):
    """Train one run to its end, here and now, as `python train.py WORDS` would. Whoever would train elsewhere replaces this function."""
    import train

    name, given, resume, overwrite = parameters.parse(words)
    command = shlex.join(["python", "train.py", *words])
    train.main(name, resume=resume, overwrite=overwrite, command=command, interrupts=interrupts, **given)


def finish(name, study, wanted, folder, training_folder, interrupts):
    """Train, evaluate and record whatever is missing of a study, the judge first."""
    from tfdvae import data, records

    missing = [key for key in wanted if recorded(folder, study, key, wanted[key], "it is made again") is None]
    if not missing:
        return
    judge, expected = Run(folder / "classifier"), dataclasses.asdict(study.judge_params())
    unjudged = records.digest_of(judge) is None
    check_begun({label(key): wanted[key] for key in missing} | ({"classifier": expected} if unjudged else {}), training_folder)
    if unjudged:
        print(f"{name}: training the classifier that judges outputs", flush=True)
        train_run(study.judge, study.judge_changes(), training_folder / "classifier", interrupts)
        records.write_judge(judge, Run(training_folder / "classifier"))
    judged = judge.read_record()  # of this version, or it could not judge; for a report alone any would do
    records.check_params(judged["params"], expected, DEFAULTS, judge)
    dataset = data.load_dataset(**data.selection(judged["params"]))
    data.check_unchanged(dataset, judged["data"])
    for bound in study.bounds:
        if bound.images > dataset.sizes[data.TEST]:
            raise InputError(
                f"study: received a bound on {bound.images} images; expected at most the test set's {dataset.sizes[data.TEST]}."
            )
    clock = Clock({key: (wanted[key]["model"], *study.bounds_of(*key)) for key in wanted})
    done = len(wanted) - len(missing)
    for number, key in enumerate(missing):
        variant, seed = key
        print(f"{name}: {done} of {len(wanted)} runs are done; next {variant}, seed {seed}; {clock.left(missing[number:])}", flush=True)
        began = time.monotonic()
        run = Run(training_folder / label(key))
        try:
            train_run(study.preset, study.changes(variant, seed), run.path, interrupts)
        except NonFiniteLoss as error:  # it would again; the other runs need not wait for it
            print(f"{run}: {error} The study goes on without it.", flush=True)
            continue
        record_run(run, judge, study.bounds_of(*key), folder / "runs" / label(key), interrupts)
        clock.add(key, time.monotonic() - began)
        done += 1


def check_begun(wanted, training_folder):
    """Raise InputError where a folder (name -> parameters) has a run begun with other parameters than the study has now."""
    from tfdvae import records

    for name, params in wanted.items():
        run = Run(training_folder / name)
        if run.exists:
            records.check_params(run.read_record()["params"], params, DEFAULTS, run)


def train_run(preset, changed, path, interrupts):
    """Train a run, or go on with it, with a preset's parameters but for those changed; a finished one is left as it is."""
    import keras

    words = [preset]
    for field, value in changed.items():
        flag = "--" + field.replace("_", "-")
        if isinstance(value, bool):
            words.append(flag if value else flag.replace("--", "--no-", 1))
        else:
            words += [flag, *map(str, value if isinstance(value, tuple) else (value,))]
    resume = ["--resume"] if Run(path).exists else []
    dispatch([*words, "--run-dir", str(path), *resume], interrupts)
    keras.backend.clear_session()  # or the models of all runs would stay in memory


def record_run(run, judge, bounds, folder, interrupts):
    """Evaluate a trained run on the test set and write its record, with these bounds."""
    import evaluate
    from tfdvae import data, evaluation, progress, records
    from tfdvae.training import load_model, make_deterministic

    make_deterministic(0)  # as after a training in this process
    with run.held():
        record = run.read_record()
        model, judging_model = load_model(run), load_model(judge)
        dataset = data.load_dataset(**data.selection(record["params"]))
        data.check_unchanged(dataset, record["data"])
        evaluated = evaluate.evaluate_run(run, record, model, dataset, judge, judging_model, False, "")
        summary, per_image = run.read_evaluation()
        images, outputs = evaluated.grid
        samples = progress.prior_images(model, evaluation.GRID, dataset.pixel_range).numpy()
        pictures = {"images": images, "outputs": outputs, "samples": samples}
        found = {}
        if bounds:
            binarized = data.load_dataset(**data.selection(record["params"]) | {"binarize": "sample"})
            found = bounds_of(model, dataset, binarized, bounds, interrupts)
        records.write(folder, run, summary, per_image, found, pictures, evaluated.notes, judge)


def bounds_of(model, dataset, binarized, bounds, interrupts):
    """Return the importance-weighted bounds of a model on binarised test images: number of samples -> (n,) array, nats.

    The encoder sees the images of `dataset`, those that the model was trained on.
    """
    from tfdvae import evaluation, importance

    found = {}
    for bound in bounds:
        print(f"bound on log p(x) of {bound.images:,} test images, {bound.samples:,} samples each", flush=True)
        pairs = (map(evaluation.images_of, pair) for pair in zip(dataset.test(BOUND_BATCH), binarized.test(BOUND_BATCH)))
        sizes = [min(BOUND_BATCH, bound.images - first) for first in range(0, bound.images, BOUND_BATCH)]
        batches = ([images[:size] for images in pair] for size, pair in zip(sizes, pairs))
        found[bound.samples] = importance.importance_bounds(model, batches, bound.samples, interrupts.check)
    return found


def recorded(folder, study, key, params, told):
    """Return the record of a run, or None where there is none, or only a damaged one; that is told, and what follows from it."""
    from tfdvae import files, records

    path = folder / "runs" / label(key)
    try:
        bounds = [(bound.samples, bound.images) for bound in study.bounds_of(*key)]
        return records.read(path, params, DEFAULTS, records.digest_of(Run(folder / "classifier")), bounds)
    except files.Damaged as error:
        print(f"{path} is damaged ({error}): {told}.", flush=True)
        return None


def check_same_data(found, folder):
    """Raise InputError where runs were trained or tested on different images, whose numbers must not be averaged."""
    seen = {}
    for key, record in found.items():
        described = record.run["data"]
        seen.setdefault((described["test_fingerprint"], described["stored_fingerprint"], *described["sizes"]), label(key))
    if len(seen) > 1:
        raise InputError(f"data: {' and '.join(seen.values())} in {folder} are of different images; expected the same; move one away.")


def label(key):
    """Return the name of a run's folders."""
    return f"{key[0]}-seed{key[1]}"


class Clock:
    """Tells when a study will end, from the runs that it has seen: those of the same kind, or all, where there is none of it yet."""

    def __init__(self, kinds):
        self.kinds = kinds  # run -> what makes it take as long as others
        self.seconds = {}

    def add(self, key, seconds):
        """Note how long a run took."""
        self.seconds.setdefault(self.kinds[key], []).append(seconds)

    def left(self, keys):
        """Say how long runs will take, and when they will be done."""
        everything = [each for seconds in self.seconds.values() for each in seconds]
        if not everything:
            return "how long the rest takes is known after the first"
        total = 0.0
        for key in keys:
            known = self.seconds.get(self.kinds[key], everything)
            total += sum(known) / len(known)
        end = time.strftime("%a %H:%M", time.localtime(time.time() + total))
        return f"about {total / 60:.0f} minutes to go, until {end}"


def command_line(arguments):
    """Run the script, and return its exit status."""

    def work(interrupts):
        named = bool(arguments) and not arguments[0].startswith("-")
        name, words = (arguments[0], arguments[1:]) if named else (parameters.DEFAULT_STUDY, arguments)
        description = f"Train, evaluate and compare the runs of a study: {', '.join(parameters.STUDIES)}."
        about = {"prog": "compare.py [STUDY]", "description": description, "first": "STUDY"}
        options = parameters.read_options(Options, words, names=parameters.names(Options), **about)
        main(name, **dataclasses.asdict(options), interrupts=interrupts)

    kept = "Run it again to go on where it was; with --report-only it reports on the runs there are."
    return exit_status("compare.py", work, (parameters.ParameterError,), kept)


if __name__ == "__main__":
    sys.exit(command_line(sys.argv[1:]))
