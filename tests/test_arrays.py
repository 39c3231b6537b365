"""Images in arrays, images like a model's own, and images without a label."""

import numpy as np
import pytest
from PIL import Image

import evaluate
import params
import tfdvae
import train
from tfdvae import data
from tfdvae.build import build_model
from tfdvae.errors import InputError
from tfdvae.runs import Run

rng = np.random.default_rng(0)
BYTES = rng.integers(0, 256, (40, 8, 8, 3), np.uint8)
LABELS = np.arange(40) % 4


def all_images(dataset):
    """Return all images of a dataset as bytes, sorted."""
    batches = [data.images_of(batch) for part in range(3) for batch in dataset.in_order(part, 50).as_numpy_iterator()]
    images = np.round(np.concatenate(batches) * 255).astype(np.uint8)
    return images[np.lexsort(images.reshape(len(images), -1).T)]


def sorted_images(images):
    return images[np.lexsort(images.reshape(len(images), -1).T)]


def from_arrays(images, labels=None, **arguments):
    return data.load_dataset(arrays=(images, labels), validation_fraction=0.2, **arguments)


@pytest.mark.parametrize(
    "images, expected, note",
    [
        (BYTES, BYTES, ""),
        (BYTES[..., 0], BYTES[..., :1], ""),
        (BYTES.astype(np.uint16) * 257, BYTES, ""),
        (BYTES.astype(">u2") * 257, BYTES, ""),
        (BYTES // 128, BYTES // 128 * 255, "uint8 values are all within 0 to 1"),
        (BYTES.astype(np.int64), BYTES, "int64 values are all within 0 to 255"),
        (BYTES.astype(np.int32) * 257, BYTES, "int32 values are all within 0 to 65,535"),
        (BYTES.astype(np.float32) / 255, BYTES, ""),
        (BYTES.astype(np.float64) / 255, BYTES, ""),
        (BYTES > 127, np.where(BYTES > 127, 255, 0).astype(np.uint8), ""),
        (np.concatenate([BYTES, np.full((40, 8, 8, 1), 255, np.uint8)], -1), BYTES, ""),
        (np.concatenate([BYTES, np.zeros((40, 8, 8, 1), np.uint8)], -1), np.full_like(BYTES, 255), ""),
    ],
)
def test_arrays_are_scaled_by_their_type(images, expected, note):
    dataset = from_arrays(images)
    np.testing.assert_array_equal(all_images(dataset), sorted_images(expected))
    assert note in "; ".join(dataset.notes)


@pytest.mark.parametrize(
    "images, labels, said",
    [
        (BYTES.astype(np.float32), None, r"float32 values from 0 to 255; expected 0 to 1 for floats"),
        (np.full((40, 4, 4), np.nan), None, "float64 values from nan to nan"),
        (BYTES.astype(np.int32) * 300, None, "int32 values from 0 to 76500; expected 0 to 255 or 0 to 65,535 for integers"),
        (BYTES.astype(np.int16) - 1, None, "int16 values from -1 to 254"),
        (BYTES.astype(str), None, "values of type <U"),
        (BYTES[0, :, :, 0], None, r"an array of shape \(8, 8\); expected \(n, height, width\)"),
        (np.zeros((40, 8, 8, 5), np.uint8), None, "with 1 to 4 channels"),
        (BYTES, LABELS[:-1], r"labels: .* shape \(39,\); expected \(40,\), one for each image"),
        (BYTES, LABELS + 0.5, "labels of type float64"),
        (BYTES, LABELS - 2, "values from -2 to 1"),
        ([[[0, 1], [2]]], None, "images: received list, which is no array"),
    ],
)
def test_arrays_without_a_known_range_or_form_are_refused(images, labels, said):
    with pytest.raises(InputError, match=said):
        from_arrays(images, labels)


def test_labels_are_numbers_or_texts():
    assert from_arrays(BYTES, LABELS).class_counts() == dict.fromkeys("0123", 10)
    texts = np.array(["dog", "cat", "", "cat"])[LABELS]
    for labels in (texts, texts.astype(object)):
        assert from_arrays(BYTES, labels).class_counts() == {"cat": 20, "dog": 10}
    assert from_arrays(BYTES, LABELS * 20).class_counts()["60"] == 10
    missing = from_arrays(BYTES, np.where(LABELS == 3, np.nan, LABELS))
    assert missing.class_counts() == dict.fromkeys("012", 10) and any("have no label" in note for note in missing.notes)


def test_a_file_of_arrays(tmp_path):
    np.savez(tmp_path / "x.npz", images=BYTES, labels=LABELS)
    dataset = data.load_dataset(f"arrays:{tmp_path / 'x.npz'}", validation_fraction=0.2)
    assert dataset.image_shape == (8, 8, 3) and dataset.class_counts() == dict.fromkeys("0123", 10)
    assert dataset.path == str(tmp_path / "x.npz")
    assert dataset.stored_fingerprint == from_arrays(BYTES, LABELS).stored_fingerprint
    assert data.load_dataset(f"arrays:{tmp_path / 'x.npz'}", image_size=4, validation_fraction=0.2).image_shape == (4, 4, 3)


def test_files_that_hold_no_such_arrays_are_refused(tmp_path):
    np.save(tmp_path / "one.npy", BYTES)
    np.savez(tmp_path / "other.npz", x=BYTES)
    np.savez(tmp_path / "objects.npz", images=np.array([None, "x"]))
    (tmp_path / "text.npz").write_text("no archive")
    np.savez_compressed(tmp_path / "packed.npz", images=BYTES)
    packed = bytearray((tmp_path / "packed.npz").read_bytes())
    packed[60] ^= 255
    (tmp_path / "damaged.npz").write_bytes(packed)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "other.npz").read_bytes()[:300])
    for name, said in (
        ("one.npy", "holds no named arrays; expected the array images and"),
        ("other.npz", "holds x; expected the array images"),
        ("objects.npz", "cannot be read .*expected an .npz file of numpy.savez, without pickled objects"),
        ("text.npz", "cannot be read"),
        ("cut.npz", "cannot be read"),
        ("damaged.npz", "cannot be read"),
        ("nowhere.npz", "cannot be read .*No such file"),
    ):
        with pytest.raises(InputError, match=said):
            data.load_dataset(f"arrays:{tmp_path / name}")


