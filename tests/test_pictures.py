"""What the pictures of runs and studies show: pairs of images, errors of a story, best epochs, labels."""

import dataclasses
import io
import pathlib

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

import params
import studies
from tfdvae import curves, data, image_grids, labels, plots
from tfdvae.build import build_model
from tfdvae.evaluation import story
from tfdvae.models.base import TEST_SEED
from tfdvae.runs import Run
from tfdvae.sheet import Sheet, fitted
from tfdvae.study import figures
from tfdvae.training import pictures, progress

SMALL = {"channels": (4,), "hidden_units": (10,), "latent_dim": 3, "image_shape": (6, 6, 1)}
APART = {"share_encoder": False, "propagate": False}


def pixels(picture):
    """Return a PNG's pixels, (H, W, 3) bytes."""
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))


def tiles_of(values):
    """Return 4x4 images, of red v, green 200 and blue 10, which no text has."""
    red = np.array(values, np.float32)[:, None, None, None] * np.ones((1, 4, 4, 1), np.float32)
    return np.concatenate([red, np.full_like(red, 200), np.full_like(red, 10)], axis=-1) / 255


def shown_tiles(picture, values):
    """Return, in reading order, the values of the tiles in a picture."""
    drawn, places = pixels(picture), []
    for value in values:
        y, x = np.nonzero(np.all(drawn == (value, 200, 10), axis=-1))
        places.append((y.min(), x.min(), value))
    return [value for _, _, value in sorted(places)]


# ---- the story of a DVAE


@pytest.mark.parametrize("changes", [{}, APART, {"vae_weight": 0.0}, {"share_encoder": False, "prior": "mixture"}])
@pytest.mark.parametrize("likelihood, pixel_range", [("bernoulli", "unit"), ("gaussian_fixed", "signed"), ("gaussian", "real")])
def test_the_errors_of_a_story_are_those_of_the_outputs_that_it_shows(images, changes, likelihood, pixel_range):
    model = build_model(
        model="dvae", likelihood=likelihood, pixel_range=pixel_range, sigma=0.5, **(SMALL | {"image_shape": (5, 6, 1)}), **changes
    )
    told = story.story(model, images)
    assert told.images.shape == told.vae_outputs.shape == told.outputs.shape == (7, 5, 6, 1)
    for outputs, errors in ((told.vae_outputs, told.vae_errors), (told.outputs, told.errors)):
        if likelihood == "bernoulli":
            by_hand = -(images * np.log(outputs) + (1 - images) * np.log(1 - outputs)).sum((1, 2, 3))
            np.testing.assert_allclose(errors, by_hand, rtol=1e-4)
        if likelihood == "gaussian_fixed":
            by_hand = ((images - outputs) ** 2).sum((1, 2, 3)) / (2 * 0.25) + 30 * (0.5 * np.log(2 * np.pi) + np.log(0.5))
            np.testing.assert_allclose(errors, by_hand, rtol=1e-4)
    terms = model.loss_terms(images, seed=[TEST_SEED, 0])  # of the same sample of z
    np.testing.assert_allclose(told.vae_errors, terms["vae_reconstruction"], rtol=1e-5)
    np.testing.assert_allclose(told.errors, terms["reconstruction"], rtol=1e-5)
    np.testing.assert_allclose(told.outputs, model.reconstruct(images, seed=[TEST_SEED, 0]), rtol=1e-5)
    np.testing.assert_array_equal(story.story(model, images).errors, told.errors)


def test_without_a_seed_both_outputs_are_of_the_mean_of_the_posterior(images):
    model = build_model(model="dvae", **(SMALL | {"image_shape": (5, 6, 1)}))
    vae_outputs, outputs = model.both_outputs(images)
    np.testing.assert_allclose(model.likelihood.mean(vae_outputs), model.decode_vae(model.encode(images)[0]), rtol=1e-5)
    np.testing.assert_allclose(model.likelihood.mean(outputs), model.reconstruct(images), rtol=1e-5)


@pytest.mark.parametrize(
    "vae_error, error, words",
    [
        (73.14, 71.02, "2.1 better"),
        (71.02, 73.14, "2.1 worse"),
        (93.66, 93.94, "0.2 worse"),  # of 93.7 and 93.9, as they stand beside it
        (-1811.5, -1790.25, "21.3 worse"),  # a density may be above 1
        (-1790.3, -1811.5, "21.2 better"),
        (5.01, 5.04, "as near"),
    ],
)
def test_a_story_says_which_output_is_nearer(vae_error, error, words):
    (_, _), (shown, colour) = story.compared(vae_error, error)
    assert shown == words and colour == {"better": story.BETTER, "worse": story.WORSE}.get(words.split()[1], "0.4")


