"""Train one model: python train.py [PRESET] [--parameter value ...]. See params.py for the parameters and presets."""

import dataclasses
import shlex
import sys

import params as parameters
import studies
from tfdvae import rules
from tfdvae.cli import exit_status, read_options
from tfdvae.dataset_names import check_dataset
from tfdvae.errors import InputError, reported_as_fault, unknown
from tfdvae.interrupts import Interrupts
from tfdvae.runs import Run
from tfdvae.runs.closing import after_training
from tfdvae.runs.start import claimed, goes_on, saved_parameters
from tfdvae.startup import import_tensorflow, importing
from tfdvae.study.plan import next_comparison


@dataclasses.dataclass(frozen=True)
class Options(parameters.Params):
    """The command line: every parameter, what to do with a run that is there, and how much is printed."""

    # ---- run folder

    # go on with the run in --run-dir, with its saved parameters; where nothing is saved, start it, if PRESET or --dataset is given
    resume: bool = False
    # discard the run in --run-dir and start a new one
    overwrite: bool = False
    # print every term after every epoch, rather than the most important ones
    verbose: bool = False


def main(
    preset=None, *, resume=False, overwrite=False, verbose=False, command=None, callbacks=(), interrupts=None, importer=None, **overrides
):
    """Train a model and return its run folder.

    Args:
        preset: name of a preset; None takes that of the dataset, or, where it has none, defaults that fit its images.
        resume: continue the run in run_dir with its saved parameters. Where nothing is saved, start it, if a preset or dataset is given.
        overwrite: discard the run in run_dir.
        verbose: print every term after every epoch.
        command: the command line, for the record.
        callbacks: further Keras callbacks.
        interrupts: `Interrupts` that make a signal wait for the end of a step, or None.
        importer: function that imports TensorFlow before anything else does, or None.
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
    params_dict = saved_parameters(Run(run_dir), preset, overrides) if started else dataclasses.asdict(rules.override(chosen, **overrides))
    if not started:
        with interrupts.deferred():  # it imports TensorFlow Datasets
            check_dataset(params_dict["dataset"])
    name = preset if preset in parameters.FURTHER_PRESETS else ""  # several of them share dataset and model
    changed = [option for option in overrides if not named or params_dict[option] != getattr(chosen, option)]
    with claimed(params_dict | {"run_dir": run_dir}, name, changed) as run:
        if not started and not overwrite:
            run.refuse_to_overwrite()
        if named not in (None, preset, parameters.DEFAULT_PRESET) and not started:
            print(f"No preset is given: taking {named}.")
        with importing(interrupts, importer):
            from tfdvae.training.run import train
        with reported_as_fault(run, run.resume_hint):
            settings = {"preset": named, "given": None if named else overrides, "command": command, "callbacks": callbacks}
            settings |= {"moved_to": overrides.get("dataset", ""), "interrupts": interrupts, "verbose": verbose}
            train(run, params_dict, resume=started, **settings)
        print(after_training(run, params_dict["model"]), *next_comparison(params_dict["dataset"], studies.STUDIES), sep="\n")
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
    defaults = Options(**dataclasses.asdict(preset_of(leading[0] if leading else parameters.DEFAULT_PRESET)))
    description = (
        f"Train one model. PRESET is one of {', '.join(parameters.PRESETS)} (default: that of the dataset); it has the defaults below. A "
        "--dataset that no preset names gets defaults that fit the shape and the number of its images; they are printed."
    )
    leading, given = read_options(Options, words, defaults=defaults, prog="train.py [PRESET]", description=description)
    if len(leading) > 1:
        raise InputError(f"preset: received {' '.join(leading)}; expected one preset, then options that begin with --.")
    return (leading or [None])[0], given


def command_line(words):
    """Run the script, and return its exit status."""

    def work(interrupts):
        preset, given = parse(words)
        main(preset, command=shlex.join(["python", "train.py", *words]), interrupts=interrupts, importer=import_tensorflow, **given)

    return exit_status("train.py", work)


if __name__ == "__main__":
    sys.exit(command_line(sys.argv[1:]))
