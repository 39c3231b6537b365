import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfdvae import data
from tfdvae.build import build_model
from tfdvae.models.base import TEST_SEED
from tfdvae.runs import Run
from tfdvae.training import progress

ROWS = [("images", 1), ("outputs", 1), ("outputs, sampled", 1), ("draws from the prior", 2)]
SMALL = {"image_shape": (8, 8, 1), "channels": (4,), "hidden_units": (10,), "latent_dim": 3}


@pytest.fixture
def run(tmp_path):
    """A run with frames of three epochs of an untrained VAE."""
    run = Run(tmp_path)
    shown = progress.shown_images(data.load_dataset("digits"))
    for epoch in (1, 2, 3):
        progress.frame_writer(run, build_model(model="vae", seed=epoch, **SMALL), shown, "unit")(epoch)
    return run


def test_a_frame_shows_images_outputs_samples_and_draws(run):
    frame = np.asarray(Image.open(run.frames()[2]))
    assert frame.shape == (5 * 9 - 1, 8 * 9 - 1, 3)
    image = progress.shown_images(data.load_dataset("digits"))[0, ..., 0].numpy()
    np.testing.assert_allclose(frame[:8, :8, 0] / 255, image, atol=0.003)
    assert set(np.unique(frame[18:26, :8])) == {0, 255}  # pixels drawn from a Bernoulli


def test_a_frame_shows_the_weights_of_its_epoch(tmp_path):
    """The function that draws is traced once, so weights and batch-norm statistics must not be constants of it."""
    run, model = Run(tmp_path), build_model(model="dvae", **SMALL)
    shown = progress.shown_images(data.load_dataset("digits"))
    write = progress.frame_writer(run, model, shown, "unit")
    for epoch in (1, 2):
        for weight in model.weights:
            weight.assign_add(tf.random.stateless_uniform(weight.shape, [epoch, len(weight.path)], 0.0, 0.1, weight.dtype))
        write(epoch)
        outputs = model.reconstruct(shown, seed=[TEST_SEED, 0])[:, :, :, 0].numpy()
        frame = np.asarray(Image.open(run.frames()[epoch]))[..., 0]
        np.testing.assert_allclose(frame[9:17, :8] / 255, outputs[0], atol=0.005)
        np.testing.assert_allclose(frame[27:35, 9:17] / 255, model.sample(16)[1, :, :, 0].numpy(), atol=0.005)
    first, second = (np.asarray(Image.open(path)) for path in run.frames().values())
    assert np.mean(first != second) > 0.1


def test_frames_become_a_figure_and_an_animation(run):
    assert progress.figure(run, ROWS, "title").startswith(b"\x89PNG")
    with Image.open(io.BytesIO(progress.animation(run, ROWS))) as animation:
        assert animation.n_frames == 3 and animation.width >= 400


def test_a_long_training_has_an_animation_of_bearable_length(run, monkeypatch):
    monkeypatch.setattr(progress, "MAX_FRAMES", 2)
    with Image.open(io.BytesIO(progress.animation(run, ROWS))) as animation:
        assert animation.n_frames == 2


def test_a_model_without_a_prior_has_no_draws(tmp_path):
    model = build_model(model="dae", **SMALL)
    progress.frame_writer(Run(tmp_path), model, progress.shown_images(data.load_dataset("digits")), "unit")(1)
    assert Image.open(Run(tmp_path).frames()[1]).height == 3 * 9 - 1
    assert progress.rows_of(model) == ROWS[:3] and progress.rows_of(build_model(model="vae", **SMALL)) == ROWS
