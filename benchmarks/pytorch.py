"""The networks of tfdvae's `vae` and `dvae` in PyTorch: channels-last, fused Adam, autocast for bfloat16."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


def norm(kind, n):
    return kind(n, eps=1e-3, momentum=0.05)


class Encoder(nn.Module):
    def __init__(self, image_shape, channels, units):
        super().__init__()
        height, width, inputs = image_shape
        convolutions = []
        for n in channels:
            convolutions += [nn.Conv2d(inputs, n, 4, 2, 1, bias=False), norm(nn.BatchNorm2d, n), nn.ReLU()]
            inputs = n
        self.convolutions = nn.Sequential(*convolutions)
        inputs *= (height // 2 ** len(channels)) * (width // 2 ** len(channels))
        dense = []
        for n in units:
            dense += [nn.Linear(inputs, n, bias=False), norm(nn.BatchNorm1d, n), nn.ReLU()]
            inputs = n
        self.dense = nn.Sequential(*dense)

    def forward(self, images):
        return self.dense(self.convolutions(images).permute(0, 2, 3, 1).flatten(1))  # height, width, channels, as TensorFlow flattens


class Decoder(nn.Module):
    def __init__(self, image_shape, channels, units, inputs):
        super().__init__()
        self.shape = (image_shape[0] // 2 ** len(channels), image_shape[1] // 2 ** len(channels), channels[-1])
        dense = []
        for n in (*reversed(units), int(np.prod(self.shape))):
            dense += [nn.Linear(inputs, n, bias=False), norm(nn.BatchNorm1d, n), nn.ReLU()]
            inputs = n
        self.dense = nn.Sequential(*dense)
        inputs, convolutions = channels[-1], []
        for n in reversed(channels[:-1]):
            convolutions += [nn.ConvTranspose2d(inputs, n, 4, 2, 1, bias=False), norm(nn.BatchNorm2d, n), nn.ReLU()]
            inputs = n
        self.convolutions = nn.Sequential(*convolutions, nn.ConvTranspose2d(inputs, image_shape[-1], 4, 2, 1))

    def forward(self, latents):
        return self.convolutions(self.dense(latents).unflatten(1, self.shape).permute(0, 3, 1, 2))


class TorchVAE(nn.Module):
    """VAE, or DVAE with a shared encoder."""

    def __init__(self, model, image_shape, channels, units, latent_dim):
        super().__init__()
        self.encoder = Encoder(image_shape, channels, units)
        self.posterior = nn.Linear(units[-1], 2 * latent_dim)
        self.decoder = Decoder(image_shape, channels, units, latent_dim)
        self.denoising_decoder = Decoder(image_shape, channels, units, units[-1]) if model == "dvae" else None

    def forward(self, images, noise):
        """Return the loss of each image, in nats: images (B, C, H, W), noise (B, latent_dim)."""
        mean, log_variance = self.posterior(self.encoder(images)).float().chunk(2, dim=1)
        loss = 0.5 * (log_variance.exp() + mean.square() - 1.0 - log_variance).sum(1)
        logits = self.decoder(mean + (0.5 * log_variance).exp() * noise).float()
        loss = loss + self.cross_entropy(images, logits)
        if self.denoising_decoder is not None:
            logits = self.denoising_decoder(self.encoder(logits.sigmoid())).float()
            loss = loss + self.cross_entropy(images, logits)
        return loss

    @staticmethod
    def cross_entropy(images, logits):
        return F.binary_cross_entropy_with_logits(logits, images, reduction="none").sum((1, 2, 3))

    def set_weights(self, arrays):
        """Take trainable weights in tfdvae's order and layout."""
        arrays = iter(arrays)
        for module in self.modules():
            for _, weight in module.named_parameters(recurse=False):
                array = next(arrays)
                if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and array.ndim == 4:
                    array = array.transpose(3, 2, 0, 1)
                elif isinstance(module, nn.Linear) and array.ndim == 2:
                    array = array.T
                with torch.no_grad():
                    weight.copy_(torch.from_numpy(np.ascontiguousarray(array)))
