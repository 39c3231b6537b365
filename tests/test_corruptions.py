import math

import numpy as np
import pytest
import tensorflow as tf

from tfdvae.corruptions import GaussianNoise, Masking, SaltAndPepper

GREY = tf.fill((10, 50, 40, 3), 0.5)
N = 10 * 50 * 40  # pixels


def four_sigma(p):
    return 4 * math.sqrt(p * (1 - p) / N)


def test_gaussian_noise_has_its_spread():
    noise = (GaussianNoise(0.2)(GREY, seed=[0, 1]) - GREY).numpy()
    assert noise.std() == pytest.approx(0.2, abs=4 * 0.2 / math.sqrt(2 * noise.size))
    assert noise.mean() == pytest.approx(0.0, abs=4 * 0.2 / math.sqrt(noise.size))


def test_masking_clears_whole_pixels():
    masked = Masking(0.3)(GREY, seed=[0, 1]).numpy()
    cleared = (masked == 0).all(-1)
    assert cleared.mean() == pytest.approx(0.3, abs=four_sigma(0.3))
    assert (masked[~cleared] == 0.5).all()


def test_salt_and_pepper_takes_both_ends_equally():
    noisy = SaltAndPepper(0.4, low=-1.0)(GREY, seed=[0, 1]).numpy()
    for value, share in ((-1.0, 0.2), (1.0, 0.2), (0.5, 0.6)):
        assert (noisy == value).all(-1).mean() == pytest.approx(share, abs=four_sigma(share))


def test_training_draws_anew_and_a_seed_repeats():
    layer = GaussianNoise(0.2, seed=5)
    assert not np.array_equal(layer(GREY), layer(GREY))
    np.testing.assert_array_equal(layer(GREY, seed=[0, 1]), layer(GREY, seed=[0, 1]))
    np.testing.assert_array_equal(GaussianNoise(0.2, seed=5)(GREY), GaussianNoise(0.2, seed=5)(GREY))
