"""Which files of a folder are images, of which class and of which split."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from tfdvae import data
from tfdvae.errors import InputError


def pictures(folder, n, start=0):
    """Write n grey 4x4 images into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(start, start + n):
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (4, 4), np.uint8)).save(folder / f"{i}.png")
    return folder


def load(folder, **arguments):
    return data.load_dataset(f"folder:{folder}", validation_fraction=0.2, **arguments)


def labels_of(dataset):
    return [np.concatenate([labels for _, labels in dataset.in_order(part, 50).as_numpy_iterator()]) for part in range(3)]


def test_hidden_names_are_no_images_and_no_classes(tmp_path):
    for folder in ("cat", "dog", ".ipynb_checkpoints", "cat/.thumbnails", "__MACOSX/cat"):
        pictures(tmp_path / folder, 10)
    (tmp_path / "cat" / "._0.png").write_bytes(b"\0\5\x16\7")
    (tmp_path / ".DS_Store").write_bytes(b"x")
    dataset = load(tmp_path)
    assert dataset.class_counts() == {"cat": 10, "dog": 10} and len(dataset.notes) == 1


def test_files_that_are_left_out_are_counted_by_kind(tmp_path):
    pictures(tmp_path / "cat", 10), pictures(tmp_path / "dog", 10), pictures(tmp_path.with_name("elsewhere"), 5)
    (tmp_path / "cat" / "more").symlink_to(tmp_path.with_name("elsewhere"))
    (tmp_path / "dog" / "broken.png").symlink_to("nowhere.png")
    (tmp_path / "dog" / "linked.png").symlink_to(tmp_path / "cat" / "0.png")
    for i in range(3):
        (tmp_path / "dog" / f"{i}.JP2").write_bytes(b"x")
    (tmp_path / "README").write_text("x")
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    dataset = load(tmp_path)
    assert dataset.class_counts() == {"cat": 10, "dog": 11}
    assert dataset.notes[-1].startswith("7 files and folders left out: 3 .jp2, ")
    assert all(f"1 {kind}" in dataset.notes[-1] for kind in ("linked folder", "broken link", "special file", "without a suffix"))


def test_a_folder_with_other_files_alone_says_so(tmp_path):
    (tmp_path / "a.jp2").write_bytes(b"x")
    with pytest.raises(InputError, match=r"has no images: .*, received 1 file left out: 1 \.jp2; add some"):
        load(tmp_path)


def test_class_folders_may_be_links_but_not_to_a_folder_around_them(tmp_path):
    pictures(tmp_path / "all" / "cats", 10), pictures(tmp_path / "set" / "dog", 10)
    (tmp_path / "set" / "cat").symlink_to(tmp_path / "all" / "cats")
    (tmp_path / "set" / "loop").symlink_to(tmp_path / "set")
    (tmp_path / "set" / "up").symlink_to(tmp_path)
    dataset = load(tmp_path / "set")
    assert dataset.class_counts() == {"cat": 10, "dog": 10}
    assert dataset.notes[-1] == "2 folders left out: 2 linked folder"


def test_an_unreadable_folder_is_refused(tmp_path, monkeypatch):
    pictures(tmp_path / "cat", 10), pictures(tmp_path / "dog", 10)
    listdir = os.listdir

    def forbidden(folder):
        if str(folder).endswith("dog"):
            raise PermissionError(13, "Permission denied")
        return listdir(folder)

    monkeypatch.setattr(os, "listdir", forbidden)
    with pytest.raises(InputError, match=r"the folder .*dog cannot be read \(Permission denied\)"):
        load(tmp_path)


