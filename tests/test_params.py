import dataclasses
import math
import subprocess
import sys

import pytest
from conftest import ROOT

import params
from params import PRESETS, ParameterError, Params, check, override, parse


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_valid(name):
    check(PRESETS[name])


@pytest.mark.parametrize("name", ["digits", "mnist", "cifar10", "digits_classifier", "mnist_classifier", "cifar10_classifier"])
def test_a_datasets_presets_are_valid_for_every_model(name):
    for model in params.MODELS:
        check(dataclasses.replace(PRESETS[name], model=model, shift=0.0, blur=0.0))


@pytest.mark.parametrize(
    "name, value, expected",
    [
        ("model", "gan", "ae, dae, vae, dvae, im_dvae, classifier"),
        ("network", "resnet", "conv, r0, r1, mlp, linear"),
        ("likelihood", "laplace", "bernoulli, gaussian, gaussian_fixed"),
        ("binarize", "half", "none, threshold, sample"),
        ("learning_rate_schedule", "linear", "constant, cosine, cosine_hold, staircase, plateau"),
        ("precision", "float16", "auto, float32, bfloat16"),
        ("pixel_range", "byte", "unit, signed, real"),
        ("shift", 0.1, "0 for a dvae"),
        ("shift", 1.0, "below 1"),
        ("blur", 2.0, "0 for a dvae"),
        ("blur", -1.0, "from 0"),
        ("dataset", "", "digits, folder:PATH"),
        ("dataset", "folder:", "digits, folder:PATH"),
        ("epochs", 0, "from 1 to"),
        ("epochs", 2.5, "a whole number"),
        ("epochs", True, "a whole number"),
        ("batch_size", -1, "from 1 to"),
        ("latent_dim", 0, "from 1 to"),
        ("kl_weight", -0.1, "at least 0"),
        ("kl_weight", math.nan, "at least 0"),
        ("denoise_weight", -1.0, "at least 0"),
        ("label_weight", math.inf, "at least 0"),
        ("learning_rate", 0.0, "above 0"),
        ("learning_rate", "fast", "a number"),
        ("sigma", 0.0, "above 0"),
        ("memory_limit", -1.0, "above 0"),
        ("validation_fraction", 0.0, "between 0 and 1"),
        ("validation_fraction", 1.0, "between 0 and 1"),
        ("image_size", -8, "pixels"),
        ("image_size", 10**20, "pixels"),
        ("epochs", 10**40, "from 1 to"),
        ("latent_dim", 10**20, "from 1 to"),
        ("seed", -1, "from 0"),
        ("channels", (32, 0), "from 1 to"),
        ("channels", 32, "tuple"),
        ("share_encoder", "no", "True or False"),
        ("corruption", "gaussian", "gaussian:SIGMA"),
        ("prior", "cauchy", "normal, mixture, vampprior"),
        ("prior_components", 0, "from 1 to"),
        ("activation", "tanh", "relu, leaky_relu"),
        ("decoder_units", (0,), "from 1 to"),
        ("gate", True, "False: a gate multiplies a corrupted input; choose model dae"),
        ("dataset", "variance_", "variance_ before digits"),
        ("dataset", "variance_folder:x", "variance_ before digits"),
        ("pixel_range", "real", "unit or signed for dataset digits"),
        ("kl_schedule", "sudden", "linear:STEPS"),
        ("kl_schedule", "constant:1", "linear:STEPS"),
        ("kl_schedule", "linear", "linear:STEPS"),
        ("kl_schedule", "linear:0", "of at least 1"),
        ("kl_schedule", "linear:-5", "of at least 1"),
        ("kl_schedule", "wait:90", "wait:NATS:STEP"),
        ("kl_schedule", "wait:90:-0.1", "STEP above 0"),
        ("kl_schedule", "wait:nan:0.1", "wait:NATS:STEP"),
        ("corruption", "blur:0.3", "gaussian:SIGMA"),
        ("corruption", "masking:1.5", "gaussian:SIGMA"),
        ("corruption", "gaussian:nan", "gaussian:SIGMA"),
    ],
)
def test_a_wrong_value_is_refused_by_name(name, value, expected):
    with pytest.raises(ParameterError) as refused:
        check(dataclasses.replace(Params(), **{name: value}))
    message = str(refused.value)
    assert message.startswith(f"{name}: received {value!r}; expected ") and expected in message and "\n" not in message


