"""The benchmarks compare what they say they compare; how fast anything is, they measure themselves."""

import ast
import importlib
import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf

from tfdvae.build import build_model

sys.path.append(str(pathlib.Path(__file__).parent.parent / "benchmarks"))

import bounds
import stock_keras
import throughput

SHAPE, CHANNELS, UNITS, LATENT = (8, 8, 3), (4, 6), (10,), 3


@pytest.mark.parametrize("model", throughput.MODELS)
def test_the_stock_keras_network_is_ours(model):
    ours = build_model(model=model, image_shape=SHAPE, channels=CHANNELS, hidden_units=UNITS, latent_dim=LATENT)
    stock = stock_keras.StockVAE(model, SHAPE, CHANNELS, UNITS, LATENT)
    stock.build((None, *SHAPE))
    throughput.copy_weights(throughput.weights_of(ours), stock)
    images = tf.constant(np.random.default_rng(0).random((6, *SHAPE)), tf.float32)
    loss = throughput.loss_without_noise(ours, images)
    assert float(tf.reduce_mean(stock.losses_of(images, 0.0))) == pytest.approx(loss, rel=1e-4)
    ours_size, stock_size = (sum(int(np.prod(v.shape)) for v in each.trainable_variables) for each in (ours, stock))
    assert ours_size == stock_size


@pytest.mark.parametrize("path", sorted(pathlib.Path(throughput.__file__).parent.glob("*.py")), ids=lambda path: path.stem)
def test_the_package_has_all_that_a_benchmark_imports(path):
    for node in ast.walk(ast.parse(path.read_text())):  # most imports wait until a process measures something
        if isinstance(node, ast.ImportFrom) and node.module.startswith("tfdvae"):
            module = importlib.import_module(node.module)
            for name in node.names:
                assert hasattr(module, name.name) or importlib.import_module(f"{node.module}.{name.name}")


def test_the_operations_of_a_training_step():
    # encoder 16*1*32*14*14 + 16*32*64*7*7 + 3136*256, decoder the same, heads and first dense layer 3*50*256 multiply-adds, times six
    assert throughput.training_operations("mnist", "vae") == 6 * (2 * (100_352 + 1_605_632 + 802_816) + 38_400)


def test_ratios_are_to_stock_keras_and_to_the_best_of_pytorch(tmp_path):
    rates = {("tfdvae", "float32"): 300, ("tfdvae", "bfloat16"): 600, ("keras", "float32"): 200, ("keras", "bfloat16"): 250}
    rates |= {("pytorch-eager", "bfloat16"): 500, ("pytorch-compiled", "bfloat16"): 400}
    rates |= {("pytorch-eager", "float32"): 100, ("pytorch-compiled", "float32"): 100}
    found = {
        (framework, precision, model, "mnist"): [
            {
                "images_per_second": rate / (1 + (model == "dvae")) + off,
                "start_up_seconds": 1.0,
                "peak_mib": 10.0,
                "evaluation_seconds": 2.0,
            }
            for off in (-10, 0, 30)
        ]
        for (framework, precision), rate in rates.items()
        for model in throughput.MODELS
    }
    rows = throughput.summarize(found, {"float32": 1e12, "bfloat16": 1e12})
    assert [row for row in rows if row["model"] == "vae"][1]["images_per_second"] == 600 and rows[1]["spread"] == 20
    table = throughput.table(rows)
    assert "mnist vae, its best precision: tfdvae 3.00 x stock Keras in float32, 1.20 x the better PyTorch" in table
    assert "mnist vae bfloat16: 10,000 images are evaluated in 2.0 s" in table
    assert "mnist: a step of the dvae takes 2.00 x one of the vae" in table
    throughput.write([row for row in rows if row["model"] == "vae"], {"cores": 2}, tmp_path)  # as with --models vae
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"throughput.csv", "throughput.md", "throughput.png", "machine.json"}
    header = (tmp_path / "throughput.csv").read_text().splitlines()[0]
    assert header == "framework,precision,model,dataset,batch_size,images_per_second,spread"


@pytest.mark.slow  # needs the extra bench
@pytest.mark.parametrize("model", throughput.MODELS)
def test_the_pytorch_network_is_ours(model):
    torch = pytest.importorskip("torch")
    from pytorch import TorchVAE

    ours = build_model(model=model, image_shape=SHAPE, channels=CHANNELS, hidden_units=UNITS, latent_dim=LATENT)
    theirs = TorchVAE(model, SHAPE, CHANNELS, UNITS, LATENT)
    theirs.set_weights(throughput.weights_of(ours))
    images = np.random.default_rng(0).random((6, *SHAPE)).astype(np.float32)
    with torch.no_grad():
        loss = float(theirs(torch.from_numpy(images.transpose(0, 3, 1, 2)), torch.zeros(6, LATENT)).mean())
    assert loss == pytest.approx(throughput.loss_without_noise(ours, tf.constant(images)), rel=1e-4)


def test_operations_of_a_bound():
    decoder = 16 * (6_272 + 100_352) + 1_605_632 + 25_600  # multiply-adds of its convolutions, the layer before them, and its first layer
    assert bounds.operations(1) == 2 * 50_000 * decoder == bounds.operations(3) / 3
