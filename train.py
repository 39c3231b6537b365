"""Train one model: python train.py [PRESET] [--parameter value ...]. See params.py for what there is."""

import dataclasses
import shlex
import sys

import params as parameters
from tfdvae.errors import InputError, NonFiniteLoss


def main(preset=None, *, resume=False, overwrite=False, **overrides):
    """Train a model of `params.py` and return its run folder.

    Args:
        preset: name of a preset; None takes the default one.
        resume: continue the run in run_dir with its saved parameters; start it where nothing is saved.
        overwrite: discard the run in run_dir.
        overrides: parameters of `params.Params` to replace.

    Raises:
        ParameterError, InputError: a parameter, the data or the run folder cannot be used; nothing has been written then.
    """
    params = parameters.override(parameters.preset(preset or parameters.DEFAULT_PRESET), **overrides)
    if resume and overwrite:
        raise InputError("overwrite: received together with resume; expected one of them; choose whether to discard the run.")
    if (resume or overwrite) and not params.run_dir:
        raise InputError(
            f"run_dir: received none with {'resume' if resume else 'overwrite'}; expected the folder of the run; add --run-dir."
        )

    from tfdvae.runs import Run, new_run

    run = Run(params.run_dir) if params.run_dir else new_run(params)
    resume = resume and run.exists
    if resume:
        params = saved_parameters(run, preset, overrides)
    elif not overwrite:
        run.refuse_to_overwrite()
    run.check_writable()

    from tfdvae.startup import import_tensorflow

    import_tensorflow()
    train(run, params, preset or parameters.DEFAULT_PRESET, resume)
    return str(run)


def saved_parameters(run, preset, overrides):
    """Return the parameters that a run was started with; raise InputError where the caller gave a different one."""
    record = run.read_record()
    known = [field.name for field in dataclasses.fields(parameters.Params)]
    saved = {k: tuple(v) if isinstance(v, list) else v for k, v in record["params"].items() if k in known}
    if preset and preset != record["preset"]:
        raise InputError(
            f"preset: received {preset}, but {run} was started with {record['preset']}; expected the same, or none with --resume."
        )
    for name, value in overrides.items():
        if name != "run_dir" and value != saved.get(name):
            raise InputError(
                f"{name}: received {value!r}, but {run} was started with {saved.get(name)!r}; expected the same, or none with --resume."
            )
    params = parameters.Params(**saved)
    parameters.check(params)
    return params


def train(run, params, preset, resume):
    """Load the data, build the model, fit it and draw its pictures."""
    from tfdvae import data, plots, training
    from tfdvae.build import MODEL_PARAMETERS, build_model
    from tfdvae.runs import BEST, LAST

    dataset = load_data(params)
    if params.model == "classifier" and not dataset.num_classes:
        raise InputError(f"dataset: received {params.dataset}, which has no classes; expected one folder per class for a classifier.")
    if params.label_weight and not dataset.num_classes:
        raise InputError(f"label_weight: received {params.label_weight} with {params.dataset}, which has no classes; expected 0.")
    if params.batch_size > dataset.sizes[data.TRAIN]:
        raise InputError(
            f"batch_size: received {params.batch_size}; expected at most the number of training images of {params.dataset}, "
            f"{dataset.sizes[data.TRAIN]}."
        )
    if resume and not run.file(LAST).exists():
        print(f"{run} has no finished epoch yet: starting from the beginning.")
        resume = False
    done = int(run.read_weights(LAST)[1]["epochs"]) if resume else 0
    if done >= params.epochs:
        print(f"{run} is finished: all its {params.epochs} epochs are done.")
        return
    if resume:
        record = run.read_record()
        precision = record["precision"]
        if tuple(record["data"]["image_shape"]) != tuple(dataset.image_shape):
            raise InputError(
                f"dataset: {params.dataset} now has images of {dataset.image_shape}; expected {record['data']['image_shape']}."
            )
    else:
        precision = training.resolve_precision(params.precision)

    chosen = {k: v for k, v in dataclasses.asdict(params).items() if k in MODEL_PARAMETERS} | {"precision": precision}
    model = build_model(image_shape=dataset.image_shape, num_classes=dataset.num_classes, **chosen)
    if not resume:
        described = {"image_shape": dataset.image_shape, "class_names": dataset.class_names, "sizes": dataset.sizes}
        described |= {"note": dataset.note, "test_fingerprint": data.fingerprint(dataset)}
        command = shlex.join(["python", *sys.argv])
        run.start(params=dataclasses.asdict(params), preset=preset, precision=precision, data=described, command=command)

    shape = "x".join(map(str, dataset.image_shape))
    print(
        f"{'Resuming' if resume else 'Training'} {params.model} ({params.network}, {model.count_params():,} parameters, {precision}) on "
        f"{params.dataset} ({shape}; {dataset.sizes[0]:,} training, {dataset.sizes[1]:,} validation, {dataset.sizes[2]:,} test images) "
        f"for {params.epochs} epochs into {run}"
    )
    if dataset.note:
        print(f"Note: {dataset.note}.")
    fitting = ("epochs", "batch_size", "learning_rate", "learning_rate_schedule", "seed")
    training.fit(model, dataset, run, resume=resume, **{name: getattr(params, name) for name in fitting})

    plots.run_curves(run.read_history(), run.file("curves.png"))
    if params.model != "classifier":
        draw_pictures(training.load_model(run), dataset, params, run)
    best = run.read_weights(BEST)[1]
    print(f"Done: {run} (best epoch {best['epoch']}, validation loss {float(best['val_loss']):.3f}). Evaluate it on the test set with")
    print(f"  python evaluate.py --checkpoint {shlex.quote(str(run))}")


def load_data(params):
    from tfdvae.data import load_dataset

    wanted = ("validation_fraction", "image_size", "pixel_range", "binarize", "memory_limit")
    return load_dataset(params.dataset, **{name: getattr(params, name) for name in wanted})


def draw_pictures(model, dataset, params, run):
    """Draw validation images beside their reconstructions, and samples from the prior where the model has one."""
    from tfdvae import evaluation, plots

    images, outputs = evaluation.reconstruction_grid(model, dataset.validation(evaluation.BATCH))
    plots.grids({"validation images": images, f"{params.model} outputs": outputs}, run.file("reconstructions.png"), params.pixel_range)
    if params.model != "dae":
        samples = model.sample(evaluation.GRID).numpy()
        plots.grids({f"{params.model} samples from the prior": samples}, run.file("samples.png"), params.pixel_range)


def command_line(arguments):
    """Run the script, turning what the user can mend into one sentence and exit status 2."""
    try:
        preset, given, resume, overwrite = parameters.parse(arguments)
        main(preset, resume=resume, overwrite=overwrite, **given)
    except (parameters.ParameterError, InputError) as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 2
    except NonFiniteLoss as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(command_line(sys.argv[1:]))
