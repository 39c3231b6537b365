"""The variational autoencoder (Kingma & Welling 2014)."""

import keras
import tensorflow as tf
from keras import layers

from .base import Model


@keras.saving.register_keras_serializable("tfdvae")
class VAE(Model):
    """Minimises kl_weight * KL(q(z|x) || p(z)) - log p(x|z), with one sample of z per image.

    Args:
        encoder: layer, images -> hidden vector; mean and log-variance of the posterior are read off it.
        decoder: layer, latent -> the likelihood's parameters.
        likelihood: of `tfdvae.likelihoods`.
        prior: of `tfdvae.priors`.
        latent_dim: size of z.
        kl_weight: beta, the weight of the KL term (Higgins et al. 2017).
        label_weight: weight of a class cross-entropy on the encoder's hidden vector, R0's supervision; 0 leaves training unsupervised.
        num_classes: number of classes, needed where label_weight is not 0.
    """

    config_names = ("encoder", "decoder", "likelihood", "prior", "latent_dim", "kl_weight", "label_weight", "num_classes")
    reconstructions = ("reconstruction",)  # names of the reconstruction terms; "reconstruction" is the final output's

    def __init__(self, encoder, decoder, likelihood, prior, latent_dim, kl_weight=1.0, label_weight=0.0, num_classes=0, **kwargs):
        label = ("label",) if label_weight else ()
        self.term_names = ("loss", "neg_elbo", *self.reconstructions, "kl", *label)
        super().__init__(**kwargs)
        self.encoder, self.decoder = encoder, decoder
        self.likelihood, self.prior = likelihood, prior
        self.latent_dim, self.num_classes = latent_dim, num_classes
        self.kl_weight, self.label_weight = kl_weight, label_weight
        self.posterior = layers.Dense(2 * latent_dim, dtype="float32", name="posterior")
        self.label_head = layers.Dense(num_classes, dtype="float32", name="label_head") if label_weight else None

    def build(self, input_shape):
        self.encoder.build(input_shape)
        hidden = self.encoder.compute_output_shape(input_shape)
        self.posterior.build(hidden)
        self.decoder.build((None, self.latent_dim))
        if self.label_head:
            self.label_head.build(hidden)
        self.built = True

    def encode(self, images):
        """Return the posterior's mean and log-variance, each (B, latent_dim)."""
        return self.posterior_of(self.encoder(images))

    def decode(self, latents):
        """Return the mean image of each latent: (B, H, W, C)."""
        return self.likelihood.mean(self.decoder(latents))

    def reconstruct(self, images, seed=None):
        """Return the mean output of each image: (B, H, W, C).

        Args:
            images: (B, H, W, C), scaled as in training.
            seed: pair of integers to sample z with; None decodes the posterior's mean.
        """
        mean, log_variance = self.encode(images)
        return self.decode(mean if seed is None else self.draw_latent(mean, log_variance, seed))

    def sample(self, n, seed=0):
        """Draw n images from the prior through the decoder, as mean images: (n, H, W, C). `seed` is an integer."""
        return self.decode(self.prior.sample(n, self.latent_dim, [seed, 0]))

    def call(self, images, training=False):
        return self.reconstruct(images)

    def posterior_of(self, hidden):
        return tf.split(self.posterior(hidden), 2, axis=-1)

    def draw_latent(self, mean, log_variance, seed=None):
        """Draw z = mean + sigma * noise, one per image (the reparametrisation of Kingma & Welling 2014, equation 10)."""
        return mean + tf.exp(0.5 * log_variance) * tf.random.stateless_normal(tf.shape(mean), self.draw_seed(seed, 0))

    def loss_terms(self, images, labels=None, training=False, seed=None):
        hidden = self.encoder(images, training=training)
        mean, log_variance = self.posterior_of(hidden)
        outputs = self.decoder(self.draw_latent(mean, log_variance, seed), training=training)
        terms = {
            "reconstruction": self.likelihood.negative_log_likelihood(images, outputs),
            "kl": self.prior.kl(mean, log_variance),
        }
        loss = self.kl_weight * terms["kl"] + terms["reconstruction"]
        return self.complete(terms, loss, labels, [hidden])

    def complete(self, terms, loss, labels, hiddens):
        """Add -ELBO, the label term over every pass through an encoder, and the loss, to the terms."""
        terms["neg_elbo"] = terms["reconstruction"] + terms["kl"]
        if self.label_head:
            if labels is None:
                raise ValueError(f"Expected labels, since label_weight is {self.label_weight}. Received images alone.")
            logits = [self.label_head(hidden) for hidden in hiddens]
            terms["label"] = tf.add_n([tf.nn.sparse_softmax_cross_entropy_with_logits(labels, each) for each in logits])
            loss += self.label_weight * terms["label"]
        return {**terms, "loss": loss}
