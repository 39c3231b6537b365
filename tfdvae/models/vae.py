"""The variational autoencoder (Kingma & Welling 2014)."""

import keras
import tensorflow as tf
from keras import layers

from .autoencoder import Autoencoder
from .base import class_cross_entropy


@keras.saving.register_keras_serializable("tfdvae")
class VAE(Autoencoder):
    """Minimise kl_weight * KL(q(z|x) || p(z)) - log p(x|z), with one sample of z per image.

    Args:
        encoder: layer, images -> hidden vector. The posterior's mean and log-variance are linear functions of this vector. Its batch
            norm is built for the model's passes and the prior's.
        decoder: layer, latent -> the likelihood's parameters.
        likelihood: a likelihood from `tfdvae.likelihoods`.
        prior: a prior from `tfdvae.priors`.
        latent_dim: size of z.
        kl_weight: beta, the weight of the KL term (Higgins et al. 2017).
        kl_schedule: a schedule from `tfdvae.schedules` that raises the weight to kl_weight in training; None uses kl_weight from the
            first step. Validation always uses kl_weight, so the epochs of a run can be compared.
        label_weight: weight of a class cross-entropy on the encoder's hidden vector; 0 trains without labels.
        num_classes: number of classes, needed where label_weight is not 0.
    """

    generates = True
    config_names = (*Autoencoder.config_names, "prior", "kl_weight", "kl_schedule", "label_weight", "num_classes")
    reconstructions = ("reconstruction",)  # names of the reconstruction terms; "reconstruction" is the term of the final output
    head_name, head_size = "posterior", 2

    def __init__(self, *, prior, kl_weight=1.0, kl_schedule=None, label_weight=0.0, num_classes=0, **kwargs):
        optional = [name for name, setting in (("kl_weight", kl_schedule), ("label", label_weight)) if setting]
        self.term_names = ("loss", "neg_elbo", *self.reconstructions, "kl", "mse", *optional)
        super().__init__(**kwargs)
        self.prior, self.num_classes = prior, num_classes
        self.kl_weight, self.kl_schedule, self.label_weight = kl_weight, kl_schedule, label_weight
        self.label_head = layers.Dense(num_classes, dtype="float32", name="label_head") if label_weight else None
        if kl_schedule:
            self.present_kl_weight = self.add_weight(
                shape=(), initializer="zeros", trainable=False, dtype="float32", autocast=False, name="kl_weight"
            )

    @classmethod
    def arguments(cls, parts, passes=1):
        prior = parts.prior()
        settings = {name: getattr(parts.chosen, name) for name in ("kl_weight", "label_weight", "num_classes")}
        return super().arguments(parts, passes + prior.passes) | {"prior": prior, "kl_schedule": parts.kl_schedule(), **settings}

    def build(self, input_shape):
        super().build(input_shape)
        if self.label_head:
            self.label_head.build(self.encoder.compute_output_shape(input_shape))
        if not self.prior.built:
            self.prior.build((None, self.latent_dim))

    @property
    def label_classes(self):
        return self.num_classes if self.label_weight else 0

    @property
    def prior_pass(self):
        """Return the index of the prior's pass through the encoder. It follows the model's own passes."""
        return 1

    def encode(self, images):
        """Return the posterior's mean and log-variance, each (B, latent_dim)."""
        return self.posterior(self.checked(images))

    def posterior(self, images):
        """Return what `encode` returns; the images are not checked."""
        return self.posterior_of(self.encoder(images))

    def codes(self, images):
        return self.posterior(images)[0]

    def output(self, images, seed=None):
        mean, log_variance = self.posterior(images)
        return self.output_of_latents(mean if seed is None else self.draw_latent(mean, log_variance, seed)[0])

    def output_of_latents(self, latents):
        """Return the likelihood's parameters for the final image of each latent, (B, latent_dim): (B, H, W, C * outputs_per_channel)."""
        return self.decoder(latents)

    def decode(self, latents):
        """Return the final mean image of each latent: (B, H, W, C)."""
        return self.likelihood.mean(self.output_of_latents(latents))

    def output_of_prior(self, n, seed=0):
        """Return the likelihood's parameters for n draws from the prior; `seed` is an integer."""
        return self.output_of_latents(self.prior.sample(n, self.latent_dim, [seed, 0], self.encode_for_prior))

    def sample(self, n, seed=0):
        """Draw n latents from the prior, and return their mean images: (n, H, W, C). `seed` is an integer."""
        return self.likelihood.mean(self.output_of_prior(n, seed))

    def posterior_of(self, hidden):
        return tf.split(self.head(hidden), 2, axis=-1)

    def encode_for_prior(self, images, training=False):
        """Return mean and log-variance for the prior's pseudo-inputs, which have separate batch-norm statistics."""
        return self.posterior_of(self.encoder(images, training=training, pass_index=self.prior_pass))

    def draw_latent(self, mean, log_variance, seed=None):
        """Draw z = mean + sigma * noise, one per image (the reparametrisation of Kingma & Welling 2014, equation 10).

        Returns:
            z and the noise, each (B, latent_dim).
        """
        noise = tf.random.stateless_normal(tf.shape(mean), self.draw_seed(seed, 0))
        return mean + tf.exp(0.5 * log_variance) * noise, noise

    def kl(self, mean, log_variance, noise, training=False):
        """Return KL(q(z|x) || p(z)), or the prior's estimate from the draw with this noise: (B,), nats per image."""
        return self.prior.kl(mean, log_variance, noise, lambda images: self.encode_for_prior(images, training))

    def loss_terms(self, images, labels=None, training=False, seed=None):
        return self.elbo_terms(images, images, labels, training, seed)

    def elbo_terms(self, received, images, labels=None, training=False, seed=None):
        """Return the terms of a bound on log p(images) under the posterior of `received`, the encoder's input; both (B, H, W, C)."""
        hidden = self.encoder(received, training=training)
        mean, log_variance = self.posterior_of(hidden)
        latents, noise = self.draw_latent(mean, log_variance, seed)
        outputs = self.decoder(latents, training=training)
        terms = {
            "reconstruction": self.likelihood.negative_log_likelihood(images, outputs),
            "kl": self.kl(mean, log_variance, noise, training),
            "mse": self.mean_squared_error(images, outputs),
        }
        return self.with_loss(terms, terms["reconstruction"], labels, [hidden], training)

    def with_loss(self, terms, loss, labels, hiddens, training):
        """Return the terms with -ELBO, the label term and the loss added.

        Args:
            terms: dict with "reconstruction" and "kl".
            loss: (B,), the loss without its KL and label terms.
            labels: as in `loss_terms`.
            hiddens: hidden vectors, one for every pass through an encoder. The label term sums over them.
            training: whether the KL weight of the schedule is used.
        """
        terms["neg_elbo"] = terms["reconstruction"] + terms["kl"]
        weight = self.kl_weight
        if self.kl_schedule:
            terms["kl_weight"] = tf.ones_like(terms["kl"]) * self.present_kl_weight
            weight = terms["kl_weight"] if training else weight
        loss += weight * terms["kl"]
        if self.label_head:
            if labels is None:
                raise ValueError(f"Expected labels, since label_weight is {self.label_weight}. Received images alone.")
            head_outputs = [self.label_head(hidden) for hidden in hiddens]
            terms["label"] = tf.add_n([class_cross_entropy(labels, logits) for logits in head_outputs])
            loss += self.label_weight * terms["label"]
        return {**terms, "loss": loss}

    def notes(self, image_shape):
        return super().notes(image_shape) + [note for note in [self.prior.note] if note]

    def after_step(self, terms):
        if self.kl_schedule:
            reconstruction = tf.reduce_mean(terms["reconstruction"])
            self.present_kl_weight.assign(self.kl_schedule.next(self.present_kl_weight, self.kl_weight, reconstruction))
