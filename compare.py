"""Train the missing runs of a study, evaluate them, and write the report: python compare.py [STUDY]. studies.py declares the studies."""

import dataclasses
import sys

import studies
from tfdvae.cli import exit_status, read_options
from tfdvae.errors import InputError, reported_as_fault, unknown
from tfdvae.interrupts import Interrupts
from tfdvae.runs.closing import open_first
from tfdvae.runs.files import check_writable, expanded
from tfdvae.startup import import_tensorflow, importing
from tfdvae.study.plan import check_study


@dataclasses.dataclass(frozen=True)
class Options:
    """Folders of a study, and whether to train."""

    # ---- folders

    # folder with one folder for each study, for its results and its report
    results: str = "results"
    # folder with one folder for each study, for the runs while they are trained
    runs: str = "runs"

    # ---- work

    # write the report of the finished runs, and train nothing
    report_only: bool = False


def main(
    name=studies.DEFAULT_STUDY,
    *,
    results=Options.results,
    runs=Options.runs,
    report_only=Options.report_only,
    interrupts=None,
    importer=None,
):
    """Make the missing runs of a study, and write its report.

    Args:
        name: of the study.
        results, runs, report_only: see `Options`.
        interrupts: `Interrupts` that make a signal wait for the end of a step, or None.
        importer: function that imports TensorFlow before anything else does, or None.

    Returns:
        The folder of the report.

    Raises:
        InputError: the study, a result or a run cannot be used.
        Fault: the machine failed; finished runs are kept.
    """
    if name not in studies.STUDIES:
        raise unknown("study", name, tuple(studies.STUDIES), "add another to studies.py")
    study = studies.STUDIES[name]
    check_study(name, study)
    folder, training_folder = expanded(results) / name, expanded(runs) / f"study-{name}"
    check_writable(folder, "results")
    if not report_only:
        check_writable(training_folder.parent, "runs")
    interrupts = interrupts or Interrupts()
    with importing(interrupts, importer):
        from tfdvae.study import dispatch, report
        from tfdvae.study.results import read_judge
    with reported_as_fault(folder, lambda: "Finished runs are kept."):
        if not report_only:
            dispatch.finish(name, study, folder, training_folder, interrupts)
        finished = dispatch.results_of(study, folder, "it is left out")
        if not finished:
            raise InputError(f"study: {name} has no finished run in {folder}; expected some; leave out --report-only to train them.")
        print("Writing the report ...")
        report.write(folder, name, study, finished, read_judge(folder / "classifier", study.judge_run_dict()))
    print(f"{len(finished)} of {len(study.runs())} runs are in the report: {folder / 'report.html'}")
    print(open_first(folder / "figures" / "rate_distortion.png", "reconstruction, −ELBO and error over the KL; lower is better"))
    return str(folder)


def command_line(words):
    """Run the script, and return its exit status."""

    def work(interrupts):
        description = f"Train, evaluate and compare the runs of a study: {', '.join(studies.STUDIES)} (default: {studies.DEFAULT_STUDY})."
        names, given = read_options(Options, words, prog="compare.py [STUDY]", description=description)
        if len(names) > 1:
            raise InputError(f"study: received {' '.join(names)}; expected one study, then options that begin with --.")
        main(*names, **given, interrupts=interrupts, importer=import_tensorflow)

    kept = "Run it again to go on where it was; with --report-only it reports on the finished runs."
    return exit_status("compare.py", work, kept)


if __name__ == "__main__":
    sys.exit(command_line(sys.argv[1:]))
