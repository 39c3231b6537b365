"""Every parameter and every saved file, with values nobody thought of."""

import dataclasses
import json
from typing import get_args

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import train
from params import Params
from tfdvae import rules
from tfdvae.errors import InputError
from tfdvae.runs import files, record
from tfdvae.version import FORMAT

text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
positive = st.floats(1e-9, 1e9)
widths = st.lists(st.integers(1, 2**20), max_size=4).map(tuple)
valid = st.fixed_dictionaries(
    {
        "dataset": st.one_of(st.sampled_from(["digits", "mnist"]), text.filter(str.strip).map("folder:x{}".format)),
        "image_size": st.integers(0, 2**14),
        "resize": st.sampled_from(get_args(rules.Resize)),
        "background": st.sampled_from(["white", "Black", "#ff8000", "#f80", "hsl(120, 100%, 50%)", "none"]),
        "validation_fraction": st.floats(0.001, 0.999),
        "memory_limit": positive,
        "model": st.sampled_from(["vae", "dvae"]),
        "network": st.sampled_from(["conv", "s2d", "r0"]),
        "channels": widths,
        "hidden_units": widths,
        "decoder_units": widths,
        "activation": st.sampled_from(get_args(rules.Activation)),
        "batch_norm": st.booleans(),
        "latent_dim": st.integers(1, 2**20),
        "prior": st.sampled_from(get_args(rules.Prior)),
        "prior_components": st.integers(2, 2**16),
        "kl_schedule": st.one_of(
            st.just("constant"),
            st.integers(1, 2**31 - 1).map("linear:{}".format),
            st.builds("wait:{}:{}".format, st.floats(-1e6, 1e6), positive),
        ),
        "likelihood": st.sampled_from(get_args(rules.Likelihood)),
        "sigma": positive,
        "kl_weight": st.floats(0, 1e9),
        "denoise_weight": st.floats(0, 1e9),
        "vae_weight": st.floats(0, 1e9),
        "label_weight": st.floats(0, 1e9),
        "corruption": st.sampled_from(["gaussian:0.3", "masking:0.5", "salt_and_pepper:1"]),
        "flip": st.booleans(),
        "epochs": st.integers(1, 2**31 - 1),
        "batch_size": st.integers(2, 2**31 - 1),
        "learning_rate": positive,
        "learning_rate_schedule": st.sampled_from(["constant", "linear", "cosine", "cosine_hold", "staircase"]),
        "beta_2": st.floats(0, 1, exclude_max=True),
        "weight_decay": st.floats(0, 1e9),
        "precision": st.sampled_from(get_args(rules.Precision)),
        "seed": st.integers(0, 2**31 - 1),
        "run_dir": st.one_of(st.just(""), text),
    }
)


def restored(params_dict):
    """Return the parameters of a record with these, read back from its bytes."""
    size = params_dict["image_size"]
    shape = [size if type(size) is int and 0 < size <= rules.SIDE_LIMIT else 8] * 2 + [1]
    data = {"image_shape": shape, "class_names": [], "test_fingerprint": "0"}
    written = {
        "format": FORMAT,
        "preset": None,
        "params": params_dict,
        "precision": "float32",
        "data": data,
        "versions": {"tfdvae": "0.6.0"},
    }
    return record.read_record(files.sealed(written).encode(), "run.json")["params"]


@settings(max_examples=100, deadline=None)
@given(valid)
def test_parameters_survive_json(values):
    params = rules.override(Params(), **values)
    assert restored(dataclasses.asdict(params)) == record.as_json(dataclasses.asdict(params))


@settings(max_examples=60, deadline=None)
@given(valid)
def test_parameters_survive_the_command_line(values):
    assume(not any(isinstance(value, str) and value.startswith("-") for value in values.values()))
    words = []
    for name, value in values.items():
        option = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            words.append(option if value else f"--no-{name}")
        elif isinstance(value, tuple):
            words += [option, *map(str, value)] if value else []
        else:
            words += [option, str(value)]
    _, given_values = train.parse(words)
    expected = {name: value for name, value in values.items() if value != ()}
    assert given_values == expected
    assert rules.override(Params(), **given_values) == rules.override(Params(), **values)


def other_than(known):
    return text.filter(lambda word: word not in known)


def outside(least, most):
    return st.one_of(st.integers(max_value=least - 1), st.integers(min_value=most + 1))


