"""The VAE under a denoising criterion (Im et al. 2016, "Denoising Criterion for Variational Auto-Encoding Framework")."""

import keras
import tensorflow as tf

from .vae import VAE

CORRUPTIONS = 8  # corrupted copies of a test image that evaluation averages over
AVERAGED = ("neg_elbo", "reconstruction", "kl")


@keras.saving.register_keras_serializable("tfdvae")
class ImDVAE(VAE):
    """Minimise kl_weight * KL(q(z | corrupted x) || p(z)) - log p(x|z): the encoder receives a corrupted x, the decoder reconstructs x.

    The posterior of x is the mixture of q(z | corrupted x) over the corruption. Im et al.'s equation 5 is also a bound on log p(x).

    Args:
        corruption: a layer from `tfdvae.corruptions`.
        kwargs: see `VAE`.
    """

    config_names = (*VAE.config_names, "corruption")

    def __init__(self, *, corruption, **kwargs):
        super().__init__(**kwargs)
        self.corruption = corruption
        self.input_reach = corruption.reach

    @classmethod
    def arguments(cls, parts):
        return super().arguments(parts) | {"corruption": parts.corruption()}

    def loss_terms(self, images, labels=None, training=False, seed=None):
        corrupted = self.corruption(images, seed=None if seed is None else self.draw_seed(seed, 1))
        return self.elbo_terms(corrupted, images, labels, training, seed)

    def evaluation_terms(self, images, labels=None, seed=None):
        """Return the terms of two bounds on log p(x), with one sample of z per posterior.

        "neg_elbo", "reconstruction" and "kl" use the posterior of the clean image, q(z|x), as in a VAE. Terms whose names begin with
        "corrupted_" belong to Im et al.'s bound, averaged over `CORRUPTIONS` draws of the corruption.
        """
        terms = self.elbo_terms(images, images, labels, seed=seed)
        draws = [self.loss_terms(images, labels, seed=self.draw_seed(seed, 2 + i)) for i in range(CORRUPTIONS)]
        return terms | {f"corrupted_{name}": tf.add_n([draw[name] for draw in draws]) / CORRUPTIONS for name in AVERAGED}

    def notes(self, image_shape):
        return [
            *super().notes(image_shape),
            "Loss, KLD and -ELBO of an im_dvae are of the posterior of the clean test image, with one draw of z; the -ELBO of corrupted "
            f"input is Im et al.'s bound, averaged over {CORRUPTIONS} corruptions with one draw of z each. Both are bounds on log p(x); "
            "batch norm has its statistics from corrupted images, which makes the first looser than it need be",
        ]
