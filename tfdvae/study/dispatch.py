"""The missing runs of a study: find them, and make them one after the other in this process."""

import time

from .. import data
from ..errors import InputError, NonFiniteLoss, counted
from ..runs import Run, files
from . import results
from .plan import label
from .runner import Job, run_job, train_run


def results_of(study, folder, consequence):
    """Return (variant, seed) -> `Result` of the runs that have one; a damaged one is reported and left out.

    Args:
        study: `Study`.
        folder: of the study's results.
        consequence: what follows for a damaged result, in words.
    """
    judge = results.digest_of_judge(Run(folder / "classifier"))
    finished = {}
    for key in study.runs():
        path = folder / "runs" / label(key)
        try:
            result = results.read(path, study.run_dict(*key), judge, study.bounds_of(*key))
        except files.Damaged as error:
            print(f"{path} is damaged ({error}): {consequence}.", flush=True)
            continue
        if result is not None:
            finished[key] = result
    results.check_same_data({label(key): result for key, result in finished.items()}, folder)
    return finished


def finish(name, study, folder, training_folder, interrupts):
    """Train, evaluate and bound the missing runs of a study, the judge first, and write each result as it comes.

    Args:
        name: of the study.
        study: `Study`.
        folder: of its results.
        training_folder: for the run folders.
        interrupts: `Interrupts` that make a signal wait for the end of a step.
    """
    finished = results_of(study, folder, "it is made again")
    missing = [key for key in study.runs() if key not in finished]
    if not missing:
        print(f"{name}: all {counted(len(finished), 'run')} are done.")
        return
    check_begun(study, missing, folder, training_folder)
    judge = provide_judge(name, study, folder, training_folder, interrupts)
    jobs = []
    for key in missing:
        params_dict = study.run_dict(*key) | {"run_dir": str(training_folder / label(key))}
        jobs.append(Job(name, *key, params_dict, str(judge), study.bounds_of(*key)))
    clock = Clock({job.key: (job.params_dict["model"], *job.bounds) for job in jobs})
    total = len(study.runs())
    done = total - len(jobs)
    for number, job in enumerate(jobs):
        left = clock.left([job.key for job in jobs[number:]])
        print(f"{name}: {done} of {total} runs are done; next {job.variant}, seed {job.seed}; {left}", flush=True)
        began, whole = time.monotonic(), not Run(job.params_dict["run_dir"]).exists
        try:
            result = run_job(job, interrupts)
        except NonFiniteLoss as error:  # it would diverge again; go on with the others
            print(f"{job.params_dict['run_dir']}: {error} The study goes on without it.", flush=True)
            continue
        results.write(folder / "runs" / label(job.key), result)
        if whole:  # the rest of a run that was begun before says nothing about the others
            clock.add(job.key, time.monotonic() - began)
        done += 1


def check_begun(study, missing, folder, training_folder):
    """Raise InputError where a missing run, or a missing judge, was begun with other parameters than the study has now."""
    wanted = {label(key): study.run_dict(*key) for key in missing}
    if results.digest_of_judge(Run(folder / "classifier")) is None:
        wanted["classifier"] = study.judge_run_dict()
    for name, params_dict in wanted.items():
        run = Run(training_folder / name)
        if run.exists:
            results.check_params(run.read_record()["params"], params_dict, run)


def provide_judge(name, study, folder, training_folder, interrupts):
    """Return the `Run` of the classifier that judges a study, trained where there is none, after checks of its data and parameters."""
    judge = Run(folder / "classifier")
    if results.digest_of_judge(judge) is None:
        print(f"{name}: training the classifier that judges outputs ...", flush=True)
        params_dict = study.judge_run_dict() | {"run_dir": str(training_folder / "classifier")}
        results.write_judge(judge, train_run(params_dict, f"python compare.py {name}", interrupts))
    print("Reading the images for the judge ...", flush=True)
    record = judge.read_record()  # of a format that this version can load, since the classifier will run
    results.check_params(record["params"], study.judge_run_dict(), judge)
    dataset = data.load_recorded(record)
    for bound in study.bounds:
        if bound.images > dataset.sizes[data.TEST]:
            raise InputError(
                f"study: received a bound on {bound.images} images; expected at most the test set's {dataset.sizes[data.TEST]}; change it "
                "in studies.py."
            )
    return judge


class Clock:
    """Tells when a study will end, from runs of the same kind; from all finished runs where none is of that kind."""

    def __init__(self, kinds):
        self.kinds = kinds  # run -> the properties that its duration depends on
        self.seconds = {}

    def add(self, key, seconds):
        """Note how long a run took."""
        self.seconds.setdefault(self.kinds[key], []).append(seconds)

    def left(self, keys):
        """Return the time that runs will take and the time of their end, in words."""
        everything = [duration for durations in self.seconds.values() for duration in durations]
        if not everything:
            return "the time left is known after the first"
        total = 0.0
        for key in keys:
            known = self.seconds.get(self.kinds[key], everything)
            total += sum(known) / len(known)
        end = time.strftime("%a %H:%M", time.localtime(time.time() + total))
        return f"about {total / 60:.0f} minutes to go, until {end}"