def test_a_stream_keeps_as_many_images_as_fit(tmp_path):
    pictures(tmp_path / "cat", 30), pictures(tmp_path / "dog", 30)
    half = load(tmp_path, memory_limit=30 * 16 / 2**30)
    before, _ = ([batch[0] for batch in pipeline.as_numpy_iterator()] for pipeline in (half.test(50), half.validation(50)))
    orders = [np.concatenate([batch[0] for batch in half.train(7, seed=1).take(7).as_numpy_iterator()]) for _ in range(2)]
    np.testing.assert_array_equal(*orders)
    whole = load(tmp_path)
    assert whole.in_memory and not half.in_memory
    np.testing.assert_array_equal(before, [batch[0] for batch in whole.test(50).as_numpy_iterator()])
    for path in tmp_path.rglob("*.png"):
        path.write_bytes(b"other")
    read = half.parts[data.TRAIN].source.decode
    assert read(np.arange(30)).shape == (30, 4, 4, 1)  # which were kept
    with pytest.raises(Exception, match="cannot be read"):
        read(np.arange(30, 31))


@pytest.mark.parametrize("memory_limit", [2.0, 1e-9])
def test_broken_images_are_listed_together(tmp_path, memory_limit):
    pictures(tmp_path, 20)
    for i in (3, 8, 13):
        (tmp_path / f"{i}.png").write_bytes((tmp_path / f"{i}.png").read_bytes()[: 2 * i])
    with pytest.raises(InputError) as refused:
        load(tmp_path, memory_limit=memory_limit)
    assert "3 images of 20 cannot be read" in str(refused.value)
    assert all(f"{tmp_path / f'{i}.png'} (" in str(refused.value) for i in (3, 8, 13))


@pytest.mark.parametrize("memory_limit", [2.0, 1e-9])
@pytest.mark.parametrize("names", [("train", "val", "test"), ("Train", "validation", "Testing"), ("training", "valid", "test")])
def test_split_folders_are_the_splits(tmp_path, names, memory_limit):
    for folder, (n, first) in zip(names, ((12, 0), (4, 100), (6, 200))):
        pictures(tmp_path / folder / "cat", n, first), pictures(tmp_path / folder / "dog", 2 * n, 1000 + first)
    dataset = load(tmp_path, memory_limit=memory_limit)
    assert dataset.sizes == (36, 12, 18) and dataset.class_names == ("cat", "dog")
    assert [np.bincount(labels).tolist() for labels in labels_of(dataset)] == [[12, 24], [4, 8], [6, 12]]
    assert f"the folders {', '.join(sorted(names))} are the splits" in dataset.notes and "no test split" not in " ".join(dataset.notes)
    image, label = next(iter(dataset.test(1).as_numpy_iterator()))
    stored = {path: np.asarray(Image.open(path)) for path in (tmp_path / names[2]).rglob("*.png")}
    (path,) = [path for path, pixels in stored.items() if np.array_equal(pixels, np.round(image[0, ..., 0] * 255))]
    assert path.parent.name == dataset.class_names[label[0]]


def test_splits_without_classes_and_without_validation(tmp_path):
    pictures(tmp_path / "train", 20), pictures(tmp_path / "test", 5, 100)
    dataset = load(tmp_path)
    assert dataset.sizes == (16, 4, 5) and dataset.class_names == ()


def test_a_test_folder_without_classes_is_unlabelled(tmp_path):
    pictures(tmp_path / "train" / "cat", 20), pictures(tmp_path / "train" / "dog", 20), pictures(tmp_path / "test", 5, 100)
    dataset = load(tmp_path)
    assert dataset.class_names == ("cat", "dog") and labels_of(dataset)[2].tolist() == [data.UNLABELLED] * 5
    assert any("5 of 5 test images have no label" in note for note in dataset.notes)


def test_a_class_of_the_test_folder_alone_is_refused(tmp_path):
    pictures(tmp_path / "train" / "cat", 20), pictures(tmp_path / "test" / "dog", 5)
    with pytest.raises(InputError, match="has the class dog in test alone"):
        load(tmp_path)


def test_folders_of_which_only_some_are_splits_are_refused(tmp_path):
    pictures(tmp_path / "test" / "cat", 20)
    with pytest.raises(InputError, match="has the folders test: expected a folder train beside them"):
        load(tmp_path)
    pictures(tmp_path / "train" / "cat", 20), pictures(tmp_path / "masks", 20)
    with pytest.raises(InputError, match="has the folder masks beside test, train: expected the splits alone, or classes alone"):
        load(tmp_path)


