import dataclasses
import inspect
import math
import os
import pathlib
import re
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest
from conftest import ROOT

import tfdvae
import train
from params import PRESETS, Params
from tfdvae import rules
from tfdvae.errors import InputError
from train import parse


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_valid(name):
    rules.check(dataclasses.asdict(PRESETS[name]))


@pytest.mark.parametrize("name", ["digits", "mnist", "cifar10", "digits_classifier", "mnist_classifier", "cifar10_classifier"])
def test_a_datasets_presets_are_valid_for_every_model(name):
    for model in get_args(rules.Model):
        rules.override(PRESETS[name], model=model, shift=0.0, blur=0.0)


@pytest.mark.parametrize(
    "name, value, expected",
    [
        ("model", "gan", "ae, dae, vae, dvae, im_dvae, classifier"),
        ("network", "spiral", ", ".join(get_args(rules.Network))),
        ("likelihood", "laplace", "bernoulli, gaussian, gaussian_fixed"),
        ("binarize", "half", "none, threshold, sample"),
        ("learning_rate_schedule", "exponential", "constant, linear, cosine, cosine_hold, staircase, plateau"),
        ("precision", "float16", "auto, float32, bfloat16"),
        ("pixel_range", "byte", "unit, signed, real"),
        ("shift", 0.1, "0 for model dvae"),
        ("shift", 1.0, "below 1"),
        ("beta_2", 1.0, "a share of at least 0 and below 1"),
        ("weight_decay", -0.1, "from 0 to 1e9"),
        ("blur", 2.0, "0 for model dvae"),
        ("blur", -1.0, "0, or a number of pixels from 0.01"),
        ("blur", 1e-300, "0, or a number of pixels from 0.01"),
        ("dataset", "", "mnist_5k, digits, folder:PATH"),
        ("dataset", "folder:", "mnist_5k, digits, folder:PATH"),
        ("epochs", 0, "from 1 to"),
        ("epochs", 2.5, "a whole number"),
        ("epochs", True, "a whole number"),
        ("batch_size", -1, "from 1 to"),
        ("latent_dim", 0, "from 1 to"),
        ("kl_weight", -0.1, "from 0 to 1e9"),
        ("kl_weight", 10**40, "from 0 to 1e9"),
        ("kl_weight", math.nan, "from 0 to 1e9"),
        ("denoise_weight", -1.0, "from 0 to 1e9"),
        ("label_weight", math.inf, "from 0 to 1e9"),
        ("learning_rate", 0.0, "from 1e-9 to 1e9"),
        ("learning_rate", 1e-300, "from 1e-9 to 1e9"),
        ("learning_rate", "fast", "a number"),
        ("sigma", 0.0, "from 1e-9 to 1e9"),
        ("memory_limit", -1.0, "from 1e-9 to 1e9"),
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
        ("dataset", "variance_", "variance_ before any of these but a path"),
        ("dataset", "variance_folder:x", "variance_ before any of these but a path"),
        ("pixel_range", "real", "unit or signed for dataset mnist_5k"),
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
        ("corruption", "gaussian:1e30", "gaussian:SIGMA"),
    ],
)
def test_a_wrong_value_is_refused_by_name(name, value, expected):
    with pytest.raises(InputError) as refused:
        rules.check(dataclasses.asdict(Params()) | {name: value})
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
    with pytest.raises(InputError, match=f"^{name}: "):
        rules.check(dataclasses.asdict(Params()) | values)


def test_parse_returns_what_was_given():
    name, given = parse(["mnist", "--model", "vae", "--seed=3", "--no-share-encoder", "--channels", "8", "16", "--resume"])
    assert name == "mnist"
    assert given == {"model": "vae", "seed": 3, "share_encoder": False, "channels": (8, 16), "resume": True}
    assert parse(["--learning_rate", "0.1"]) == (None, {"learning_rate": 0.1})
    assert parse(["--epochs", "3", "--flip", "--model", "ae", "--epochs", "5", "--no-flip", "--model", "vae"]) == (
        None,
        {"epochs": 5, "flip": False, "model": "vae"},
    )


