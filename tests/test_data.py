import logging
import os
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfdvae import data
from tfdvae.build import build_model
from tfdvae.data import source
from tfdvae.data import tfds as tfds_source
from tfdvae.errors import InputError


def collect(pipeline, steps=None):
    """Return all images, and labels where there are any, of a pipeline."""
    batches = list(pipeline.take(steps) if steps else pipeline)
    if isinstance(batches[0], tuple):
        return tuple(np.concatenate([batch[i] for batch in batches]) for i in range(2))
    return np.concatenate(batches)


@pytest.fixture(scope="module")
def digits():
    return data.load_dataset("digits")


def test_digits_split_into_three_disjoint_parts(digits):
    from sklearn.datasets import load_digits

    assert digits.image_shape == (8, 8, 1) and digits.num_classes == 10 and digits.sizes == (1456, 161, 180)
    assert "no test split" in digits.notes[0]
    parts = [collect(digits.train(100), 15), collect(digits.validation(100)), collect(digits.test(100))]
    assert [len(images) for images, _ in parts] == [1456, 161, 180]
    together = np.concatenate([images for images, _ in parts]).reshape(1797, 64)
    original = np.round(load_digits().data * (255 / 16)) / 255
    np.testing.assert_allclose(np.sort(together, axis=0), np.sort(original, axis=0), atol=1e-6)
    for images, labels in parts:
        assert images.dtype == np.float32 and images.min() == 0.0 and images.max() == 1.0
        assert np.bincount(labels, minlength=10).min() > 5


def test_validation_is_the_first_part_of_what_is_not_test(digits):
    from sklearn.datasets import load_digits

    held = np.random.default_rng(source.SPLIT_SEED).permutation(1797)[:180]
    training = np.setdiff1d(np.arange(1797), held)
    np.testing.assert_array_equal(collect(digits.validation(50))[1], load_digits().target[training[:161]])
    np.testing.assert_array_equal(collect(digits.test(50))[1], load_digits().target[np.sort(held)])


def test_order_depends_on_seed_and_epoch_alone(digits):
    steps = digits.steps_per_epoch(100)
    assert steps == 15
    two_epochs = collect(digits.train(100, seed=1), 2 * steps)[1]
    first, second = two_epochs[:1456], two_epochs[1456:]
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(collect(digits.train(100, seed=1, first_epoch=1), steps)[1], second)
    assert not np.array_equal(collect(digits.train(100, seed=2), steps)[1], first)
    np.testing.assert_array_equal(np.sort(first), np.sort(second))


def test_flip_mirrors_about_half_of_the_training_images(digits):
    plain, flipped = (collect(digits.train(1456, seed=1, flip=flip), 1)[0] for flip in (False, True))
    as_is = (plain == flipped).all((1, 2, 3))
    mirrored = (plain[:, :, ::-1] == flipped).all((1, 2, 3))
    assert (as_is | mirrored).all()
    assert mirrored.mean() == pytest.approx(0.5, abs=4 * 0.5 / 1456**0.5)


def test_signed_pixels_and_binarisation(digits):
    grey = collect(digits.test(180))[0]
    np.testing.assert_allclose(collect(data.load_dataset("digits", pixel_range="signed").test(180))[0], 2 * grey - 1, atol=1e-6)
    np.testing.assert_array_equal(collect(data.load_dataset("digits", binarize="threshold").test(180))[0], grey > 0.5)
    sampled = data.load_dataset("digits", binarize="sample")
    first, again = collect(sampled.test(180))[0], collect(sampled.test(180))[0]
    np.testing.assert_array_equal(first, again)
    assert set(np.unique(first)) == {0.0, 1.0}
    variance = (grey * (1 - grey)).sum()
    assert first.sum() == pytest.approx(float(grey.sum()), abs=4 * float(variance) ** 0.5)
    epochs = collect(sampled.train(1456), 2)
    images, labels = epochs[0].reshape(2, 1456, 64), epochs[1].reshape(2, 1456)
    one, two = (images[i][np.lexsort((*images[i].T, labels[i]))] for i in (0, 1))
    assert not np.array_equal(one, two)  # drawn anew in the second epoch


def test_folder_of_classes(folder_of_classes):
    pictures = data.load_dataset(f"folder:{folder_of_classes}")
    assert pictures.image_shape == (9, 7, 3) and pictures.class_names == ("bright", "dark") and pictures.sizes == (33, 3, 4)
    images, labels = collect(pictures.train(10), 4)
    np.testing.assert_array_equal(images[:, 0, 0, 0], np.where(labels == 0, 1.0, 0.0))
    held = data.load_dataset(f"folder:{folder_of_classes}", validation_fraction=0.5)
    assert min(np.bincount(collect(held.validation(50))[1], minlength=2)) >= 4  # 18 images of two classes, not of the first