def test_one_folder_under_two_names_is_refused(tmp_path):
    pictures(tmp_path / "train" / "cat", 20)
    (tmp_path / "test").symlink_to(tmp_path / "train")
    with pytest.raises(InputError, match=r"the folders .*test and .*train are one folder, through a link"):
        load(tmp_path)


def test_folders_without_images_are_noted(tmp_path):
    pictures(tmp_path / "cat", 20), pictures(tmp_path / "dog", 20), (tmp_path / "bird" / "small").mkdir(parents=True)
    assert "1 folder without images: bird" in load(tmp_path).notes


def test_other_folders_beside_train_are_classes(tmp_path):
    pictures(tmp_path / "train", 20), pictures(tmp_path / "bus", 20)
    assert load(tmp_path).class_counts() == {"bus": 20, "train": 20}


NAMES = ["$_$", "_cat", "$x^2$ % \\", "🐱", "קטה", "قطة", "猫", "a b\nc", os.fsdecode(b"caf\xe9")]


@pytest.mark.parametrize("memory_limit", [2.0, 1e-9])
def test_any_name_is_a_class_and_a_file(tmp_path, memory_limit):
    for i, name in enumerate(NAMES):
        pictures(tmp_path / name, 6, 100 * i)
        os.rename(tmp_path / name / f"{100 * i}.png", tmp_path / name / f"{name}.png")
    dataset = load(tmp_path, memory_limit=memory_limit)
    assert dataset.class_counts() == dict.fromkeys(sorted(NAMES), 6)
    assert len(np.concatenate(labels_of(dataset))) == 6 * len(NAMES)
    described = json.loads(json.dumps(data.describe(dataset)))
    data.check_unchanged(load(tmp_path, memory_limit=memory_limit), described)
    assert data.class_sentence(dataset).isprintable()


# ---- sentences about what was seen


def test_the_classes_are_named_with_their_counts(tmp_path):
    pictures(tmp_path / "few" / "cat", 15), pictures(tmp_path / "few" / "dog", 12)
    assert data.class_sentence(load(tmp_path / "few")) == "2 classes: cat (15), dog (12)"
    for i in range(12):
        pictures(tmp_path / "many" / f"class{i:02}", 2 + i % 2)
    sentence = data.class_sentence(load(tmp_path / "many"))
    assert sentence.startswith("12 classes: class00 (2), class01 (3),") and sentence.endswith(
        "class09 (3) and 2 more, of 2 to 3 images each"
    )


@pytest.mark.parametrize("memory_limit", [2.0, 1e-9])
def test_images_that_are_all_alike_are_warned_of(tmp_path, memory_limit):
    kinds = {"equal": lambda i: np.eye(4) * 9, "constant": lambda i: np.full((4, 4), 9 * i), "dark": lambda i: np.eye(4) * (i % 17)}
    for kind, value in kinds.items():
        (tmp_path / kind).mkdir()
        for i in range(20):
            Image.fromarray(value(i).astype(np.uint8)).save(tmp_path / kind / f"{i}.png")
        dataset = load(tmp_path / kind, memory_limit=memory_limit)
        assert data.alike(dataset) == kind and data.warnings_of(dataset)[0].startswith(data.ALIKE[kind])
    pictures(tmp_path / "other", 20)
    assert data.alike(load(tmp_path / "other")) == "" and data.warnings_of(load(tmp_path / "other")) == []


def test_a_class_under_a_tenth_of_another_is_warned_of(tmp_path):
    pictures(tmp_path / "cat", 50), pictures(tmp_path / "dog", 5)
    assert data.warnings_of(load(tmp_path)) == []
    os.remove(tmp_path / "dog" / "0.png")
    assert data.warnings_of(load(tmp_path))[0].startswith("class dog has 4 images and cat has 50")