def test_a_name_or_arrays():
    for arguments in ({}, {"name": "digits", "arrays": (BYTES, None)}):
        with pytest.raises(InputError, match="dataset: received a name and arrays, or neither"):
            data.load_dataset(**arguments)
    with pytest.raises(InputError, match="arrays: received ndarray; expected a pair"):
        data.load_dataset(arrays=BYTES)


# ---- images without a label


TINY = {
    "channels": (2,),
    "hidden_units": (4,),
    "latent_dim": 2,
    "epochs": 1,
    "batch_size": 8,
    "learning_rate": 1e-3,
    "precision": "float32",
}


def saved(path, labels, shape=(120, 8, 8)):
    np.savez(path, images=rng.integers(0, 256, shape, np.uint8), labels=labels)
    return f"arrays:{path}"


def test_a_classifier_learns_from_labelled_images_alone(tmp_path):
    labels = np.where(np.arange(120) % 4 == 3, -1, np.arange(120) % 2)
    name = saved(tmp_path / "x.npz", labels)
    dataset = data.load_dataset(name, validation_fraction=0.2)
    labelled = dataset.labelled()
    assert sum(dataset.sizes) == 120 and sum(labelled.sizes[:2]) < sum(dataset.sizes[:2]) and labelled.sizes[2] == dataset.sizes[2]
    for part in (data.TRAIN, data.VALIDATION):
        _, numbers = zip(*labelled.in_order(part, 50).as_numpy_iterator())
        numbers = np.concatenate(numbers)
        assert len(numbers) == labelled.sizes[part] and np.all(numbers >= 0)
    run = train.main(dataset=name, model="classifier", run_dir=str(tmp_path / "judge"), epochs=1, batch_size=8)
    (evaluation,) = evaluate.main([run])
    known = evaluation.per_image["true_class"] >= 0
    assert 0 < known.sum() < len(known)
    assert evaluation.summary["error"]["mean"] == pytest.approx(evaluation.per_image["error"][known].mean())