@pytest.mark.parametrize("value", [dataclasses.replace(Params(), seed=7), *PRESETS.values()])
def test_every_field_can_be_given_on_the_command_line(value):
    words = [word for name, setting in dataclasses.asdict(value).items() for word in words_of(name, setting)]
    assert rules.override(Params(), **parse(words)[1]) == value


@pytest.mark.parametrize(
    "words, expected",
    [
        (["imagenet"], "mnist_5k, digits, mnist, cifar10, mnist_5k_classifier, digits_classifier, mnist_classifier"),
        (["--modle", "vae"], "did you mean --model"),
        (["--no-propgate"], "did you mean --no-propagate"),
        (["--model", "vae", "mnist"], "mnist: not understood after --model; expected train.py \\[PRESET\\], then options"),
        (["mnits"], "preset: received 'mnits'; did you mean mnist?"),
        (["mnist", "digits"], "preset: received mnist digits; expected one preset"),
        (["--epochs", "ten"], "epochs: received 'ten'; expected a whole number from 1"),
        (["--epochs"], "epochs: received nothing; expected a whole number"),
        (["--epochs=ten"], "epochs: received 'ten'; expected a whole number"),
        (["--channels", "32,64"], "channels: received '32,64'; expected at most 64 whole numbers .* with spaces between them"),
        (["--channels", "1", "y"], "channels: received '1 y'; expected at most 64 whole numbers"),
        (["--model", "gan"], "model: received 'gan'; expected one of ae, dae, vae, dvae, im_dvae, classifier"),
        (["--flip", "yes"], "yes: not understood after --flip"),
        (["--flip=yes"], "yes: not understood after --flip"),
        (["--channels", "4", "--model", "vae", "--channels", "8"], "channels: received 2 times; expected once; give all its values there"),
        (["x" * 10_000], r"preset: received 'x{199}…; expected one of"),
        (["--no-resume"], "--no-resume: no such option; did you mean --resume"),
        (["-x"], "-x: no such option"),
    ],
)
def test_unknown_words_are_refused(words, expected):
    with pytest.raises(InputError, match=expected):
        parse(words)


SMALL = {"image_shape": (8, 8, 1), "model": "vae"}


@pytest.mark.parametrize(
    "values",
    [
        {"activation": "gelu"},
        {"network": "spiral"},
        {"sigma": 0.0},
        {"kl_weight": -1.0},
        {"corruption": "gaussian:-1"},
        {"kl_schedule": "wait:90"},
        {"gate": True, "likelihood": "gaussian_fixed"},
        {"prior": "vampprior", "prior_components": 1},
        {"hidden_units": (8,) * 65},
        {"channels": (8,) * 65},
        {"network": "mlp", "channels": (8,)},
        {"likelihood": "bernoulli", "pixel_range": "signed"},
    ],
    ids=lambda values: "-".join(values),
)
def test_models_records_and_the_command_line_refuse_with_the_same_sentence(values, tmp_path, capsys, monkeypatch):
    from tfdvae.build import build_model
    from tfdvae.runs import files, record

    with pytest.raises(InputError) as of_model:
        build_model(**SMALL | values)
    sentence = str(of_model.value)
    with pytest.raises(InputError) as of_parameters:
        rules.override(Params(), model="vae", **values)
    assert str(of_parameters.value) == sentence and sentence.startswith(tuple(values)) and "; expected " in sentence

    params_dict = dataclasses.asdict(Params()) | {"model": "vae"} | values
    data = {"image_shape": [8, 8, 1], "class_names": [], "test_fingerprint": "0"}
    written = {"preset": None, "params": params_dict, "precision": "float32", "data": data, "versions": {"tfdvae": "0.4.0"}}
    with pytest.raises(InputError) as of_record:
        record.read_record(files.sealed(written).encode(), "run.json")
    assert str(of_record.value) == f"run.json: {sentence}"

    monkeypatch.chdir(tmp_path)
    words = [word for name, value in values.items() for word in words_of(name, value)]
    assert train.command_line(["--model", "vae", *words]) == 2
    assert capsys.readouterr().err.strip() == f"train.py: {sentence}"
    assert not list(tmp_path.iterdir())


def words_of(name, value):
    """Return the words of an option."""
    flag = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return [flag if value else flag.replace("--", "--no-")]
    return [flag, *map(str, value if isinstance(value, tuple) else (value,))]