def test_a_story_states_the_means_of_the_best_epoch():
    row = {"val_vae_reconstruction": 1234.56, "val_reconstruction": -3.21}
    assert "all 5,000 validation images: VAE 1,234.6 nats, DAE -3.2 nats." in story.footer(row, 5000, 1.0, False)[1]
    assert "over 1 validation image:" in story.footer(row, 1, 1.0, False)[1] and len(story.footer(row, 1, 1.0, False)) == 2
    assert "variance" in story.footer(row, 9, 1.0, True)[2] and "not trained" in story.footer(row, 9, 0.0, False)[2]


@pytest.mark.parametrize("shape, pixel_range", [((28, 28, 1), "unit"), ((9, 300, 3), "signed"), ((1, 1, 1), "real")])
def test_a_story_is_about_1400_pixels_wide_for_images_of_any_shape(shape, pixel_range):
    images = np.zeros((3, *shape), np.float32)
    told = story.Story(images, images, images, np.full(3, -1234567.8), np.full(3, 2.0))
    drawn = pixels(story.picture(told, ["title", "sentence"], ["footer"], pixel_range))
    assert 1250 < drawn.shape[1] < 1500 and drawn.shape[0] < 900


def test_a_story_shows_different_classes_first():
    classes = np.array([9, 9, 7, 7, 9, 5, 5, -1])
    assert story.of_different_classes(classes, 3) == [0, 2, 5]
    assert story.of_different_classes(classes, 6) == [0, 1, 2, 3, 5, 7]  # the second 9 and the second 7 come before the second 5
    assert story.of_different_classes(classes, 20) == list(range(8))


def test_the_posteriors_picture_names_what_each_part_shows(monkeypatch):
    monkeypatch.setattr(curves, "png", lambda figure: figure)
    names = ("epoch", "active_units", "kl_0", *(f"posterior_{a}_{b}" for a in ("mean", "std") for b in ("min", "max")), "val_loss")
    titles = [axis.get_title() for axis in curves.posterior([dict.fromkeys(names, 1.0)], "title").axes]
    assert titles[2:] == ["extremes of the posterior mean", "extremes of the posterior standard deviation"]


# ---- strips, grids and frames


def test_outputs_stand_below_their_images():
    """Image i is of red i, its output of red 100 + i."""
    picture = image_grids.strips({"images": tiles_of(range(20)), "outputs": tiles_of(range(100, 120))}, "title")
    assert shown_tiles(picture, [*range(20), *range(100, 120)]) == [*range(16), *range(100, 116), *range(16, 20), *range(116, 120)]


@pytest.mark.parametrize("rows, most", [(2, 64), (3, 64), (4, 48), (6, 32), (14, 16)])
def test_the_more_rows_a_strip_has_the_fewer_images_are_shown(rows, most):
    assert image_grids.shown(rows) == most


def test_rows_with_limits_have_them_in_colour_and_on_a_bar(monkeypatch):
    texts = []
    monkeypatch.setattr(Sheet, "text", lambda self, x, y, text, **style: texts.append(text))
    tiles = np.full((1, 4, 4, 1), 2.0, np.float32)
    picture = image_grids.strips({"pixels": tiles, "variances": tiles}, "", "real", limits=(None, (0.0, 4.0)))
    assert texts == ["", "pixels", "3", "0", "-3", "variances", "4", "2", "0"]
    found = {tuple(colour) for colour in pixels(picture).reshape(-1, 3)}
    assert (128, 128, 128) in found  # 2 of 0 to 4
    assert tuple(np.round(255 * np.array(image_grids.DIVERGING(5 / 6)[:3])).astype(int)) in found  # 2 of -3 to 3


def test_images_are_enlarged_by_whole_factors_and_shrunk_to_size():
    assert fitted(np.zeros((2, 28, 20, 3), np.uint8), 64).shape == (2, 56, 40, 3)
    assert fitted(np.zeros((2, 8, 8, 3), np.uint8), 64).shape == (2, 64, 64, 3)
    assert fitted(np.zeros((2, 256, 128, 3), np.uint8), 64).shape == (2, 64, 32, 3)
    board = np.array([[[[0] * 3, [90] * 3]]], np.uint8)
    assert fitted(board, 4)[0, :, :, 0].tolist() == [[0, 0, 90, 90]] * 2


def test_a_sheet_keeps_pixels_and_grows_to_its_texts():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    sheet = Sheet()
    sheet.image(0, 0, image)
    np.testing.assert_array_equal(pixels(sheet.png(margin=5))[5:-5, 5:-5], image)
    sheet = Sheet()
    sheet.image(0, 0, image)
    sheet.text(0, -10, "a title that is wider than the image")
    drawn = pixels(sheet.png(margin=5))
    assert drawn.shape[1] > 200 and drawn.shape[0] > 40
    np.testing.assert_array_equal(drawn[-25:-5, 5:35], image)