def test_a_test_set_without_labels_is_not_judged(tmp_path):
    for split, n in (("train/a", 30), ("train/b", 30), ("test", 12)):
        (tmp_path / "set" / split).mkdir(parents=True)
        for i in range(n):
            Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(tmp_path / "set" / split / f"{i}.png")
    name = f"folder:{tmp_path / 'set'}"
    vae = train.main(dataset=name, model="vae", run_dir=str(tmp_path / "vae"), label_weight=1.0, **TINY)
    judge = train.main(dataset=name, model="classifier", run_dir=str(tmp_path / "judge"), epochs=1, batch_size=8)
    (evaluation,) = evaluate.main([vae], classifier=judge, probe=True)
    assert not {"error_of_output", "error_of_original", "label", "probe_error"} & set(evaluation.summary)
    assert "12 of 12 test images have no label" in evaluation.record["data"]["note"]
    with pytest.raises(InputError, match=r"is a classifier, and no test image of .* has a label"):
        evaluate.main([judge])


def test_images_without_any_label_have_no_classes(tmp_path):
    dataset = data.load_dataset(saved(tmp_path / "x.npz", np.full(120, -1)))
    assert dataset.num_classes == 0 and dataset.class_counts() == {}


def test_a_classifier_of_one_class_is_refused(tmp_path):
    with pytest.raises(InputError, match="model: received 'classifier'; expected another model for images of one class"):
        train.main(dataset=saved(tmp_path / "x.npz", np.zeros(120, int)), model="classifier", run_dir=str(tmp_path / "run"))
    labels = np.where(np.arange(120) < 60, 2, -1)
    with pytest.raises(InputError, match="another model for images of one class"):
        train.main(dataset=saved(tmp_path / "y.npz", labels), model="classifier", run_dir=str(tmp_path / "run"))
    assert not (tmp_path / "run" / "run.json").exists()


@pytest.mark.parametrize("memory_limit", [2.0, 1e-9])
def test_a_classifier_without_labelled_validation_images_is_refused(tmp_path, memory_limit):
    for split in ("train/a", "train/b", "val"):
        (tmp_path / "set" / split).mkdir(parents=True)
        for i in range(20):
            Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(tmp_path / "set" / split / f"{i}.png")
    with pytest.raises(InputError, match="has no labelled validation image"):
        train.main(dataset=f"folder:{tmp_path / 'set'}", model="classifier", memory_limit=memory_limit, run_dir=str(tmp_path / "run"))


def test_a_classifier_of_one_image_is_told_so(tmp_path):
    for split in ("train/a", "val/a", "test/a"):
        (tmp_path / "set" / split).mkdir(parents=True)
        Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(tmp_path / "set" / split / "0.png")
    with pytest.raises(InputError, match="has one labelled training image: expected more"):
        train.main(dataset=f"folder:{tmp_path / 'set'}", model="classifier", run_dir=str(tmp_path / "run"))


@pytest.mark.parametrize("model", ["vae", "classifier"])
def test_batch_norm_on_one_image_is_refused(model):
    with pytest.raises(InputError, match="batch_size: received 1; expected at least 2 with batch norm"):
        train.main("digits", model=model, batch_size=1)


# ---- images like a model's own


def test_files_are_read_as_a_model_takes_them(tmp_path):
    for i in range(3):
        Image.fromarray(rng.integers(0, 256, (8, 12, 3), np.uint8)).save(tmp_path / f"{i}.png")
    paths = sorted(tmp_path.glob("*.png"))
    model = build_model(image_shape=(8, 8, 3), model="vae", likelihood="gaussian", pixel_range="signed", channels=(2,), hidden_units=(4,))
    images = tfdvae.read_images(paths, model)
    expected = np.stack([np.asarray(Image.open(path))[:, 2:10] for path in paths])  # the middle
    np.testing.assert_allclose(images, expected / 127.5 - 1, atol=1e-6)
    assert model.reconstruct(images).shape == (3, 8, 8, 3)
    one = tfdvae.read_images(str(paths[1]), from_arrays(BYTES[..., 0]))
    assert one.shape == (1, 8, 8, 1)
    with pytest.raises(InputError, match="paths: received 5; expected the paths"):
        tfdvae.read_images(5, model)
    with pytest.raises(InputError, match="like: received NoneType"):
        tfdvae.read_images(paths, None)
    Image.fromarray(np.full((8, 12), 200, np.int32)).save(tmp_path / "x.tif")
    with pytest.raises(InputError, match="read_images: 32-bit integers, whose range"):
        tfdvae.read_images(tmp_path / "x.tif", model)
    with pytest.raises(InputError, match=r"read_images: 1 image of 2 cannot be read: .*nowhere\.png"):
        tfdvae.read_images([paths[0], tmp_path / "nowhere.png"], model)