@pytest.mark.parametrize(
    "name, values",
    [
        ("likelihood", {"likelihood": "bernoulli", "pixel_range": "signed"}),
        ("binarize", {"binarize": "threshold", "likelihood": "gaussian"}),
        ("propagate", {"model": "dvae", "propagate": False, "share_encoder": True}),
        ("label_weight", {"model": "dae", "label_weight": 1.0}),
        ("channels", {"network": "mlp", "channels": (8,)}),
        ("channels", {"network": "linear", "channels": (8,)}),
        ("hidden_units", {"network": "linear", "hidden_units": (8,)}),
        ("decoder_units", {"network": "linear", "decoder_units": (8,)}),
        ("pixel_range", {"dataset": "variance_digits"}),
        ("likelihood", {"dataset": "variance_digits", "pixel_range": "real"}),
        ("gate", {"model": "vae", "gate": True, "likelihood": "gaussian_fixed"}),
        ("likelihood", {"model": "dae", "gate": True}),
        ("prior", {"model": "ae", "prior": "mixture"}),
        ("kl_schedule", {"model": "dae", "kl_schedule": "linear:9"}),
        ("prior_components", {"prior": "vampprior", "prior_components": 1}),
        ("learning_rate_schedule", {"learning_rate_schedule": "plateau", "kl_schedule": "linear:9"}),
        ("label_weight", {"model": "ae", "label_weight": 1.0}),
    ],
)
def test_impossible_combinations_are_refused(name, values):
    with pytest.raises(ParameterError, match=f"^{name}: "):
        check(dataclasses.replace(Params(), **values))


def test_parse_returns_what_was_given():
    name, given, resume, overwrite = parse(
        ["mnist", "--model", "vae", "--seed=3", "--no-share-encoder", "--channels", "8", "16", "--resume"]
    )
    assert name == "mnist" and resume and not overwrite
    assert given == {"model": "vae", "seed": 3, "share_encoder": False, "channels": (8, 16)}
    assert parse(["--learning_rate", "0.1"])[:2] == (None, {"learning_rate": 0.1})


@pytest.mark.parametrize("value", [dataclasses.replace(Params(), seed=7), *PRESETS.values()])
def test_every_field_can_be_given_on_the_command_line(value):
    words = []
    for field in dataclasses.fields(value):
        setting = getattr(value, field.name)
        flag = "--" + field.name.replace("_", "-")
        if isinstance(setting, bool):
            words.append(flag if setting else flag.replace("--", "--no-"))
        else:
            words += [flag, *map(str, setting if isinstance(setting, tuple) else (setting,))]
    assert override(Params(), **parse(words)[1]) == value


@pytest.mark.parametrize(
    "words, expected",
    [
        (["imagenet"], "digits, mnist, cifar10, digits_classifier, mnist_classifier"),
        (["--modle", "vae"], "did you mean --model"),
        (["--model", "vae", "mnist"], "PRESET first"),
        (["--epochs", "ten"], "--epochs: .*'ten'"),
        (["--epochs"], "Missing value .*--epochs"),
    ],
)
def test_unknown_words_are_refused(words, expected):
    with pytest.raises(ParameterError, match=expected):
        parse(words)


def test_override_lists_the_parameters_there_are():
    with pytest.raises(ParameterError, match=r"^colour: no such parameter; expected one of dataset, "):
        override(Params(), colour=3)


def test_help_and_refusals_come_without_tensorflow():
    """What takes TensorFlow's seconds to import must not stand before an answer that needs none of it."""
    code = (
        "import sys, train\n"
        "try: train.command_line(['--help'])\n"
        "except SystemExit: pass\n"
        "assert train.command_line(['--epochs', '0']) == 2\n"
        "assert not {'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
    code = "import sys, tfdvae, evaluate; assert not {'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)


def test_an_edited_default_gets_a_sentence(tmp_path):
    edited = (ROOT / "params.py").read_text().replace("epochs: int = 60", 'epochs: int = "sixty"')
    (tmp_path / "params.py").write_text(edited)
    (tmp_path / "train.py").write_text((ROOT / "train.py").read_text())
    done = subprocess.run(
        [sys.executable, "train.py"], cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": ""}, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.strip().endswith("epochs: received 'sixty'; expected a whole number.")