def test_folder_without_classes_is_resized_and_stays_grey(tmp_path):
    for i, size in enumerate([(10, 12), (20, 20), (7, 30)] * 5):
        Image.fromarray(np.full(size, 51, np.uint8)).save(tmp_path / f"{i}.png")
    pictures = data.load_dataset(f"folder:{tmp_path}", image_size=6, validation_fraction=0.2)
    assert pictures.image_shape == (6, 6, 1) and pictures.num_classes == 0
    np.testing.assert_allclose(collect(pictures.test(5)), 0.2, atol=1e-6)
    with pytest.raises(InputError, match="image_size"):
        data.load_dataset(f"folder:{tmp_path}")


def test_sixteen_bit_images_keep_their_greys(tmp_path):
    for i in range(12):
        Image.fromarray(np.full((4, 4), 257 * 20 * i, np.uint16)).save(tmp_path / f"{i}.png")
    pictures = data.load_dataset(f"folder:{tmp_path}", validation_fraction=0.2)
    values = np.concatenate([collect(pictures.train(9), 1), collect(pictures.validation(9)), collect(pictures.test(9))])[:, 0, 0, 0]
    np.testing.assert_allclose(np.sort(values) * 255, np.arange(0, 240, 20), atol=1e-4)


@pytest.mark.parametrize("memory_limit", [2.0, 1e-6])
def test_names_of_files_may_have_any_bytes(tmp_path, memory_limit):
    root = tmp_path / os.fsdecode(b"caf\xe9")
    try:
        for name in ("$_$", os.fsdecode(b"\xe9"), "two\nlines"):
            (root / name).mkdir(parents=True)
            for i in range(8):
                Image.fromarray(np.full((4, 4), i, np.uint8)).save(root / name / os.fsdecode(b"%d\xe9.png" % i))
    except OSError:
        pytest.skip("this file system keeps no such names")
    pictures = data.load_dataset(f"folder:{root}", memory_limit=memory_limit)
    assert pictures.class_names == ("$_$", "two\nlines", "\udce9") and len(pictures.stored_fingerprint) == 64
    assert len(collect(pictures.test(10))[0]) == pictures.sizes[data.TEST] == 2


def test_a_changed_folder_is_noticed(folder_of_classes):
    name = f"folder:{folder_of_classes}"
    described = data.describe(data.load_dataset(name))
    data.check_unchanged(data.load_dataset(name), described)
    Image.fromarray(np.zeros((9, 7, 3), np.uint8)).save(folder_of_classes / "dark" / "another.png")
    with pytest.raises(InputError, match="not the dataset that the run was trained on"):
        data.check_unchanged(data.load_dataset(name), described)


@pytest.mark.parametrize("memory_limit", [2.0, 1e-9])
def test_a_training_image_that_changed_is_noticed_by_any_file(folder_of_classes, memory_limit):
    def load():
        return data.load_dataset(f"folder:{folder_of_classes}", memory_limit=memory_limit)

    described = data.describe(load())
    for path in sorted(folder_of_classes.rglob("*.png"))[:8]:
        content = path.read_bytes()
        Image.fromarray(np.zeros((9, 7, 3), np.uint8)).save(path)
        with pytest.raises(InputError, match="stored fingerprint"):
            data.check_unchanged(load(), described)
        path.write_bytes(content)
    data.check_unchanged(load(), described)


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "huggingface:x", "digits/../x", "a//b", "folder:~nosuchuser/x"])
def test_names_that_lead_elsewhere_are_refused(name):
    with pytest.raises(InputError, match="dataset: received"):
        data.load_dataset(name)


def test_misspelt_choices_are_refused():
    with pytest.raises(ValueError, match=r"pixel_range: received 'Signed'; expected one of unit, signed, real"):
        data.load_dataset("digits", pixel_range="Signed")
    with pytest.raises(ValueError, match="binarize"):
        data.load_dataset("digits", binarize="thresh")


