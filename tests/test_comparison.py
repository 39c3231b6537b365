"""Differences with intervals, by hand and against truths that simulations know."""

import math

import numpy as np
import pytest

from tfdvae.study import comparison
from tfdvae.study.comparison import (
    Difference,
    along_curve,
    bound_differences,
    denoising_differences,
    differences,
    leave_one_out,
    matched_rate,
    t_interval,
    term_differences,
)


def test_t_interval_by_hand():
    low, high = t_interval([1.0, 2.0, 3.0])  # mean 2, standard error 1 / sqrt 3, t with 2 degrees of freedom 4.3027
    assert (low, high) == pytest.approx((2 - 4.3027 / math.sqrt(3), 2 + 4.3027 / math.sqrt(3)), abs=1e-4)
    assert t_interval([1.0]) is None


def test_curve_passes_through_its_points_and_ends_with_them():
    curve = along_curve([30.0, 20.0, 10.0], [70.0, 75.0, 90.0])
    assert [float(curve(rate)) for rate in (10, 20, 30)] == pytest.approx([90, 75, 70])
    assert 75 < curve(15.0) < 82.5  # convex: below the chord
    assert math.isnan(curve(9.9)) and math.isnan(curve(30.1))
    assert float(along_curve([0.0, 0.0, 20.0], [100.0, 101.0, 80.0])(10.0)) == pytest.approx(90.0)  # two collapsed posteriors
    both = along_curve([1.0, 2.0], [[1.0, 5.0], [3.0, 4.0]])  # two points make a line
    assert both(1.5).tolist() == pytest.approx([2.0, 4.5])


def test_distance_from_the_curve_by_hand():
    means = {
        ("vae", 0): {"kl": 20.0, "reconstruction": 74.0, "error": 0.03},
        ("half", 0): {"kl": 30.0, "reconstruction": 68.0, "error": 0.02},
        ("dvae", 0): {"kl": 25.0, "reconstruction": 70.0, "error": 0.03},
        ("beyond", 0): {"kl": 31.0, "reconstruction": 60.0, "error": 0.01},
        ("dvae", 1): {"kl": 25.0, "reconstruction": 70.0, "error": 0.03},  # no curve with its seed
    }
    found = matched_rate(means, ("vae", "half"))
    assert found == {("reconstruction", "dvae"): {0: pytest.approx(-1.0)}, ("error", "dvae"): {0: pytest.approx(0.005)}}
    means |= {
        ("vae", 1): {"kl": 20.0, "reconstruction": 78.0, "error": 0.05},
        ("half", 1): {"kl": 30.0, "reconstruction": 68.0, "error": 0.03},
    }
    found = matched_rate(means, ("vae", "half"))  # the second seed's own curve has 73 and 0.04 at 25
    assert found["reconstruction", "dvae"] == {0: pytest.approx(-1.0), 1: pytest.approx(-3.0)}
    assert found["error", "dvae"] == {0: pytest.approx(0.005), 1: pytest.approx(-0.01)}


def test_the_vae_within_is_set_against_the_curve_of_the_same_loss():
    means = {
        ("vae", 0): {"kl": 20.0, "reconstruction": 74.0},
        ("half", 0): {"kl": 30.0, "reconstruction": 68.0},
        ("dvae", 0): {"kl": 25.0, "reconstruction": 73.5, "vae_reconstruction": 72.0},
    }
    found = matched_rate(means, ("vae", "half"))  # 71 at 25
    assert found == {("reconstruction", "dvae"): {0: pytest.approx(2.5)}, ("vae_reconstruction", "dvae"): {0: pytest.approx(1.0)}}


def test_a_difference_is_shown_beyond_both_intervals_together():
    def shown(mean, over_seeds, over_images):
        return Difference("reconstruction", "dvae", (mean,) * 3, (0, 1, 2), over_seeds, over_images).shown

    assert shown(1.0, (0.5, 1.5), (0.2, 1.8))  # sqrt(0.5^2 + 0.8^2) = 0.94
    assert not shown(1.0, (0.1, 1.9), (0.1, 1.9))  # each excludes zero, sqrt(2) 0.9 = 1.27 does not
    assert shown(-1.0, (-9.0, -0.5), (-9.0, -0.5))  # the arms towards zero count
    assert not shown(1.0, None, (0.9, 1.1)) and not shown(1.0, (0.9, 1.1), None)


def test_a_vae_leave_one_out_of_the_curve_by_hand():
    points = {"a": (10.0, 90.0), "b": (20.0, 82.0), "c": (30.0, 70.0), "other": (20.0, 0.0)}
    means = {(name, 0): {"kl": kl, "reconstruction": loss} for name, (kl, loss) in points.items()}
    assert leave_one_out(means, ("a", "b", "c")) == {("reconstruction", "b"): {0: pytest.approx(2.0)}}  # a straight line has 80 at 20
    assert leave_one_out(means, ("a", "b")) == {}