@pytest.mark.parametrize("images, size", [(1, 28), (8, 8), (8, 28), (3, 300)])
def test_labels_of_the_animation_stand_beside_the_frame_which_is_whole(images, size, tmp_path):
    run = Run(tmp_path)
    tiles = np.full((5 * (size + 1) - 1, images * (size + 1) - 1, 3), (10, 200, 77), np.uint8)
    content = io.BytesIO()
    Image.fromarray(tiles).save(content, format="png")
    run.write_frame(1, content.getvalue())
    rows = [("images", 1), ("outputs", 1), ("outputs, sampled", 1), ("draws from the prior", 2)]
    animation = np.asarray(Image.open(io.BytesIO(progress.animation(run, rows))).convert("RGB"))
    y, x = np.nonzero(np.all(animation == (10, 200, 77), axis=-1))
    assert x.min() >= progress.MARGIN and y.min() >= progress.HEADING
    assert (y.max() - y.min() + 1) / (x.max() - x.min() + 1) == pytest.approx(tiles.shape[0] / tiles.shape[1], rel=0.02)
    assert 100 < animation.shape[0] < 480 and animation.shape[1] < 700
    left = animation[:, : progress.MARGIN - 8]
    assert left.min() < 100 and left[:, :2].min() == 255 and animation[:2].min() == 255  # words, and none of them cut off


# ---- curves


HISTORY = [
    {"epoch": epoch, "loss": 9.0, "val_loss": loss, "reconstruction": 5.0, "val_reconstruction": 20.0 + epoch}
    for epoch, loss in ((1.0, 30.0), (2.0, 10.0), (3.0, 11.0), (4.0, 10.0))
]
JOINT = [row | {"vae_reconstruction": 6.0, "val_vae_reconstruction": 30.0 + row["epoch"]} for row in HISTORY]


@pytest.fixture
def figure(monkeypatch):
    """A function that draws and returns the figure."""
    seen = []
    for module in (curves, figures):
        monkeypatch.setattr(module, "png", lambda each: seen.append(each) or plots.png(each))

    def of(draw, *arguments):
        draw(*arguments)
        return seen[-1]

    return of


def lines_of(axis, label):
    """Return the points of the lines with a label."""
    return [line.get_xydata().tolist() for line in axis.lines if line.get_label() == label]


def test_the_best_epoch_is_marked_and_both_outputs_share_an_axis(figure):
    drawn = figure(curves.run_curves, JOINT, "DVAE on digits")
    loss, reconstruction = drawn.axes
    for axis in drawn.axes:
        assert [list(line.get_xdata()) for line in axis.lines if line.get_linestyle() == ":"] == [[2.0, 2.0]]  # the first of two
    assert "best epoch, 2: lowest validation loss" in [text.get_text() for text in drawn.legends[0].get_texts()]
    assert lines_of(reconstruction, "final output, of the DAE") == [[[1, 21], [2, 22], [3, 23], [4, 24]]]
    assert lines_of(reconstruction, "output of the VAE within") == [[[1, 31], [2, 32], [3, 33], [4, 34]]]
    assert drawn.get_suptitle().startswith("DVAE on digits") and loss.get_ylabel() == "nats per image"


def test_a_single_epoch_is_a_point(figure):
    axis = figure(curves.run_curves, HISTORY[:1], "VAE").axes[0]
    assert [line.get_marker() for line in axis.lines] == ["o", "o", "None"]