INVALID = {
    "dataset": st.sampled_from(["", " ", "folder:", "arrays:", "variance_folder:x", "variance_arrays:x.npz"]),
    "image_size": outside(0, 2**14),
    "resize": other_than(get_args(rules.Resize)),
    "background": st.sampled_from(["", "whit", "#ff80", "#ff800080", "rgb(1)", "rgb(300, 0, 0)", "0"]),
    "pixel_range": other_than(get_args(rules.PixelRange)),
    "binarize": other_than(get_args(rules.Binarization)),
    "validation_fraction": st.floats().filter(lambda x: not 0 < x < 1),
    "memory_limit": st.floats().filter(lambda x: not 0 < x < float("inf")),
    "model": other_than(get_args(rules.Model)),
    "network": other_than(get_args(rules.Network)),
    "channels": st.lists(outside(1, 2**20), min_size=1),
    "hidden_units": st.lists(outside(1, 2**20), min_size=1),
    "decoder_units": st.lists(outside(1, 2**20), min_size=1),
    "activation": other_than(get_args(rules.Activation)),
    "batch_norm": st.sampled_from([0, 1, "True"]),
    "latent_dim": outside(1, 2**20),
    "prior": other_than(get_args(rules.Prior)),
    "prior_components": outside(1, 2**16),
    "kl_schedule": st.one_of(
        text.filter(lambda word: ":" not in word and word != "constant"),
        st.integers(max_value=0).map("linear:{}".format),
        st.floats(max_value=0.0).map("wait:90:{}".format),
    ),
    "gate": st.sampled_from([0, 1, "True"]),
    "likelihood": other_than(get_args(rules.Likelihood)),
    "sigma": st.floats().filter(lambda x: not 0 < x < float("inf")),
    "kl_weight": st.floats().filter(lambda x: not 0 <= x < float("inf")),
    "denoise_weight": st.floats().filter(lambda x: not 0 <= x < float("inf")),
    "vae_weight": st.floats().filter(lambda x: not 0 <= x < float("inf")),
    "share_encoder": st.sampled_from([0, 1, "True"]),
    "propagate": st.sampled_from([0, 1, "True"]),
    "label_weight": st.floats().filter(lambda x: not 0 <= x < float("inf")),
    "corruption": text.filter(lambda word: ":" not in word),
    "shift": st.floats().filter(lambda x: not 0 <= x < 1),
    "blur": st.floats().filter(lambda x: not 0 <= x <= 100),
    "flip": st.sampled_from([0, 1, "True"]),
    "epochs": outside(1, 2**31 - 1),
    "batch_size": outside(1, 2**31 - 1),
    "learning_rate": st.floats().filter(lambda x: not 0 < x < float("inf")),
    "learning_rate_schedule": other_than(get_args(rules.LearningRateSchedule)),
    "beta_2": st.floats().filter(lambda x: not 0 <= x < 1),
    "weight_decay": st.floats().filter(lambda x: not 0 <= x < float("inf")),
    "precision": other_than(get_args(rules.Precision)),
    "seed": outside(0, 2**31 - 1),
    "run_dir": st.integers(),
}
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), text), lambda inner: st.lists(inner) | st.dictionaries(text, inner)
)


def test_every_parameter_has_invalid_values():
    assert set(INVALID) == set(list(rules.RULES))


@pytest.mark.parametrize("name", INVALID)
def test_every_invalid_value_is_refused_by_name(name):
    @settings(max_examples=50, deadline=None)
    @given(INVALID[name])
    def check(value):
        with pytest.raises(InputError, match=rf"^{name}: received "):
            rules.override(Params(), **{name: value})

    check()


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(rules.RULES)), ANYTHING)
def test_a_value_of_any_kind_is_taken_or_refused(name, value):
    defaults = record.as_json(dataclasses.asdict(Params()))
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:  # which no record can hold
        assume(False)
    try:
        found = restored(defaults | {name: value})
    except InputError:
        return
    assert type(found[name]) in (type(defaults[name]), int)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(text, st.sampled_from([f"--{n.replace('_', '-')}" for n in list(rules.RULES)])), max_size=6))
def test_any_command_line_is_read_or_refused(words):
    assume(not {"-h", "--help"} & set(words))
    try:
        train.parse(words)
    except InputError as error:
        assert len(str(error).splitlines()) == 1
