"""Train one model: python train.py [PRESET] [--parameter value ...]. See params.py for what there is."""

import contextlib
import dataclasses
import shlex
import sys

import params as parameters
from tfdvae.errors import InputError
from tfdvae.files import printable, remove_temporaries
from tfdvae.interrupts import Interrupted, Interrupts
from tfdvae.runs import LAST, PREVIOUS, RECORD, Run, new_runs
from tfdvae.script import exit_status


def main(preset=None, *, resume=False, overwrite=False, command=None, interrupts=None, **overrides):
    """Train a model of `params.py` and return its run folder.

    Args:
        preset: name of a preset; None takes the default one.
        resume: continue the run in run_dir with its saved parameters; start it where nothing is saved.
        overwrite: discard the run in run_dir.
        command: the command line, for the record.
        interrupts: `Interrupts` that make a signal wait for the end of a step, or None.
        overrides: parameters of `params.Params` to replace.

    Raises:
        ParameterError, InputError: a parameter, the data or the run folder cannot be used; nothing has been written then.
        Fault: training began and could not be finished; what was saved is kept.
    """
    parameters.check_names(overrides)
    chosen = parameters.preset(preset or parameters.DEFAULT_PRESET)
    run_dir = overrides.get("run_dir", chosen.run_dir)
    if resume and overwrite:
        raise InputError("overwrite: received together with resume; expected one of them; choose whether to discard the run.")
    if (resume or overwrite) and not run_dir:
        raise InputError(
            f"run_dir: received none with {'resume' if resume else 'overwrite'}; expected the folder of the run; add --run-dir."
        )
    started = resume and Run(run_dir).exists
    if resume and not started:
        print(f"Nothing was saved in {run_dir} yet: starting from the beginning.")
    params = saved_parameters(Run(run_dir), preset, overrides) if started else parameters.override(chosen, **overrides)
    with claimed(params, preset, run_dir) as run:
        if not started and not overwrite:
            run.refuse_to_overwrite()

        from tfdvae.startup import import_tensorflow

        interrupts = interrupts or Interrupts()
        try:
            with interrupts.deferred():  # half an import cannot be left
                import_tensorflow()
                from tfdvae import faults, plots, training  # noqa: F401
            with faults.told(run, run.kept):
                train(run, params, preset or parameters.DEFAULT_PRESET, started, command, interrupts)
        except Interrupted as interrupted:
            interrupted.kept = run.kept()
            raise
        return str(run)


@contextlib.contextmanager
def claimed(params, preset, run_dir):
    """Hold the folder of a run, or the first that is free under runs/ where none is named; nobody else trains in it meanwhile.

    A preset of the family gives its name to the folder, since several share dataset and model.
    """
    if run_dir:
        Run(run_dir).check_writable()
        with Run(run_dir).held():
            yield Run(run_dir)
        return
    for run in new_runs(params, preset if preset in parameters.FAMILY else ""):
        run.check_writable()
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(run.held(new=True))
            except FileExistsError:
                continue  # another process was a moment faster
            yield run
            return


def saved_parameters(run, preset, overrides):
    """Return the parameters that a run was started with; raise InputError where the caller gave a different one."""
    record = run.read_record()
    params = parameters.restored(record, run.file(RECORD))
    if preset and preset != record["preset"]:
        started = printable(record["preset"])
        raise InputError(f"preset: received {preset}, but {run} was started with {started}; expected the same, or none with --resume.")
    for name, value in overrides.items():
        started = getattr(params, name)
        if name != "run_dir" and (tuple(value) if isinstance(value, list) else value) != started:
            raise InputError(
                f"{name}: received {value!r}, but {run} was started with {started!r}; expected the same, or none with --resume."
            )
    return params


