"""The recipes in PyTorch: pythae's VAE, and the VAE of PyTorch's examples. Both hold all images in memory as floats."""

import os
import time

import numpy as np
import torch
from peers import neg_elbo
from torch import nn
from torch.nn import functional as F


def train_peer(peer, progress, images):
    """Train until the target is passed or the limit reached; go on from the saved state where there is one.

    Args:
        peer: with `model`, `optimizer`, `encode`, `decode` and `train_epoch`, which returns the seconds of its steps but the first.
        progress: `peers.Progress`.
        images: for validation.
    """
    path, done = progress.folder / "state.pt", 0
    if path.exists():
        state = torch.load(path)
        done = state["epochs"]
        peer.model.load_state_dict(state["model"])
        peer.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["generator"])
    if not progress.ended:
        progress.keep(done)
    while not progress.ended:
        peer.model.train()
        seconds = peer.train_epoch()
        peer.model.eval()
        with torch.no_grad():
            progress.record(seconds, neg_elbo(images, peer.encode, peer.decode))
        state = {"epochs": len(progress.rows), "model": peer.model.state_dict(), "optimizer": peer.optimizer.state_dict()}
        torch.save(state | {"generator": torch.get_rng_state()}, progress.folder / "part.pt")
        os.replace(progress.folder / "part.pt", path)


def channels_first(images):
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


class ExampleVAE(nn.Module):
    """The VAE of https://github.com/pytorch/examples/blob/main/vae/main.py: 784, 400, 20, 400 and 784 units."""

    def __init__(self):
        super().__init__()
        self.hidden, self.mean, self.log_variance = nn.Linear(784, 400), nn.Linear(400, 20), nn.Linear(400, 20)
        self.decoder = nn.Sequential(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784))

    def encode(self, images):
        hidden = F.relu(self.hidden(images.view(-1, 784)))
        return self.mean(hidden), self.log_variance(hidden)

    def loss(self, images):
        """Return the example's loss: cross-entropy plus KL, both summed over the batch."""
        mean, log_variance = self.encode(images)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        outputs = torch.sigmoid(self.decoder(z))
        cross_entropy = F.binary_cross_entropy(outputs, images.view(-1, 784), reduction="sum")
        return cross_entropy - 0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())


class PytorchExample:
    """The example's training: Adam with rate 1e-3 on shuffled batches of 128."""

    def __init__(self, images, seed, batch_size=128):
        torch.manual_seed(seed)
        self.model, self.steps = ExampleVAE(), 0
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        self.batches = torch.utils.data.DataLoader(channels_first(images), batch_size=batch_size, shuffle=True)

    def train_epoch(self):
        began = time.perf_counter()
        for batch in self.batches:
            self.optimizer.zero_grad()
            loss = self.model.loss(batch)
            loss.backward()
            loss.item()  # the example adds them up
            self.optimizer.step()
            if not self.steps:
                began = time.perf_counter()
            self.steps += 1
        return time.perf_counter() - began

    def encode(self, images):
        return [each.numpy() for each in self.model.encode(torch.from_numpy(images))]

    def decode(self, z):
        return self.model.decoder(torch.from_numpy(z)).numpy()


class Pythae:
    """pythae's VAE, networks and trainer, from PyPI, as `examples/scripts/training.py --dataset mnist --model_name vae` runs them.

    https://github.com/clementchadebec/benchmark_VAE/blob/main/examples/scripts has the settings. That script's default networks are
    "convnet". `configs/mnist/vae_config.json` has a latent of 16, and `configs/mnist/base_training_config.json` batches of 100 and a
    learning rate of 1e-3; all else is pythae's default: Adam, no schedule. One setting differs: reconstruction_loss is "bce" in place of
    "mse", whose -ELBO is that of another likelihood.
    """

    def __init__(self, images, seed, folder, batch_size=100):
        from pythae.data.datasets import BaseDataset
        from pythae.models import VAE, VAEConfig
        from pythae.models.nn.benchmarks.mnist import Decoder_Conv_AE_MNIST, Encoder_Conv_VAE_MNIST
        from pythae.trainers import BaseTrainer, BaseTrainerConfig
        from pythae.trainers.training_callbacks import TrainingCallback

        class FirstStep(TrainingCallback):
            def on_train_step_end(this, training_config, **kwargs):  # `self` is the recipe
                if not self.steps:
                    self.began = time.perf_counter()
                self.steps += 1

        torch.manual_seed(seed)
        config = VAEConfig(input_dim=(1, 28, 28), latent_dim=16, reconstruction_loss="bce")
        model = VAE(config, encoder=Encoder_Conv_VAE_MNIST(config), decoder=Decoder_Conv_AE_MNIST(config))
        settings = {"per_device_train_batch_size": batch_size, "learning_rate": 1e-3, "seed": seed, "no_cuda": True}
        training = BaseTrainerConfig(output_dir=str(folder / "pythae"), **settings)
        data = BaseDataset(channels_first(images), torch.ones(len(images)))
        self.trainer = BaseTrainer(model, data, training_config=training, callbacks=[FirstStep()])
        self.trainer.prepare_training()
        self.model, self.optimizer, self.steps, self.epoch = model, self.trainer.optimizer, 0, 0

    def train_epoch(self):
        self.epoch += 1
        self.began = time.perf_counter()
        self.trainer.train_step(self.epoch)
        return time.perf_counter() - self.began

    def encode(self, images):
        found = self.model.encoder(channels_first(images))
        return [found.embedding.numpy(), found.log_covariance.numpy()]

    def decode(self, z):
        *layers, (last, _) = self.model.decoder.layers  # without the sigmoid
        hidden = layers[0](torch.from_numpy(z)).reshape(-1, 1024, 4, 4)
        return last(nn.Sequential(*layers[1:])(hidden)).numpy()


def train_pytorch_example(progress, images, seed):
    """Train the VAE of PyTorch's examples."""
    train_peer(PytorchExample(images["train"], seed), progress, images["validation"])


def train_pythae(progress, images, seed):
    """Train pythae's VAE."""
    train_peer(Pythae(images["train"], seed, progress.folder), progress, images["validation"])
