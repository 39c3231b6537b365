"""The recipes of time_to_quality.py in PyTorch. test_time_to_quality.py runs these tests in a process without TensorFlow."""

import itertools
import sys

import numpy as np
import pytest
import torch
from conftest import ROOT

sys.path.append(str(ROOT / "benchmarks"))

import peers_torch
from peers import Progress, elbo_terms

IMAGES = 0.2 * np.random.default_rng(0).random((50, 28, 28, 1)).astype(np.float32)


def draw_of(mean, log_variance):
    """Return the z that a model in PyTorch draws first after `torch.manual_seed(3)`."""
    torch.manual_seed(3)
    return mean + np.exp(0.5 * log_variance) * torch.randn(mean.shape).numpy()


def test_pytorch_example_is_the_published_one():
    peer = peers_torch.PytorchExample(IMAGES, 0)
    parameters = 400 * (784 + 1) + 2 * 20 * (400 + 1) + 400 * (20 + 1) + 784 * (400 + 1)
    assert sum(weight.numel() for weight in peer.model.parameters()) == parameters
    assert (peer.batches.batch_size, peer.optimizer.defaults["lr"], type(peer.optimizer)) == (128, 1e-3, torch.optim.Adam)
    assert isinstance(peer.batches.sampler, torch.utils.data.RandomSampler) and not peer.batches.drop_last
    with torch.no_grad():
        torch.manual_seed(3)
        loss = float(peer.model.loss(torch.from_numpy(IMAGES)))
        mean, log_variance = peer.encode(IMAGES)
        terms = elbo_terms(IMAGES, peer.decode(draw_of(mean, log_variance)), mean, log_variance)
    assert loss == pytest.approx(terms.sum(), rel=1e-5)


def test_pythae_has_its_configuration_for_mnist(tmp_path):
    peer = peers_torch.Pythae(IMAGES, 0, tmp_path)
    pairs = itertools.pairwise((1, 128, 256, 512, 1024))
    encoder = sum(n * (16 * before + 1 + 2) for before, n in pairs) + 2 * 16 * (1024 + 1)  # 2 of batch norm
    decoder = 16 * 1024 * (16 + 1) + 512 * (9 * 1024 + 1 + 2) + 256 * (9 * 512 + 1 + 2) + (9 * 256 + 1)
    assert sum(weight.numel() for weight in peer.model.parameters()) == encoder + decoder
    batches = peer.trainer.train_loader
    assert (batches.batch_size, peer.optimizer.defaults["lr"], type(peer.optimizer)) == (100, 1e-3, torch.optim.Adam)
    assert peer.trainer.scheduler is None
    peer.model.eval()
    with torch.no_grad():
        torch.manual_seed(3)
        loss = float(peer.model({"data": peers_torch.channels_first(IMAGES)}).loss)
        mean, log_variance = peer.encode(IMAGES)
        terms = elbo_terms(IMAGES, peer.decode(draw_of(mean, log_variance)), mean, log_variance)
    assert loss == pytest.approx(terms.mean(), rel=1e-5)


@pytest.mark.parametrize("train", [peers_torch.train_pytorch_example, peers_torch.train_pythae])
def test_a_peer_goes_on_exactly(train, tmp_path, monkeypatch):
    def values(name, epochs):
        progress = Progress(tmp_path / name, 1e9)
        monkeypatch.setattr(Progress, "ended", property(lambda self: len(self.rows) >= epochs))
        train(progress, {"train": IMAGES[:40], "validation": IMAGES[40:]}, 0)
        assert [row[0] for row in progress.rows] == list(range(1, epochs + 1))
        assert all(before[1] <= after[1] for before, after in itertools.pairwise(progress.rows))
        return [row[2] for row in progress.rows]

    whole = values("whole", 3)
    assert len(set(whole)) == 3 and values("parts", 1) == whole[:1]
    assert values("parts", 3) == pytest.approx(whole, rel=1e-5)
