"""The pictures of a finished run."""

from .. import plots
from ..evaluation import terms
from . import progress


def draw_pictures(run, model, dataset, params_dict):
    """Draw a finished run: its curves; and, of a model that reconstructs, outputs, draws from the prior, its posterior and its progress.

    Args:
        run: `Run`.
        model: the run's model with its best weights, or None for a classifier.
        dataset: of the run.
        params_dict: of the run.
    """
    history = run.read_history()
    run.write_picture("curves.png", plots.run_curves(history))
    if model is None:
        return
    pixel_range, name = params_dict["pixel_range"], params_dict["model"]
    images, outputs = terms.reconstruction_grid(model, dataset.validation(terms.BATCH))
    run.write_picture("reconstructions.png", plots.grids({"validation images": images, f"{name} outputs": outputs}, pixel_range))
    if model.generates:
        samples = terms.prior_images(model, terms.GRID, pixel_range).numpy()
        run.write_picture("samples.png", plots.grids({f"{name} samples from the prior": samples}, pixel_range))
        manifold = terms.manifold(model)
        if manifold is not None:
            run.write_picture("manifold.png", plots.grids({"images over the latent plane": manifold}, pixel_range, terms.MANIFOLD_SIDE))
    rows = progress.rows_of(model)
    progress.figure(run, "progress.png", rows)
    progress.animation(run, "progress.gif", rows)
    if model.generates:
        run.write_picture("posterior.png", plots.posterior(history))
