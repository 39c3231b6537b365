"""The networks of tfdvae's `vae` and `dvae` in plain Keras layers, trained as the Keras examples do: what a user would write first."""

import keras
import tensorflow as tf
from keras import layers


def encoder(channels, units):
    stack = []
    for n in channels:
        stack += [layers.Conv2D(n, 4, strides=2, padding="same", use_bias=False), layers.BatchNormalization(), layers.ReLU()]
    stack.append(layers.Flatten())
    for n in units:
        stack += [layers.Dense(n, use_bias=False), layers.BatchNormalization(), layers.ReLU()]
    return keras.Sequential(stack)


def decoder(image_shape, channels, units):
    height, width = (side // 2 ** len(channels) for side in image_shape[:2])
    stack = []
    for n in (*reversed(units), height * width * channels[-1]):
        stack += [layers.Dense(n, use_bias=False), layers.BatchNormalization(), layers.ReLU()]
    stack.append(layers.Reshape((height, width, channels[-1])))
    for n in reversed(channels[:-1]):
        stack += [layers.Conv2DTranspose(n, 4, strides=2, padding="same", use_bias=False), layers.BatchNormalization(), layers.ReLU()]
    stack.append(layers.Conv2DTranspose(image_shape[-1], 4, strides=2, padding="same", dtype="float32"))
    return keras.Sequential(stack)


class StockVAE(keras.Model):
    """VAE, or DVAE with a shared encoder, whose moving statistics Keras shares too."""

    def __init__(self, model, image_shape, channels, units, latent_dim):
        super().__init__()
        self.encoder = encoder(channels, units)
        self.posterior = layers.Dense(2 * latent_dim, dtype="float32")
        self.decoder = decoder(image_shape, channels, units)
        self.denoising_decoder = decoder(image_shape, channels, units) if model == "dvae" else None
        self.latent_dim = latent_dim
        self.loss_mean = keras.metrics.Mean(name="loss")

    def build(self, input_shape):
        images = tf.zeros((1, *input_shape[1:]))
        self.losses_of(images, tf.zeros((1, self.latent_dim)))
        self.built = True

    def networks(self):
        return [self.encoder, self.posterior, self.decoder, *([self.denoising_decoder] if self.denoising_decoder else [])]

    def losses_of(self, images, noise):
        """Return the loss of each image, in nats, for given noise (B, latent_dim)."""
        mean, log_variance = tf.split(self.posterior(self.encoder(images, training=True)), 2, axis=-1)
        loss = 0.5 * tf.reduce_sum(tf.exp(log_variance) + tf.square(mean) - 1.0 - log_variance, axis=-1)
        logits = self.decoder(mean + tf.exp(0.5 * log_variance) * noise, training=True)
        loss += self.cross_entropy(images, logits)
        if self.denoising_decoder is not None:
            logits = self.denoising_decoder(self.encoder(tf.sigmoid(logits), training=True), training=True)
            loss += self.cross_entropy(images, logits)
        return loss

    @staticmethod
    def cross_entropy(images, logits):
        return tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(images, logits), axis=(1, 2, 3))

    def train_step(self, images):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(self.losses_of(images, keras.random.normal((tf.shape(images)[0], self.latent_dim))))
        self.optimizer.apply_gradients(zip(tape.gradient(loss, self.trainable_weights), self.trainable_weights))
        self.loss_mean.update_state(loss)
        return {"loss": self.loss_mean.result()}
