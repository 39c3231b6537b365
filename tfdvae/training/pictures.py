"""The pictures of a finished run."""

from .. import curves, data, image_grids, labels
from ..evaluation import story, terms
from . import progress


def draw_pictures(run, model, dataset, params_dict, announce=lambda name: None):
    """Draw a finished run into its folder.

    Args:
        run: `Run`.
        model: the run's model with its best weights, or None for a classifier.
        dataset: of the run.
        params_dict: of the run.
        announce: called with the name of every picture before it is drawn.
    """
    for name, draw in pictures(run, model, dataset, params_dict).items():
        announce(name)
        run.write_picture(name, draw())


def pictures(run, model, dataset, params_dict):
    """Return name -> function that draws this picture, called without arguments: all pictures that a run of this model has."""
    history, title, pixel_range = run.read_history(), labels.run_title(params_dict, run.path), params_dict["pixel_range"]
    steps = {"curves.png": lambda: curves.run_curves(history, title)}
    if model is None:
        return steps
    if hasattr(model, "both_outputs"):
        steps = {"story.png": lambda: draw_story(model, dataset, params_dict, history, title)} | steps
    steps["reconstructions.png"] = lambda: draw_reconstructions(model, dataset, title)
    if model.generates:
        steps["samples.png"] = lambda: draw_samples(model, title, pixel_range)
        if terms.has_manifold(model):
            steps["manifold.png"] = lambda: draw_manifold(model, title, pixel_range)
        steps["posterior.png"] = lambda: curves.posterior(history, title)
    if run.frames():
        rows = progress.rows_of(model)
        steps["progress.png"] = lambda: progress.figure(run, rows, f"{title}: the same images, epoch after epoch")
        steps["progress.gif"] = lambda: progress.animation(run, rows)
    return steps


def draw_story(model, dataset, params_dict, history, title):
    """Draw some of the first validation images with both outputs of a joint model."""
    first, classes = data.images_and_labels(next(iter(dataset.validation(story.AMONG))))
    shown = first.numpy() if classes is None else first.numpy()[story.of_different_classes(classes.numpy())]
    told = story.story(model, shown[: story.ROWS])
    images, learned = dataset.sizes[data.VALIDATION], model.likelihood.learns_variance
    footer = story.footer(curves.best_row(history), images, params_dict["vae_weight"], learned)
    return story.picture(told, story.heading(title, params_dict), footer, params_dict["pixel_range"])


def draw_reconstructions(model, dataset, title):
    """Draw the first validation images with their outputs below them."""
    images, outputs = terms.reconstruction_grid(model, dataset.validation(terms.GRID))
    rows = {"validation images": images, "outputs": outputs}
    return image_grids.strips(rows, f"{title}: validation images, and the outputs for them", dataset.pixel_range)


def draw_samples(model, title, pixel_range):
    """Draw images from the prior."""
    samples = terms.prior_images(model, terms.GRID, pixel_range).numpy()
    return image_grids.grids({"images made of draws from the prior": samples}, title, pixel_range)


def draw_manifold(model, title, pixel_range):
    """Draw the images over the plane of a 2-d latent."""
    return image_grids.grids({"images over the latent plane": terms.manifold(model)}, title, pixel_range, terms.MANIFOLD_SIDE)