def test_compared_runs_have_a_dot_at_their_best_epoch(figure):
    (axis,) = figure(curves.compared_curves, {"DVAE": JOINT, "VAE": HISTORY}, "reconstruction", "digits").axes
    dots = [line.get_xydata().tolist() for line in axis.lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert dots == [[[2, 22]], [[2, 32]], [[2, 22]]]
    shown = [label for label in axis.get_legend_handles_labels()[1]]
    assert shown == ["DVAE, final output", "DVAE, VAE within", "VAE", "best epoch (lowest loss)"]


def test_a_study_s_curves_mark_the_best_epoch_of_every_seed(figure):
    later = [row | {"val_loss": -row["epoch"]} for row in HISTORY]
    (axis,) = figure(figures.curves, {"VAE": [HISTORY, later]}, "reconstruction", "study").axes
    dots = [line.get_xydata().tolist() for line in axis.lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert dots == [[[2, 22], [4, 24]]]


# ---- labels

PARAMS = dataclasses.asdict(params.Params())


@pytest.mark.parametrize(
    "changes, label",
    [
        ({"model": "vae"}, "VAE"),
        ({"model": "vae", "kl_weight": 0.5}, "VAE, β = 0.5"),
        ({"model": "vae", "kl_weight": 4.0, "prior": "vampprior"}, "VAE, β = 4, VampPrior"),
        ({"model": "dvae", "kl_weight": 1.0}, "DVAE"),
        ({"model": "dvae", "share_encoder": False}, "DVAE, DAE with its own encoder"),
        ({"model": "dvae", **APART}, "DVAE, VAE and DAE trained apart"),
        ({"model": "dvae", "vae_weight": 0.0}, "DVAE, only the final output trained"),
        ({"model": "dvae", "vae_weight": 0.25}, "DVAE, VAE's weight 0.25"),
        ({"model": "im_dvae"}, "VAE of corrupted images (Im et al.)"),
        ({"model": "ae", "kl_weight": 0.5}, "autoencoder"),  # it has no KL
    ],
)
def test_a_model_is_named_by_what_is_unusual(changes, label):
    assert labels.model_label(PARAMS | {"prior": "normal"} | changes) == label


def test_variants_that_a_label_cannot_tell_apart_keep_their_names():
    changes = {
        "vae": {"model": "vae"},
        "mine": {"model": "vae", "latent_dim": 3},  # not told by a label
        "half": {"model": "vae", "kl_weight": 0.5},
        "again": {"model": "vae", "kl_weight": 0.5},
    }
    every = {name: PARAMS | {"prior": "normal"} | changed for name, changed in changes.items()}
    assert labels.variant_labels(changes, every) == {"vae": "VAE", "mine": "mine", "half": "half", "again": "again"}


@pytest.mark.parametrize("name", studies.STUDIES)
def test_every_variant_of_the_declared_studies_has_a_label(name):
    study = studies.STUDIES[name]
    changes = {variant: changed for variant, (changed, _) in study.variants.items()}
    found = labels.variant_labels(changes, {variant: study.run_dict(variant, 0) for variant in changes})
    assert not set(found.values()) & set(changes) and len(set(found.values())) == len(changes)
    committed = ROOT / "results" / name / "report.md"
    if committed.exists():
        assert f"\n- dvae ({found['dvae']}): model dvae\n" in committed.read_text()


def test_runs_are_labelled_as_shortly_as_tells_them_apart():
    one, two = PARAMS | {"model": "dvae", "seed": 0, "kl_weight": 1.0}, PARAMS | {"model": "vae", "seed": 1, "kl_weight": 0.5}
    a, b, other = pathlib.Path("runs/a"), pathlib.Path("runs/b"), pathlib.Path("old/a")
    assert labels.run_labels([(one, a), (two, b)]) == ["DVAE", "VAE, β = 0.5"]
    assert labels.run_labels([(one, a), (one | {"seed": 2}, b)]) == ["DVAE, seed 0", "DVAE, seed 2"]
    assert labels.run_labels([(one, a), (one, b)]) == ["a", "b"]
    assert labels.run_labels([(one, a), (one, other)]) == [str(a), str(other)]
    assert labels.run_title(one | {"dataset": "digits"}, a) == "DVAE on digits (run a)"


def test_a_model_that_a_user_added_has_its_own_name():
    assert labels.model_label(PARAMS | {"model": "free_vae"}) == "free_vae"


# ---- the steps of drawing


def test_every_picture_is_announced_before_it_is_written(tmp_path):
    run, dataset = Run(tmp_path), data.load_dataset("digits")
    model = build_model(model="dvae", **(SMALL | {"image_shape": (8, 8, 1), "latent_dim": 2}))
    progress.frame_writer(run, model, progress.shown_images(dataset), "unit")(1)
    row = {
        name: 1.0 for name in ("epoch", "active_units", "kl_0", *(f"posterior_{a}_{b}" for a in ("mean", "std") for b in ("min", "max")))
    }
    row |= {prefix + name: 1.0 for prefix in ("", "val_") for name in model.term_names}
    run.read_history = lambda: [row]
    announced = []

    def announce(name):
        assert not run.file(name).exists()
        announced.append(name)

    pictures.draw_pictures(run, model, dataset, PARAMS | {"model": "dvae", "dataset": "digits", "pixel_range": "unit"}, announce)
    assert announced[0] == "story.png"
    assert set(announced) == {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert set(announced) == {
        *("story.png", "curves.png", "reconstructions.png", "samples.png", "manifold.png", "posterior.png"),
        *("progress.png", "progress.gif"),
    }
