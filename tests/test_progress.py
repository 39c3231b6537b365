import io

import numpy as np
import pytest
from PIL import Image

from tfdvae import data
from tfdvae.build import build_model
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
        progress.write_frame(run, epoch, build_model(model="vae", seed=epoch, **SMALL), shown, "unit")
    return run


def test_a_frame_shows_images_outputs_samples_and_draws(run):
    frame = np.asarray(Image.open(run.frames()[2]))
    assert frame.shape == (5 * 9 - 1, 8 * 9 - 1, 3)
    image = progress.shown_images(data.load_dataset("digits"))[0, ..., 0].numpy()
    np.testing.assert_allclose(frame[:8, :8, 0] / 255, image, atol=0.003)
    assert set(np.unique(frame[18:26, :8])) == {0, 255}  # pixels drawn from a Bernoulli


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
    progress.write_frame(Run(tmp_path), 1, model, progress.shown_images(data.load_dataset("digits")), "unit")
    assert Image.open(Run(tmp_path).frames()[1]).height == 3 * 9 - 1
    assert progress.rows_of(model) == ROWS[:3] and progress.rows_of(build_model(model="vae", **SMALL)) == ROWS