def test_streamed_folder_equals_the_one_in_memory(folder_of_classes):
    whole = data.load_dataset(f"folder:{folder_of_classes}")
    streamed = data.load_dataset(f"folder:{folder_of_classes}", memory_limit=1e-6)
    assert whole.in_memory and not streamed.in_memory
    assert streamed.sizes == whole.sizes and streamed.image_shape == whole.image_shape
    for one, two in zip(collect(whole.test(3)), collect(streamed.test(3))):
        np.testing.assert_array_equal(one, two)
    one, two = (collect(d.train(10, seed=3), 4)[0] for d in (whole, streamed))
    np.testing.assert_array_equal(*(np.sort(x.reshape(33, -1), axis=0) for x in (one, two)))
    np.testing.assert_array_equal(collect(streamed.train(10, seed=3), 4)[0], two)
    epochs = collect(streamed.train(10, seed=3), 8)[0]
    assert not np.array_equal(epochs[:33], epochs[33:])
    np.testing.assert_array_equal(collect(streamed.train(10, seed=3, first_epoch=1), 4)[0], epochs[33:])


@pytest.mark.parametrize("content", [b"", b"not an image"])
def test_a_broken_image_is_named(folder_of_classes, content):
    (folder_of_classes / "dark" / "broken.png").write_bytes(content)
    with pytest.raises(InputError, match=r"1 image of 41 cannot be read: .*dark/broken\.png \(not an image"):
        data.load_dataset(f"folder:{folder_of_classes}")


def test_a_truncated_image_is_named(folder_of_classes):
    path = folder_of_classes / "dark" / "3.png"
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(InputError, match=r"1 image of 40 cannot be read: .*dark/3\.png"):
        data.load_dataset(f"folder:{folder_of_classes}")


def test_folders_that_cannot_be_used(tmp_path, folder_of_classes):
    with pytest.raises(InputError, match="is not a folder"):
        data.load_dataset(f"folder:{tmp_path / 'nowhere'}")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="has no images"):
        data.load_dataset(f"folder:{tmp_path / 'empty'}")
    Image.fromarray(np.zeros((9, 7, 3), np.uint8)).save(folder_of_classes / "loose.png")
    with pytest.raises(InputError, match="beside the folders"):
        data.load_dataset(f"folder:{folder_of_classes}")
    (tmp_path / "one").mkdir()
    Image.fromarray(np.zeros((9, 7, 3), np.uint8)).save(tmp_path / "one" / "a.png")
    with pytest.raises(InputError, match="too few images"):
        data.load_dataset(f"folder:{tmp_path / 'one'}")


def test_an_unknown_name_leads_to_the_nearest():
    with pytest.raises(InputError, match=r"'fashion_mnis'; did you mean fashion_mnist\? Expected mnist_5k, digits, folder:PATH"):
        data.load_dataset("fashion_mnis")


