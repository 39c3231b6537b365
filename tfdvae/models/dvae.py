"""The denoising variational autoencoder: a denoising autoencoder cleans a VAE's output, and both are trained together."""

import keras
import tensorflow as tf

from .vae import VAE


@keras.saving.register_keras_serializable("tfdvae")
class DVAE(VAE):
    """Minimise kl_weight * KL + vae_weight * reconstruction of the VAE's output + denoise_weight * reconstruction of the DAE's output.

    The VAE's mean output is the DAE's input. The DAE's code is the encoder's hidden vector: no sampling, no KL. "reconstruction" is
    the term of the DAE's output, the final output. "vae_reconstruction" is the term of the VAE's output.

    Args:
        denoising_encoder: the DAE's encoder, or None to share the VAE's. A shared encoder needs batch norm for two passes.
        denoising_decoder: layer, hidden vector -> the likelihood's parameters.
        denoise_weight: weight of the DAE's reconstruction.
        vae_weight: weight of the VAE's reconstruction. At 0 the VAE's output need not look like the image: the model is one VAE
            with a deeper decoder.
        propagate: whether the DAE's gradient reaches the VAE. If not, the two are trained side by side, and the DAE needs its own
            denoising_encoder.
        kwargs: see `VAE`.
    """

    config_names = (*VAE.config_names, "denoising_encoder", "denoising_decoder", "denoise_weight", "vae_weight", "propagate")
    reconstructions = ("reconstruction", "vae_reconstruction")

    def __init__(self, *, denoising_decoder, denoising_encoder=None, denoise_weight=1.0, vae_weight=1.0, propagate=True, **kwargs):
        if denoising_encoder is None and not propagate:
            raise ValueError("Expected a denoising_encoder with propagate=False. Received None, which means a shared encoder.")
        super().__init__(**kwargs)
        self.denoising_encoder, self.denoising_decoder = denoising_encoder, denoising_decoder
        self.denoise_weight, self.vae_weight, self.propagate = denoise_weight, vae_weight, propagate

    @classmethod
    def arguments(cls, parts):
        shared = parts.chosen.share_encoder
        return super().arguments(parts, passes=2 if shared else 1) | {
            "denoising_encoder": None if shared else parts.encoder("denoising_encoder"),
            "denoising_decoder": parts.decoder("denoising_decoder"),
            "denoise_weight": parts.chosen.denoise_weight,
            "vae_weight": parts.chosen.vae_weight,
            "propagate": parts.chosen.propagate,
        }

    def build(self, input_shape):
        super().build(input_shape)
        if self.denoising_encoder is not None:
            self.denoising_encoder.build(input_shape)
        self.denoising_decoder.build(self.encoder.compute_output_shape(input_shape))

    def denoise(self, images, training=False):
        """Return the DAE's hidden vector and the likelihood's parameters that it decodes to."""
        if self.denoising_encoder is None:
            hidden = self.encoder(images, training=training, pass_index=1)
        else:
            hidden = self.denoising_encoder(images, training=training)
        return hidden, self.denoising_decoder(hidden, training=training)

    @property
    def prior_pass(self):
        return 2 if self.denoising_encoder is None else 1

    def decode_vae(self, latents):
        """Return the VAE's mean images, before denoising: (B, H, W, C)."""
        return self.likelihood.mean(self.decoder(latents))

    def output_of_latents(self, latents):
        return self.decode_both(latents)[1]

    def decode_both(self, latents, training=False):
        """Return the likelihood's parameters of the VAE's output and of the final output, and the DAE's hidden vector."""
        vae_outputs = self.decoder(latents, training=training)
        distorted = self.likelihood.mean(vae_outputs)
        hidden, outputs = self.denoise(distorted if self.propagate else tf.stop_gradient(distorted), training)
        return vae_outputs, outputs, hidden

    def both_outputs(self, images, seed=None):
        """Return the likelihood's parameters of the VAE's output and of the final output, of one sample of z per image.

        Args:
            images: (B, H, W, C); not checked.
            seed: as in `reconstruct`; with the same seed the second is `output`.
        """
        mean, log_variance = self.posterior(images)
        return self.decode_both(mean if seed is None else self.draw_latent(mean, log_variance, seed)[0])[:2]

    def loss_terms(self, images, labels=None, training=False, seed=None):
        hidden = self.encoder(images, training=training)
        mean, log_variance = self.posterior_of(hidden)
        latents, noise = self.draw_latent(mean, log_variance, seed)
        vae_outputs, outputs, dae_hidden = self.decode_both(latents, training)
        terms = {
            "reconstruction": self.likelihood.negative_log_likelihood(images, outputs),
            "vae_reconstruction": self.likelihood.negative_log_likelihood(images, vae_outputs),
            "kl": self.kl(mean, log_variance, noise, training),
            "mse": self.mean_squared_error(images, outputs),
        }
        loss = self.vae_weight * terms["vae_reconstruction"] + self.denoise_weight * terms["reconstruction"]
        return self.with_loss(terms, loss, labels, [hidden, dae_hidden], training)