def train(run, params, preset, resume, command, interrupts):
    """Load the data, build the model, fit it and draw its pictures."""
    from tfdvae import data, diagnostics, plots, training
    from tfdvae.build import MODEL_PARAMETERS, MODELS, build_model

    training.make_deterministic(params.seed)
    dataset = data.load_dataset(**data.selection(dataclasses.asdict(params)))
    if MODELS[params.model].needs_classes and not dataset.num_classes:
        raise InputError(f"dataset: received {params.dataset}, which has no classes; expected one folder per class for a {params.model}.")
    if params.label_weight and not dataset.num_classes:
        raise InputError(f"label_weight: received {params.label_weight} with {params.dataset}, which has no classes; expected 0.")
    if params.batch_size > dataset.sizes[data.TRAIN]:
        raise InputError(
            f"batch_size: received {params.batch_size}; expected at most the number of training images of {params.dataset}, "
            f"{dataset.sizes[data.TRAIN]}."
        )
    if resume:
        record = run.read_record()
        data.check_unchanged(dataset, record["data"])
        training.check_size(run, record, (LAST, PREVIOUS))
        run.note_differences(record)
        remove_temporaries(run.path)
        precision = record["precision"]
    else:
        precision = training.resolve_precision(params.precision)

    chosen = {k: v for k, v in dataclasses.asdict(params).items() if k in MODEL_PARAMETERS} | {"precision": precision}
    model = build_model(image_shape=dataset.image_shape, num_classes=dataset.num_classes, **chosen)
    if not resume:
        described = data.describe(dataset)
        run.start(params=dataclasses.asdict(params), preset=preset, precision=precision, data=described, command=command)

    shape = "x".join(map(str, dataset.image_shape))
    network = params.network if model.reconstructs else "cnn"
    print(
        f"{'Resuming' if resume else 'Training'} {params.model} ({network}, {model.count_params():,} parameters, {precision}) on "
        f"{params.dataset} ({shape}; {dataset.sizes[0]:,} training, {dataset.sizes[1]:,} validation, {dataset.sizes[2]:,} test images) "
        f"for {params.epochs} epochs into {run}"
    )
    if dataset.note:
        print(f"Note: {dataset.note}.")
    fitting = ("epochs", "batch_size", "learning_rate", "learning_rate_schedule", "seed", "flip")
    done = training.fit(model, dataset, run, resume=resume, interrupts=interrupts, **{name: getattr(params, name) for name in fitting})
    if done >= params.epochs:
        print(f"{run} was finished already: all its {params.epochs} epochs are done.")

    history = run.read_history()
    plots.run_curves(history, run.file("curves.png"))
    if model.reconstructs:
        draw_pictures(training.load_model(run), dataset, params, run)
    if model.generates:
        plots.posterior(history, run.file("posterior.png"))
        for warning in (diagnostics.collapse_warning(history[-1], params.latent_dim), diagnostics.schedule_warning(history[-1])):
            if warning:
                print(warning)
    _, epoch, loss = run.read_best()
    print(f"Done: {run} (best epoch {epoch}, validation loss {loss:.3f}). Evaluate it on the test set with")
    print(f"  python evaluate.py --checkpoint {shlex.quote(str(run))}")


def draw_pictures(model, dataset, params, run):
    """Draw validation images beside their reconstructions, samples from the prior where the model has one, and its progress."""
    from tfdvae import evaluation, plots, progress

    images, outputs = evaluation.reconstruction_grid(model, dataset.validation(evaluation.BATCH))
    plots.grids({"validation images": images, f"{params.model} outputs": outputs}, run.file("reconstructions.png"), params.pixel_range)
    if model.generates:
        samples = progress.prior_images(model, evaluation.GRID, params.pixel_range).numpy()
        plots.grids({f"{params.model} samples from the prior": samples}, run.file("samples.png"), params.pixel_range)
        manifold = evaluation.manifold(model)
        if manifold is not None:
            plots.grids({"images over the latent plane": manifold}, run.file("manifold.png"), params.pixel_range, evaluation.MANIFOLD_SIDE)
    rows = progress.rows_of(model)
    progress.figure(run, "progress.png", rows)
    progress.animation(run, "progress.gif", rows)


def command_line(arguments):
    """Run the script, and return its exit status."""

    def work(interrupts):
        preset, given, resume, overwrite = parameters.parse(arguments)
        command = shlex.join(["python", "train.py", *arguments])
        main(preset, resume=resume, overwrite=overwrite, command=command, interrupts=interrupts, **given)

    return exit_status("train.py", work, (parameters.ParameterError,))


if __name__ == "__main__":
    sys.exit(command_line(sys.argv[1:]))