def test_a_dataset_that_cannot_be_had_says_where_to_put_it(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    def offline(*_, **__):
        raise ConnectionError("no network")

    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", offline)
    with pytest.raises(InputError) as refused:
        data.load_dataset("kmnist")
    for part in ("kmnist", str(tmp_path), os.path.join("downloads", "manual"), "no network", "mnist_5k"):
        assert part in str(refused.value)


def test_a_dataset_of_text_is_refused():
    with pytest.raises(InputError, match="not an image-classification dataset"):
        data.load_dataset("imdb_reviews")


def prepare_tiny_tfds(directory, splits, monkeypatch, shape=(11, 9, 3), dtype=np.uint8, scale=1, unlabelled=None):
    """Write a small image dataset in TensorFlow Datasets' own format and make it known by its name."""
    import tensorflow_datasets as tfds

    with tfds.core.registered.skip_registration():

        class TinyPictures(tfds.core.GeneratorBasedBuilder):
            VERSION = tfds.core.Version("1.0.0")

            def _info(self):
                features = {"image": tfds.features.Image(shape=shape, dtype=dtype), "label": tfds.features.ClassLabel(num_classes=2)}
                return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

            def _split_generators(self, dl_manager):
                return {split: self._generate_examples(n, split == unlabelled) for split, n in splits.items()}

            def _generate_examples(self, n, hidden):
                for i in range(n):
                    image = np.full([d or 5 + i % 3 for d in shape], i * scale, dtype)
                    yield i, {"image": image, "label": -1 if hidden else i % 2}

    monkeypatch.setattr(tfds, "list_builders", lambda **_: ["tiny"])
    monkeypatch.setattr(tfds, "builder", lambda name, data_dir: TinyPictures(data_dir=directory))


def test_a_tfds_dataset_streamed_equals_the_one_in_memory(tmp_path, monkeypatch):
    prepare_tiny_tfds(tmp_path, {"train": 50, "test": 20}, monkeypatch)
    whole, streamed = data.load_dataset("tiny"), data.load_dataset("tiny", memory_limit=1e-6)
    assert whole.sizes == streamed.sizes == (45, 5, 20) and whole.image_shape == (11, 9, 3) and not whole.notes
    assert whole.in_memory and not streamed.in_memory
    for part in ("validation", "test"):
        for one, two in zip(collect(getattr(whole, part)(7)), collect(getattr(streamed, part)(7))):
            np.testing.assert_array_equal(one, two)
    grey = [np.sort(collect(d.train(7), d.steps_per_epoch(7))[0][:, 0, 0, 0]) for d in (whole, streamed)]
    np.testing.assert_array_equal(*grey)


def test_a_tfds_dataset_is_read_without_a_warning_of_its_library_about_itself(tmp_path, monkeypatch, caplog):
    prepare_tiny_tfds(tmp_path, {"train": 50, "test": 20}, monkeypatch)
    monkeypatch.setattr("absl.logging._log_counter_per_token", {})  # it warns once a process
    data.load_dataset("tiny")
    assert not [record for record in caplog.records if "deprecated" in record.getMessage()]
    logging.getLogger("absl").warning("something else")
    assert caplog.records[-1].getMessage() == "something else"


def test_a_tfds_dataset_without_a_test_split_gets_a_fixed_one(tmp_path, monkeypatch):
    prepare_tiny_tfds(tmp_path, {"train": 50}, monkeypatch)
    whole, streamed = data.load_dataset("tiny"), data.load_dataset("tiny", memory_limit=1e-6)
    assert whole.sizes == (41, 4, 5) and "no test split" in whole.notes[0]
    np.testing.assert_array_equal(collect(whole.test(5))[0], collect(streamed.test(5))[0])
    everything = np.concatenate([collect(whole.train(41), 1)[0], collect(whole.validation(5))[0], collect(whole.test(5))[0]])
    np.testing.assert_array_equal(np.sort(everything[:, 0, 0, 0] * 255).round(), np.arange(50))


def test_the_fine_label_is_taken_where_there_is_a_coarse_one():
    import tensorflow_datasets as tfds

    builder = tfds.builder("cifar100")
    assert tfds_source._image_and_label("cifar100", builder.info.features) == ("image", "label")


def test_tfds_images_of_different_sizes_want_image_size(tmp_path, monkeypatch):
    prepare_tiny_tfds(tmp_path, {"train": 30, "test": 9}, monkeypatch, shape=(None, None, 3))
    with pytest.raises(InputError, match="image_size"):
        data.load_dataset("tiny")
    assert data.load_dataset("tiny", image_size=8).image_shape == (8, 8, 3)


@pytest.mark.real_data
@pytest.mark.parametrize("name, shape, total", [("mnist", (28, 28, 1), 60_000), ("cifar10", (32, 32, 3), None)])
def test_real_datasets(name, shape, total):
    real = data.load_dataset(name)
    assert real.image_shape == shape and real.num_classes == 10
    assert total is None or sum(real.sizes[:2]) == total
    assert real.sizes[1] == sum(real.sizes[:2]) // 10
    images, labels = next(iter(real.train(128)))
    assert images.shape == (128, *shape) and labels.shape == (128,) and float(tf.reduce_max(images)) == 1.0


@pytest.mark.real_data
def test_mnist_is_prepared_from_files_placed_by_hand(tmp_path, monkeypatch):
    placed = pathlib.Path(os.environ["TFDS_DATA_DIR"]) / "downloads" / "manual"
    if not placed.is_dir():
        pytest.skip("the four official files are not in downloads/manual")
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / "manual").symlink_to(placed)
    by_hand, ready = tmp_path, os.environ["TFDS_DATA_DIR"]
    digests = []
    for directory in (by_hand, ready):
        monkeypatch.setenv("TFDS_DATA_DIR", str(directory))
        digests.append(data.load_dataset("mnist").test_fingerprint)
    assert digests[0] == digests[1]


def test_variance_digits_have_their_shape_in_the_variance_alone():
    plain, varied = data.load_dataset("digits"), data.load_dataset("variance_digits", pixel_range="real")
    shape = np.concatenate([images for images, _ in plain.test(500).as_numpy_iterator()])
    variances = np.concatenate(list(varied.pixel_variances(data.TEST, 500).as_numpy_iterator()))
    np.testing.assert_allclose(variances, shape**2, rtol=1e-6)
    drawn = [images for images, _ in varied.train(1456, seed=1).take(3).as_numpy_iterator()]  # three epochs in other orders
    assert not np.array_equal(np.sort(drawn[0].ravel()), np.sort(drawn[1].ravel()))
    tested = [next(varied.test(180).as_numpy_iterator())[0] for _ in range(2)]
    np.testing.assert_array_equal(*tested)
    assert np.all(tested[0][shape == 0] == 0)
    standard = tested[0][shape > 0] / shape[shape > 0]
    n = standard.size
    assert abs(standard.mean()) < 4 / np.sqrt(n) and standard.std() == pytest.approx(1.0, abs=4 / np.sqrt(2 * n))