@pytest.mark.parametrize(
    "values, sentence",
    [
        ({"validation_fraction": -0.5}, "validation_fraction: received -0.5; expected a share between 0 and 1."),
        ({"memory_limit": 0.0}, "memory_limit: received 0.0; expected a number from 1e-9 to 1e9."),
        ({"image_size": -8}, "image_size: received -8; expected a number of pixels up to 16384, or 0 for the dataset's own."),
        (
            {"name": pathlib.PurePosixPath("photos")},
            "dataset: received PurePosixPath('photos'); expected mnist_5k, digits, folder:PATH, arrays:FILE.npz, a TensorFlow",
        ),
        ({"name": "folder:"}, "dataset: received 'folder:'; expected mnist_5k, digits, folder:PATH, arrays:FILE.npz, a TensorFlow"),
        ({"pixel_range": "real"}, "pixel_range: received 'real'; expected unit or signed for dataset mnist_5k"),
    ],
    ids=str,
)
def test_datasets_are_refused_as_on_the_command_line(values, sentence):
    from tfdvae.data import load_dataset

    with pytest.raises(InputError) as refused:
        load_dataset(**{"name": "mnist_5k"} | values)
    assert str(refused.value).startswith(sentence)
    if values.keys() != {"name"} or isinstance(values["name"], str):
        with pytest.raises(InputError, match=re.escape(str(refused.value))):
            rules.override(Params(), **{name if name != "name" else "dataset": value for name, value in values.items()})


def test_a_model_without_classes_is_refused_where_it_needs_them():
    from tfdvae.build import build_model

    with pytest.raises(
        InputError, match="model: received 'classifier'; expected another model for images without classes; give num_classes"
    ):
        build_model(image_shape=(8, 8, 1), model="classifier")
    with pytest.raises(InputError, match=r"label_weight: received 0.5; expected 0 for images without classes; give num_classes"):
        build_model(image_shape=(8, 8, 1), model="vae", label_weight=0.5)


@pytest.mark.parametrize(
    "name, value", [("image_shape", (8, 8)), ("image_shape", (8, 8, 0)), ("image_shape", 8), ("num_classes", -1), ("num_classes", 2.5)]
)
def test_shapes_and_numbers_of_classes_are_checked(name, value):
    from tfdvae.build import build_model

    with pytest.raises(InputError, match=rf"^{name}: received .*; expected (height, width and channels|a tuple|a whole number)"):
        build_model(**SMALL | {name: value})
    assert build_model(**SMALL | {"latent_dim": np.int64(3), "image_shape": np.array([8, 8, 1]).tolist()}).latent_dim == 3


def test_a_folder_that_is_gone_is_told_in_a_sentence(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    command = f"cd {gone}; rmdir {gone}; {sys.executable} {ROOT / 'evaluate.py'} x"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr == "evaluate.py: a file or folder cannot be written or read (No such file or directory)\n"


def test_keras_runs_on_tensorflow_whatever_is_chosen_elsewhere():
    code = "import tfdvae, keras; assert keras.backend.backend() == 'tensorflow'"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ | {"KERAS_BACKEND": "torch"}, check=True, capture_output=True)


def test_a_terminal_of_another_encoding_and_words_that_steer_it_do_no_harm():
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    words = [sys.executable, "train.py", "digits", "--dataset", "folder:\x1b[31m−\nb"]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "\x1b" not in done.stderr
    assert "\\x1b[31m\\u2212\\nb" in done.stderr


