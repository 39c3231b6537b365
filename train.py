"""Train one model: python train.py [PRESET] [--parameter value ...]. See params.py for the parameters and presets."""

import dataclasses
import shlex
import sys

import params as parameters
from tfdvae import rules
from tfdvae.cli import exit_status, read_options
from tfdvae.dataset_names import check_dataset
from tfdvae.errors import InputError, reported_as_fault, unknown
from tfdvae.interrupts import Interrupted, Interrupts
from tfdvae.runs import Run
from tfdvae.runs.start import claimed, goes_on, saved_parameters
from tfdvae.startup import import_tensorflow


@dataclasses.dataclass(frozen=True)
class Options(parameters.Params):
    """The command line: every parameter, and what to do with a run that is there."""

    # ---- run folder

    # go on with the run in --run-dir, with its saved parameters; where nothing is saved, start it, if PRESET or --dataset is given
    resume: bool = False
    # discard the run in --run-dir and start a new one
    overwrite: bool = False


def main(preset=None, *, resume=False, overwrite=False, command=None, callbacks=(), interrupts=None, before_import=None, **overrides):
    """Train a model and return its run folder.

    Args:
        preset: name of a preset; None takes that of the dataset, or, where it has none, defaults that fit its images.
        resume: continue the run in run_dir with its saved parameters. Where nothing is saved, start it, if a preset or dataset is given.
        overwrite: discard the run in run_dir.
        command: the command line, for the record.
        callbacks: further Keras callbacks.
        interrupts: `Interrupts` that make a signal wait for the end of a step, or None.
        before_import: function to call before TensorFlow is imported, or None.
        overrides: parameters of `params.Params` to replace.

    Raises:
        InputError: a parameter, the data or the run folder cannot be used; nothing has been written then.
        Fault: training began and could not be finished; earlier epochs stay saved.
    """
    interrupts = interrupts or Interrupts()
    rules.check_names(overrides)
    named = preset or preset_for(**overrides)
    chosen = preset_of(named) if named else parameters.Params()
    run_dir = overrides.get("run_dir", chosen.run_dir)
    started = goes_on(run_dir, resume, overwrite, bool(preset or "dataset" in overrides))
    if started:
        params_dict = saved_parameters(Run(run_dir), preset, overrides)
    else:
        params_dict = dataclasses.asdict(rules.override(chosen, **overrides))
        with interrupts.deferred():  # it imports TensorFlow Datasets
            check_dataset(params_dict["dataset"])
    name = preset if preset in parameters.PUBLISHED_PRESETS else ""  # several of them share dataset and model
    with claimed(params_dict | {"run_dir": run_dir}, name) as run:
        if not started and not overwrite:
            run.refuse_to_overwrite()
        if named not in (None, preset, parameters.DEFAULT_PRESET) and not started:
            print(f"No preset is given: taking {named}.")
        try:
            with interrupts.deferred():  # an import must not be interrupted
                if before_import:
                    before_import()
                from tfdvae.training.run import train
            with reported_as_fault(run, run.resume_hint):
                settings = {"preset": named, "given": None if named else overrides, "command": command, "callbacks": callbacks}
                moved_to = overrides.get("dataset", "") if started else ""
                train(run, params_dict, resume=started, moved_to=moved_to, interrupts=interrupts, **settings)
        except Interrupted as interrupted:
            interrupted.kept = run.resume_hint()
            raise
        return str(run)


def preset_of(name):
    """Return a preset by its name."""
    if name not in parameters.PRESETS:
        raise unknown("preset", name, tuple(parameters.PRESETS), "any other dataset is chosen with --dataset NAME")
    return parameters.PRESETS[name]


def preset_for(dataset=parameters.PRESETS[parameters.DEFAULT_PRESET].dataset, model=None, **_):
    """Return the name of the preset for a dataset and a model, or None where no preset names the dataset."""
    name = f"{dataset}{'_classifier' if model == 'classifier' else ''}"
    return name if name in parameters.DATASET_PRESETS and parameters.PRESETS[name].dataset == dataset else None


def parse(words):
    """Return the preset's name or None, and the options that were given (dict)."""
    leading = [word for word in words[:1] if not word.startswith("-")]
    defaults = preset_of(leading[0] if leading else parameters.DEFAULT_PRESET)
    description = (
        f"Train one model. PRESET is one of {', '.join(parameters.PRESETS)} (default: that of the dataset). The defaults below are those "
        "of the preset. A --dataset that no preset names gets defaults that fit the shape and the number of its images; they are printed."
    )
    about = {"prog": "train.py [PRESET]", "description": description}
    leading, given = read_options(Options, words, defaults=Options(**dataclasses.asdict(defaults)), **about)
    if len(leading) > 1:
        raise InputError(f"preset: received {' '.join(leading)}; expected one preset, then options that begin with --.")
    return (leading or [None])[0], given


def command_line(words):
    """Run the script, and return its exit status."""

    def work(interrupts):
        preset, given = parse(words)
        command = shlex.join(["python", "train.py", *words])
        main(preset, command=command, interrupts=interrupts, before_import=import_tensorflow, **given)

    return exit_status("train.py", work)


if __name__ == "__main__":
    sys.exit(command_line(sys.argv[1:]))
