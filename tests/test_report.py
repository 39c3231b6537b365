"""Words and tables of a study's report, for differences and records made by hand."""

import math

import numpy as np
import pytest

from tfdvae.study.comparison import Difference
from tfdvae.study.report import compared_terms, last_fifth, runs_csv
from tfdvae.study.results import Result
from tfdvae.study.sections import answer, curves_section, interpolation, not_on_curve, shortness
from tfdvae.study.tables import bounds_table, claims_table, outputs_table, published_table, variants_table, verdict

BELOW, ACROSS = (-3.0, -1.0), (-1.0, 1.0)


def difference(kind="reconstruction", sign=1, over_seeds=BELOW, over_images=BELOW):
    """A difference of -2, or with the sign turned of 2."""
    over_seeds, over_images = (tuple(sorted(sign * end for end in ends)) if ends else None for ends in (over_seeds, over_images))
    return Difference(kind, "dvae", (sign * -2.0,) * 3, (0, 1, 2), over_seeds, over_images)


@pytest.mark.parametrize(
    "found, chord, said",
    [
        (difference(), False, "lower"),
        (difference(sign=-1), False, "higher"),
        (difference(over_seeds=ACROSS), False, "no difference shown"),
        (difference(over_images=ACROSS), False, "no difference shown"),
        (difference(over_seeds=None), False, "one seed"),
        (difference(over_images=None), False, "at the end of the curve"),
        (difference(), True, "below the chord"),
        (difference(sign=-1), True, "higher"),  # above a chord is above the convex curve below it
        (difference("error", sign=-1), True, "above the chord"),  # of which no one knows that it is convex
    ],
)
def test_verdicts(found, chord, said):
    assert verdict(found, chord) == said


def test_the_answer_stands_first_with_its_verdicts():
    error = difference("error", over_seeds=ACROSS)
    assert answer([error, difference()], chord=False) == (
        "**Found.** At equal rate, `dvae` minus VAEs is: reconstruction -2.00 nats (lower), classifier error -200.00 "
        "points (no difference shown). Higher is worse."
    )
    assert "reconstruction -2.00 nats (below the chord). Higher" in answer([difference()], chord=True)
    assert answer([Difference("reconstruction", "im_dvae", (-2.0,) * 3, (0, 1, 2), BELOW, BELOW)], chord=False) == ""


def test_runs_without_a_distance_are_listed_with_the_reason():
    rows = [
        {"variant": v, "seed": s} for v, s in [("vae", 0), ("half", 0), ("dvae", 0), ("beyond", 0), ("vae", 1), ("dvae", 1), ("dvae", 2)]
    ]
    placed = Difference("reconstruction", "dvae", (-1.0,), (0,), None, None)
    assert not_on_curve([placed], ("vae", "half"), rows).split("\n\n") == [
        "No distance, since its rate is outside the curve: beyond (seed 0).",
        "No distance, since a VAE of the curve is missing: dvae (seeds 1, 2).",
    ]


def test_what_more_samples_gain_is_of_the_same_images_and_seeds():
    def record(**per_image):
        return Result({}, {}, [], {name: np.array(values, np.float32) for name, values in per_image.items()}, {}, [], None)

    records = {
        ("vae", 0): record(bound_5=[-90.0, -80.0, -10.0], bound_50=[-89.0, -79.5]),
        ("vae", 1): record(bound_50=[-70.0, -60.0]),
    }
    lines = bounds_table(records, {"bound_5": {}, "bound_50": {}}).splitlines()
    assert [cell.strip() for cell in lines[-2].split("|")[1:7]] == ["vae", "5", "3", "1", "60.00", ""]
    # (89 + 79.5) / 2 and (70 + 60) / 2; the gain of the first seed is (1 + 0.5) / 2
    assert [cell.strip() for cell in lines[-1].split("|")[1:7]] == [
        "vae",
        "50",
        "2",
        "2",
        "74.62 ± 13.61",
        "0.75 more with 5 (1 of the seeds)",
    ]


ROWS = [
    {"variant": variant, "seed": seed, "reconstruction": loss, "kl": kl, "neg_elbo": loss + kl, "error": error, "error_of_original": 0.005}
    for variant, seed, loss, kl, error in (
        ("vae", 0, 70.0, 20.0, 0.02),
        ("vae", 1, 72.0, 20.0, 0.04),
        ("dvae", 0, 69.0, 26.0, 0.02),
        ("dvae", 1, 67.0, 28.0, 0.02),
    )
]


def test_means_and_spreads_stand_beside_the_published_numbers():
    lines = published_table("mnist", ROWS, {}).splitlines()[2:8]
    assert lines == [
        "| **CNN on originals** | | | | 0.50 % |",
        "| dojoteef/dvae, CNN | | | | 1.01 % |",
        "| **vae** | 71.00 ± 1.41 | 20.00 ± 0.00 | 91.00 ± 1.41 | 3.00 ± 1.41 % |",
        "| dojoteef/dvae, VAE | 74.248 | 20.900 | 95.148 | 3.85 % |",
        "| **dvae** | 68.00 ± 1.41 | 27.00 ± 1.41 | 95.00 ± 0.00 | 2.00 ± 0.00 % |",
        "| dojoteef/dvae, DVAE | 71.648 | 25.728 | 97.376 | 2.99 % |",
    ]