def test_files_are_read_as_a_loaded_run_read_its_own(tmp_path):
    (tmp_path / "set").mkdir()
    for i in range(20):
        Image.fromarray(rng.integers(0, 256, (10, 6, 4), np.uint8)).save(tmp_path / "set" / f"{i}.png")
    settings = {"image_size": 8, "resize": "fit", "background": "#204060", "binarize": "threshold", "validation_fraction": 0.2}
    run = train.main(dataset=f"folder:{tmp_path / 'set'}", run_dir=str(tmp_path / "run"), **settings, **TINY | {"batch_size": 4})
    dataset = data.load_recorded(Run(run).read_record())
    paths = sorted((tmp_path / "set").glob("*.png"))
    own = np.concatenate([data.images_of(batch) for part in range(3) for batch in dataset.in_order(part, 50).as_numpy_iterator()])
    read = tfdvae.read_images(paths, tfdvae.load(run))
    np.testing.assert_array_equal(*(np.sort(images.reshape(20, -1), axis=0) for images in (read, own)))
    np.testing.assert_array_equal(tfdvae.read_images(paths, dataset), read)


# ---- images that have moved


def test_a_run_on_a_relative_path_evaluates_from_anywhere(tmp_path, monkeypatch, capsys):
    (tmp_path / "here").mkdir(), (tmp_path / "there").mkdir()
    saved(tmp_path / "here" / "x.npz", np.arange(120) % 2)
    monkeypatch.chdir(tmp_path / "here")
    run = train.main(dataset="arrays:x.npz", model="vae", run_dir="run", **TINY)
    assert Run(run).read_record()["params"]["dataset"] == "arrays:x.npz"
    assert Run(run).read_record()["data"]["path"] == str(tmp_path / "here" / "x.npz")
    monkeypatch.chdir(tmp_path / "there")
    evaluate.main(["../here/run"])
    assert f"--model classifier --dataset arrays:{tmp_path}/here/x.npz\n" in capsys.readouterr().out  # works in this folder, too
    train.main(resume=True, run_dir="../here/run")
    (tmp_path / "here" / "x.npz").rename(tmp_path / "moved.npz")
    with pytest.raises(InputError, match=r"the images of arrays:x\.npz were in .*x\.npz, where nothing is now; .*--dataset arrays:PATH"):
        evaluate.main(["../here/run"])
    evaluate.main(["../here/run"], dataset="arrays:../moved.npz")
    with pytest.raises(InputError, match=r"the images of arrays:x\.npz were in"):
        train.main(resume=True, run_dir="../here/run")
    train.main(resume=True, run_dir="../here/run", dataset="arrays:../moved.npz")
    saved(tmp_path / "other.npz", np.arange(120) % 2)
    with pytest.raises(InputError, match="is not the dataset that the run was trained on"):
        train.main(resume=True, run_dir="../here/run", dataset="arrays:../other.npz")
    with pytest.raises(InputError, match="is not the dataset that the run was trained on"):
        evaluate.main(["../here/run"], dataset="arrays:../other.npz")
    with pytest.raises(InputError, match=r"dataset: received 'mnist'; expected folder:PATH or arrays:FILE\.npz"):
        evaluate.main(["../here/run"], dataset="mnist")


def test_a_run_without_a_preset_is_named_after_all_that_was_given(tmp_path, monkeypatch):
    """Its other parameters are fitted to the images, so a value that is a default of `Params` is a change, too."""
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / "x.npz", np.arange(120) % 2)
    run = train.main(dataset="arrays:x.npz", model="vae", **TINY | {"latent_dim": params.Params().latent_dim})
    assert f"-latent-dim{params.Params().latent_dim}-" in run