def test_a_script_without_standard_output_works_all_the_same():
    done = subprocess.run(f"{sys.executable} train.py --epochs x >&-", shell=True, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("train.py: epochs: received 'x'") and done.stderr.count("\n") == 1


def test_every_choice_has_its_part():
    from tfdvae.build import MODELS
    from tfdvae.networks import NETWORKS

    assert tuple(MODELS) == get_args(rules.Model) and tuple(NETWORKS) == get_args(rules.Network)
    assert [field.name for field in dataclasses.fields(Params)] == list(rules.RULES)


@pytest.mark.parametrize("columns", [1, 30, 80, 200])
def test_help_shows_headings_and_choices_and_complaints_name_the_whole_word(columns):
    environment = os.environ | {"COLUMNS": str(columns)}

    def run(*words):
        return subprocess.run([sys.executable, "train.py", *words], cwd=ROOT, env=environment, capture_output=True, text=True)

    text = run("--help").stdout
    for word in ("data options", "model options", "training options", "run-folder options", "--overwrite"):
        assert columns < 30 or word in text
    assert columns < 80 or "{ae,dae,vae,dvae,im_dvae,classifier}" in text
    assert not re.search(r"\bR[0-4]\b", text)
    for words, received in ((["--channels", "32,64"], "'32,64'"), (["--channels", "1", "y"], "'1 y'"), (["--epochs", "x"], "'x'")):
        done = run(*words)
        assert done.returncode == 2
        assert done.stderr.startswith(f"train.py: {words[0][2:]}: received {received}; expected ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("script", ["train.py", "evaluate.py", "compare.py"])
def test_scripts_say_their_version(script):
    done = subprocess.run([sys.executable, script, "--version"], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == f"tfdvae {tfdvae.__version__}\n" and done.returncode == 0


def test_override_lists_the_parameters_there_are():
    with pytest.raises(InputError, match=r"^parameter: received 'colour'; expected one of dataset, "):
        rules.override(Params(), colour=3)


@pytest.mark.parametrize(
    "script, words",
    [("train", ["--epochs", "0"]), ("evaluate", ["nowhere"]), ("compare", ["mnits"]), ("train", ["--resume", "--run-dir", "nowhere"])],
)
def test_help_and_refusals_come_without_tensorflow(script, words):
    """TensorFlow takes seconds to import; no answer that needs none of it may wait for them."""
    code = (
        f"import sys, {script}\n"
        f"try: {script}.command_line(['--help'])\n"
        "except SystemExit: pass\n"
        f"assert {script}.command_line({words!r}) == 2\n"
        "assert not {'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)


def test_the_defaults_of_the_python_api_are_those_of_the_parameters():
    from tfdvae.build import build_model
    from tfdvae.data import load_dataset

    for function in (build_model, load_dataset):
        for name, parameter in inspect.signature(function).parameters.items():
            if name not in ("name", "arrays", "image_shape", "num_classes", "precision"):  # a model is built in one precision
                assert parameter.default == getattr(Params(), name), name


@pytest.mark.parametrize("value, plain", [(np.int64(4), 4), (np.float64(0.5), 0.5), ([np.int32(4)], (4,))])
def test_numbers_of_numpy_become_python_s_own(value, plain):
    assert rules.plain(value) == plain and type(rules.plain(value)) is type(plain)


def test_an_edited_default_gets_a_sentence(tmp_path):
    edited = (ROOT / "params.py").read_text().replace("epochs: int = 26", 'epochs: int = "sixty"')
    (tmp_path / "params.py").write_text(edited)
    (tmp_path / "train.py").write_text((ROOT / "train.py").read_text())
    done = subprocess.run(
        [sys.executable, "train.py"], cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": ""}, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.strip().endswith("epochs: received 'sixty'; expected a whole number.")


def test_another_network_takes_its_own_sizes():
    """The sizes of the network before would be refused, or would not fit it."""
    changed = rules.override(PRESETS["mnist_5k"], network="mlp")
    assert (changed.channels, changed.hidden_units, changed.decoder_units) == ((), (), ())
    assert rules.override(PRESETS["mnist_5k"], network="mlp", hidden_units=(30,)).hidden_units == (30,)
    assert rules.override(PRESETS["mnist_5k"], network="conv", latent_dim=3).channels == (16, 32)


def test_a_model_without_a_kl_drops_what_belongs_to_one():
    """A preset's warm-up would be refused; one that is given is."""
    preset = dataclasses.replace(PRESETS["cifar10"], prior="mixture")
    changed = rules.override(preset, model="ae")
    assert (preset.kl_schedule, changed.kl_schedule, changed.prior) == ("linear:2800", "constant", "normal")
    assert rules.override(preset, model="dvae").kl_schedule == "linear:2800"
    with pytest.raises(InputError, match="kl_schedule: received 'linear:3'; expected constant for model ae"):
        rules.override(preset, model="ae", kl_schedule="linear:3")