def test_every_variant_has_its_difference_from_the_vae():
    found = [Difference("neg_elbo", "dvae", (5.0, 3.0), (0, 1), (3.0, 5.0), (3.5, 4.5)), difference("reconstruction")]
    labels = {"vae": "VAE", "dvae": "DVAE"}
    lines = variants_table({"vae": {"model": "vae"}, "dvae": {"model": "dvae"}}, ROWS, found, {}, labels).splitlines()
    assert lines[2] == "| vae | 2 | 71.00 ± 1.41 | 20.00 ± 0.00 | 91.00 ± 1.41 | 3.00 ± 1.41 % |  | | | |  |"
    assert lines[3].endswith("| 2.00 ± 0.00 % | 2 | +4.00 | +3.00 to +5.00 | +3.50 to +4.50 | higher |")
    assert "- dvae (DVAE): model dvae" in lines


def test_an_inner_vae_that_lies_below_the_curve_of_the_others_is_told_with_its_sign():
    points = {"a": (10.0, 90.0, 0.06), "b": (20.0, 78.0, 0.05), "c": (30.0, 70.0, 0.02)}
    rows = [{"variant": v, "seed": 0, "kl": kl, "reconstruction": loss, "error": error} for v, (kl, loss, error) in points.items()]
    assert interpolation(("a", "b", "c"), rows).splitlines()[-1] == "| b | -2.00 | +1.00 |"  # 80 nats and 4 % on the line
    assert interpolation(("a", "b"), rows) == ""


def test_a_joint_model_s_distance_in_its_two_parts():
    within = Difference("vae_reconstruction", "dvae", (-2.0,) * 3, (0, 1, 2), BELOW, BELOW)
    denoised = Difference("denoised", "dvae", (-2.0,) * 3, (0, 1, 2), BELOW, BELOW)
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in outputs_table([denoised, within], ["dvae"], True).splitlines()]
    assert [(cells[1].split(",")[0], cells[-1]) for cells in lines[-2:]] == [("VAE within", "below the chord"), ("DAE's output", "lower")]


def test_an_output_that_was_not_trained_is_not_compared():
    def terms(vae_weight):
        return set(compared_terms(Result({"params": {"vae_weight": vae_weight}}, {}, [], {"kl": 0, "vae_reconstruction": 0}, {}, [], None)))

    assert terms(1.0) == {"kl", "vae_reconstruction"} and terms(0.0) == {"kl"}


def test_a_column_that_a_run_lacks_stays_empty():
    trailing = {"epochs": 3, "best_epoch": 2, "last_fifth": 0.25, "last_fifth_neg_elbo": 0.5, "revision": "abc"}
    rows = [{"variant": "vae", "seed": 0, "kl": 20.0, "bound_7": -90.5} | trailing, {"variant": "dvae", "seed": 0, "kl": 30.0} | trailing]
    assert runs_csv(rows).splitlines() == [
        "variant,seed,kl,log_p_bound_7,epochs,best_epoch,last_fifth,last_fifth_neg_elbo,revision",
        "vae,0,20,-90.5,3,2,0.25,0.5,abc",
        "dvae,0,30,,3,2,0.25,0.5,abc",
    ]


def test_the_last_fifth_is_what_it_lowers_the_best_value_by():
    assert last_fifth([9.0, 5.0, 3.0, 4.0, 3.5]) == 0.0  # the best came before
    assert last_fifth([9.0, 5.0, 3.0, 4.0, 2.5]) == 0.5
    assert last_fifth([9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.5]) == 1.5  # two of ten
    assert last_fifth([9.0, 8.0, 7.0, 6.0, 5.0, 4.5]) == 1.5  # two of six
    assert last_fifth([9.0]) == math.inf  # nothing came before


def test_training_that_was_too_short_is_in_bold():
    rows = [
        {"variant": "vae", "last_fifth": 0.05, "last_fifth_neg_elbo": 0.05},
        {"variant": "vae", "last_fifth": 0.02, "last_fifth_neg_elbo": 0.0994},
        {"variant": "dvae", "last_fifth": 0.1, "last_fifth_neg_elbo": 0.0},
    ]
    table = [line for line in curves_section(rows, {}, tolerance=0.1).splitlines() if line.startswith("|")]
    assert table[2:] == ["| vae | 2 | 0.050 | 0.099 |", "| dvae | 1 | **0.100** | 0.000 |"]
    assert "(see Over training): dvae. Longer" in shortness(rows, 0.1) and ": every variant. Longer" in shortness(rows, 0.05)
    assert shortness(rows, 0.2) == ""


def test_claims_are_of_the_dvae_and_of_what_differs_in_the_prior_alone():
    def terms(loss, kl):
        return {"reconstruction": np.full(4, loss), "kl": np.full(4, kl)}

    variants = {
        "vae": {"model": "vae"},
        "dvae": {"model": "dvae"},
        "vae_mixture": {"model": "vae", "prior": "mixture"},
        "half_mixture": {"model": "vae", "prior": "mixture", "kl_weight": 0.5},  # nothing is like it
    }
    of_variants = {"vae": (70.0, 20.0), "dvae": (68.0, 26.0), "vae_mixture": (69.5, 19.0), "half_mixture": (60.0, 30.0)}
    per_image = {(variant, seed): terms(*values) for variant, values in of_variants.items() for seed in range(2)}
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in claims_table(per_image, variants).splitlines()[-4:]]
    assert [(cells[0], cells[1], cells[3]) for cells in lines] == [
        ("dvae minus vae", "loss", "-2.00 nats"),
        ("dvae minus vae", "KL divergence", "+6.00 nats"),
        ("vae_mixture minus vae", "loss", "-0.50 nats"),
        ("vae_mixture minus vae", "KL divergence", "-1.00 nats"),
    ]
    assert claims_table({("vae", 0): terms(70.0, 20.0)}, variants) == ""