def study(rng, seeds=4, n=400, gap=-1.0, noise=0.2):
    """Simulated per-image values: the VAE's distortion is 100 - rate, a dvae's lies `gap` from it; images differ much, runs little."""
    hard = rng.normal(0, 20, n)  # shared by all runs, as test images are
    values = {}
    for seed in range(seeds):
        for variant, rate, shift in (("vae", 20, 0.0), ("half", 40, 0.0), ("dvae", 30, gap)):
            kl = rate + rng.normal(0, 3, n)
            values[variant, seed] = {"kl": kl, "reconstruction": 100 - kl + shift + hard + rng.normal(0, noise) + rng.normal(0, 1, n)}
    return values


def test_intervals_cover_the_truth_as_often_as_they_say(monkeypatch):
    monkeypatch.setattr(comparison, "RESAMPLES", 2)  # those over seeds are asked for
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(60):
        found = {d.kind: d for d in differences(study(rng, n=100), ("vae", "half"))}
        low, high = found["reconstruction"].over_seeds
        covered.append(low <= -1.0 <= high)
    # 95 % of 60 is 57; a binomial of 60 falls below 51 in one case of a thousand
    assert sum(covered) >= 51


def test_what_is_shared_by_all_runs_on_an_image_widens_no_interval(monkeypatch):
    monkeypatch.setattr(comparison, "RESAMPLES", 300)
    (gap,) = [d for d in differences(study(np.random.default_rng(1), noise=0.01), ("vae", "half")) if d.kind == "reconstruction"]
    low, high = gap.over_images
    # each image's own noise of 1 in 4 runs of dvae and 8 of the curve, over 400 images: standard error about 0.03, against 1.0 from images
    assert high - low < 0.3 and low < gap.mean < high
    assert gap.shown and gap.mean == pytest.approx(-1.0, abs=0.15)


def test_the_interval_over_images_is_as_wide_as_theory_has_it():
    outputs = {"reconstruction": np.random.default_rng(4).normal(0.0, 3.0, 900), "vae_reconstruction": np.zeros(900)}
    (found,) = denoising_differences({("dvae", 0): outputs})
    low, high = found.over_images
    # 1.96 standard errors either side; the ends of 1,000 resamples scatter by 3 % of the width, and 90 % would be 16 % narrower
    assert high - low == pytest.approx(2 * 1.96 * outputs["reconstruction"].std() / 30, rel=0.09)


def test_nothing_is_shown_where_nothing_is():
    found = {(d.kind, d.variant): d for d in differences(study(np.random.default_rng(2), gap=0.0, noise=0.5), ("vae", "half"))}
    assert not found["reconstruction", "dvae"].shown
    assert found["reconstruction", "dvae"].seeds == (0, 1, 2, 3)
    assert abs(found["neg_elbo", "half"].mean) < 1.5 and ("reconstruction", "half") not in found
    one = differences(study(np.random.default_rng(3), seeds=1, gap=-50.0), ("vae", "half"))
    assert not any(d.shown for d in one)  # however large


def test_bounds_are_compared_where_they_were_computed():
    values = {("vae", s): {"bound_5": np.array([-80.0, -90.0, -100.0]) + s} for s in range(3)}
    values |= {("dvae", s): {"bound_5": np.array([-81.0, -91.0, -101.0]) + s * 1.1} for s in range(2)}
    values["dvae", 2] = {"kl": np.zeros(3)}
    (found,) = bound_differences(values, "bound_5")
    assert found.per_seed == pytest.approx((1.0, 0.9)) and found.seeds == (0, 1)
    assert bound_differences(values, "bound_6") == []


def test_two_outputs_of_a_model_are_compared_image_by_image():
    values = {("dvae", s): {"reconstruction": np.array([60.0, 90.0 + s]), "vae_reconstruction": np.array([61.0, 92.0])} for s in range(2)}
    values["vae", 0] = {"reconstruction": np.array([60.0, 90.0])}
    (found,) = denoising_differences(values)
    assert (found.kind, found.variant) == ("denoised", "dvae")
    assert found.per_seed == (-1.5, -1.0) and found.seeds == (0, 1)
    # the first image alone gives -1 with every seed, the second -2 and -1
    assert found.over_images == (-1.5, -1.0) and not found.shown
    assert denoising_differences({("vae", 0): values["vae", 0]}) == []


def test_differences_in_a_term_by_hand():
    per_image = {
        ("vae", 0): {"kl": np.array([1.0, 3.0]), "bound_5": np.array([-9.0, -7.0])},
        ("dvae", 0): {"kl": np.array([4.0, 4.0]), "bound_5": np.array([-6.0, -6.0])},
        ("vae", 1): {"kl": np.array([1.0, 2.0])},
        ("dvae", 1): {"kl": np.array([3.0, 5.0])},
        ("dvae", 2): {"kl": np.array([9.0, 9.0])},  # nothing to be set against
    }
    (kl,) = term_differences(per_image, "kl")
    assert (kl.kind, kl.variant, kl.per_seed, kl.seeds) == ("kl", "dvae", (2.0, 2.5), (0, 1))
    (bound,) = bound_differences(per_image, "bound_5")
    assert bound.per_seed == (-2.0,)  # -log p(x) falls from 8 to 6
    (other_way,) = term_differences(per_image, "kl", baseline="dvae")
    assert (other_way.variant, other_way.per_seed) == ("vae", (-2.0, -2.5))
