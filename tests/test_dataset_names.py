"""Names of datasets: known ones pass, misspelt ones are refused with the nearest name, without TensorFlow."""

import subprocess
import sys

import pytest
from conftest import ROOT

from tfdvae.dataset_names import check_dataset
from tfdvae.errors import InputError

NONE_IS_NEAR = ["no_such_set", "mnist_of_my_own_photos", "huggingface:x", "../../x", "~nosuchuser/x", "digits/../x", "a//b", "a\0b"]


def without_tensorflow(code):
    """Run code in a process of its own, where TensorFlow must not be imported."""
    code += "\nimport sys\nassert 'tensorflow' not in sys.modules, 'TensorFlow was imported'"
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)


def refusal_of(name):
    with pytest.raises(InputError) as refused:
        check_dataset(name)
    return str(refused.value)


def test_no_name_of_tensorflow_datasets_is_refused():
    import tensorflow_datasets as tfds

    names = tfds.list_builders(with_community_datasets=False)
    assert len(names) > 400
    for name in names:
        for form in (name, f"variance_{name}", f"{name}/config-1.a", f"{name}:1.2.3", f"{name}/config:1.2.3"):
            check_dataset(form)


def test_a_misspelt_name_is_refused_before_tensorflow_is_imported():
    done = without_tensorflow("import train\nassert train.command_line(['--dataset', 'fashion_mnis', '--run-dir', '/proc/new']) == 2")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("train.py: dataset: received 'fashion_mnis'; did you mean fashion_mnist? Expected mnist_5k, digits, ")
    assert len(done.stderr.splitlines()) == 1


def test_own_data_needs_no_list_of_names():
    done = without_tensorflow(
        "import sys\nfrom tfdvae.dataset_names import check_dataset\n"
        "for name in ('digits', 'mnist_5k', 'variance_digits', 'folder:nowhere', 'arrays:nowhere.npz'): check_dataset(name)\n"
        "assert 'tensorflow_datasets' not in sys.modules"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "name, meant",
    [
        ("MNIST", "mnist"),
        ("mnits", "mnist"),
        ("fashion-mnist", "fashion_mnist"),
        ("Fashion_MNIST", "fashion_mnist"),
        ("cifar-10", "cifar10"),
        ("CIFAR10", "cifar10"),
        ("svhn", "svhn_cropped"),
        ("Digits", "digits"),
        ("variance_mnits", "variance_mnist"),
        ("variance_Digits", "variance_digits"),
        ("varience_mnist", "variance_mnist"),
        ("Emnist/letters", "emnist/letters"),
        ("MNIST:3.0.1", "mnist:3.0.1"),
        ("mnist:3", "mnist"),
    ],
)
def test_a_misspelt_name_leads_to_the_nearest(name, meant):
    assert refusal_of(name).startswith(f"dataset: received '{name}'; did you mean {meant}? Expected mnist_5k, digits, folder:PATH, ")


@pytest.mark.parametrize("name", NONE_IS_NEAR)
def test_where_no_name_is_near_examples_are_given(name):
    sentence = refusal_of(name)
    assert sentence.startswith(f"dataset: received {name!r}; expected mnist_5k, digits, folder:PATH, ")
    assert "such as mnist, cifar10, emnist/letters or mnist:3.0.1." in sentence


def test_a_folder_and_a_file_of_arrays_lead_to_their_forms(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for folder in ("photos", "MNIST"):
        (tmp_path / folder).mkdir()
    (tmp_path / "photos.npz").touch()
    for path in ("photos", "photos/", "./photos", "~/photos", str(tmp_path / "photos")):
        assert refusal_of(path).startswith(f"dataset: received '{path}'; did you mean folder:{path}? Expected")
    for path in ("photos.npz", "./photos.npz", "~/photos.npz"):
        assert refusal_of(path).startswith(f"dataset: received '{path}'; did you mean arrays:{path}? Expected")
    assert "did you mean folder:MNIST or mnist? Expected" in refusal_of("MNIST")


def test_prepared_datasets_of_the_user_are_known(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "nowhere"))
    assert "expected mnist_5k, digits" in refusal_of("zebrafish_larvae")
    (tmp_path / "zebrafish_larvae").mkdir()
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    for name in ("zebrafish_larvae", "variance_zebrafish_larvae", "zebrafish_larvae/side:1.0.0"):
        check_dataset(name)
    assert "did you mean zebrafish_larvae?" in refusal_of("zebrafish_larva")


def test_names_that_the_users_code_registers_are_known(monkeypatch):
    import tensorflow_datasets as tfds

    monkeypatch.setattr(tfds.core.registered, "_DATASET_REGISTRY", dict(tfds.core.registered._DATASET_REGISTRY))
    assert "expected mnist_5k, digits" in refusal_of("zebrafish_larvae")

    class ZebrafishLarvae(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            pass

        def _split_generators(self, dl_manager):
            pass

        def _generate_examples(self):
            pass

    check_dataset("zebrafish_larvae")