def test_what_pixels_draw_is_not_what_a_layer_draws():
    """Both start from the run's seed; were the draws one, a denoising autoencoder could read the noise off the image."""
    varied = data.load_dataset("variance_digits", pixel_range="real")
    images, _ = next(varied.train(500, seed=0).as_numpy_iterator())
    model = build_model(model="dae", image_shape=(8, 8, 1), likelihood="gaussian_fixed", pixel_range="real", seed=0)
    noise = (model.corrupted(tf.constant(images)) - images).numpy()
    drawn = images != 0
    correlation = np.corrcoef(np.sign(images[drawn]), noise[drawn])[0, 1]
    assert abs(correlation) < 4 / np.sqrt(drawn.sum())


def test_parts_draw_apart():
    """A probe is fitted to training images; were their draws those of the test images, it would know them."""
    varied = data.load_dataset("variance_digits", pixel_range="real")
    parts = [next(varied.in_order(part, 160).as_numpy_iterator())[0] for part in (data.TRAIN, data.VALIDATION, data.TEST)]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        drawn = (parts[one] != 0) & (parts[other] != 0)
        correlation = np.corrcoef(np.sign(parts[one][drawn]), np.sign(parts[other][drawn]))[0, 1]
        assert abs(correlation) < 4 / np.sqrt(drawn.sum())


def test_pixels_without_bounds_are_those_of_variance_datasets():
    for name, pixel_range, expected in (("digits", "real", "unit or signed"), ("variance_digits", "unit", "real")):
        with pytest.raises(ValueError, match=f"pixel_range: received '{pixel_range}'; expected {expected} for dataset {name}"):
            data.load_dataset(name, pixel_range=pixel_range)


@pytest.mark.parametrize("dtype, scale", [(np.uint8, 1), (np.uint16, 257), (np.float32, 1 / 255)])
def test_tfds_images_are_scaled_by_their_type(tmp_path, monkeypatch, dtype, scale):
    prepare_tiny_tfds(tmp_path, {"train": 50, "test": 20}, monkeypatch, shape=(11, 9, 1), dtype=dtype, scale=scale)
    for arguments in ({}, {"image_size": 5}):
        both = [data.load_dataset("tiny", memory_limit=limit, **arguments) for limit in (2.0, 1e-6)]
        images = [collect(dataset.test(7))[0] for dataset in both]
        np.testing.assert_array_equal(*images)
        np.testing.assert_array_equal(np.sort(np.round(images[0][:, 0, 0, 0] * 255)), np.arange(20))


@pytest.mark.parametrize("memory_limit", [2.0, 1e-6])
def test_tfds_floats_beyond_1_are_refused(tmp_path, monkeypatch, memory_limit):
    prepare_tiny_tfds(tmp_path, {"train": 50, "test": 20}, monkeypatch, shape=(11, 9, 1), dtype=np.float32, scale=1)
    with pytest.raises(InputError, match=r"dataset tiny has float32 images with values from \d+ to \d+ in train; expected 0 to 1"):
        data.load_dataset("tiny", memory_limit=memory_limit)


@pytest.mark.parametrize("memory_limit", [2.0, 1e-6])
def test_tfds_images_with_opacity_are_drawn_on_the_background(tmp_path, monkeypatch, memory_limit):
    prepare_tiny_tfds(tmp_path, {"train": 50, "test": 20}, monkeypatch, shape=(11, 9, 4))  # value i and opacity i
    images = collect(data.load_dataset("tiny", background="black", memory_limit=memory_limit).test(7))[0]
    assert images.shape == (20, 11, 9, 3)
    np.testing.assert_array_equal(np.sort(np.round(images[:, 0, 0, 0] * 255)), np.sort(np.round(np.arange(20) ** 2 / 255)))


@pytest.mark.parametrize("memory_limit", [2.0, 1e-6])
def test_tfds_labels_of_minus_one_are_unknown(tmp_path, monkeypatch, memory_limit):
    prepare_tiny_tfds(tmp_path, {"train": 50, "test": 20}, monkeypatch, unlabelled="test")
    dataset = data.load_dataset("tiny", memory_limit=memory_limit)
    assert dataset.class_counts() == {"0": 25, "1": 25}
    assert set(collect(dataset.test(7))[1]) == {data.UNLABELLED}
    assert any(note.startswith("20 of 20 test images have no label") for note in dataset.notes)
