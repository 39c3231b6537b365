"""The recipes in Keras: tfdvae's own, and the convolutional VAE of Keras' code examples. Import `train` before this for the former."""

import os
import time

import keras
import numpy as np
from keras import layers, ops
from peers import neg_elbo

EPOCHS = 10**6  # without end: the limit ends a training
LATENT_DIM = 50  # of the Keras example, which has 2, for a picture of the plane


class Follow(keras.callbacks.Callback):
    """Time the training steps of every epoch, measure -ELBO after them, and stop at the target or the limit.

    The first step of a process is not timed: it is traced and compiled then.

    Args:
        progress: `peers.Progress`.
        images: for validation.
        encode, decode: as in `peers.neg_elbo`, but of the model and images or z.
        save: function of the model, called after the epoch is recorded, or None.
    """

    def __init__(self, progress, images, encode, decode, save=None):
        super().__init__()
        self.progress, self.images, self.encode, self.decode, self.save = progress, images, encode, decode, save
        self.started = False

    def on_epoch_begin(self, epoch, logs=None):
        self.progress.keep(epoch)
        self.measured, self.began = False, time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        if not self.started:
            self.started, self.began = True, time.perf_counter()

    def on_test_begin(self, logs=None):
        self.measure()  # before the package saves the epoch, so that its time is known to whoever goes on from it

    def on_epoch_end(self, epoch, logs=None):
        self.measure()
        self.model.stop_training = self.progress.ended

    def measure(self):
        if not self.measured:
            self.measured, seconds = True, time.perf_counter() - self.began
            encode, decode = (lambda x, method=method: method(self.model, x) for method in (self.encode, self.decode))
            self.progress.record(seconds, neg_elbo(self.images, encode, decode))
            if self.save:
                self.save(self.model)


def train_package(progress, images, seed, preset, **parameters):
    """Train a VAE with this package's `train.main`; a run that was stopped goes on exactly."""
    import train

    if progress.ended:
        return
    follow = Follow(
        progress,
        images["validation"],
        lambda model, batch: [np.asarray(each, np.float32) for each in model.encode(batch)],
        lambda model, z: np.asarray(model.output_of_latents(z), np.float32),
    )
    run = {"run_dir": str(progress.folder / "run"), "resume": True, "callbacks": [follow]}
    train.main(preset, model="vae", seed=seed, **run, **parameters)


class Sampling(layers.Layer):
    """Draw z from the posterior."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(1337)

    def call(self, inputs):
        mean, log_variance = inputs
        return mean + ops.exp(0.5 * log_variance) * keras.random.normal(ops.shape(mean), seed=self.seed_generator)


class KerasExample(keras.Model):
    """The VAE of https://keras.io/examples/generative/vae/ (of 2024-04-24), layer by layer, with its loss and its `train_step`.

    The sigmoid of the decoder is a layer of its own here, so that `logits` can be asked for.
    """

    def __init__(self, latent_dim=LATENT_DIM):
        super().__init__()
        like = {"strides": 2, "padding": "same", "activation": "relu"}
        images = keras.Input((28, 28, 1))
        hidden = layers.Conv2D(64, 3, **like)(layers.Conv2D(32, 3, **like)(images))
        hidden = layers.Dense(16, activation="relu")(layers.Flatten()(hidden))
        mean, log_variance = (layers.Dense(latent_dim, name=name)(hidden) for name in ("z_mean", "z_log_var"))
        self.posterior = keras.Model(images, [mean, log_variance])
        self.encoder = keras.Model(images, [mean, log_variance, Sampling()([mean, log_variance])])
        z = keras.Input((latent_dim,))
        hidden = layers.Reshape((7, 7, 64))(layers.Dense(7 * 7 * 64, activation="relu")(z))
        hidden = layers.Conv2DTranspose(32, 3, **like)(layers.Conv2DTranspose(64, 3, **like)(hidden))
        self.logits = keras.Model(z, layers.Conv2DTranspose(1, 3, padding="same")(hidden))
        self.decoder = keras.Model(z, layers.Activation("sigmoid")(self.logits.output))
        self.trackers = [keras.metrics.Mean(name=name) for name in ("total_loss", "reconstruction_loss", "kl_loss")]

    @property
    def metrics(self):
        return self.trackers

    def losses_of(self, images):
        """Return the whole loss, the reconstruction's and the KL's, each averaged over images."""
        mean, log_variance, z = self.encoder(images)
        cross_entropy = keras.losses.binary_crossentropy(images, self.decoder(z))  # a mean over the one channel
        reconstruction = ops.mean(ops.sum(cross_entropy, axis=(1, 2)))
        kl = ops.mean(ops.sum(-0.5 * (1 + log_variance - ops.square(mean) - ops.exp(log_variance)), axis=1))
        return reconstruction + kl, reconstruction, kl

    def train_step(self, data):
        import tensorflow as tf

        with tf.GradientTape() as tape:
            losses = self.losses_of(data)
        gradients = tape.gradient(losses[0], self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights))
        for tracker, loss in zip(self.trackers, losses):
            tracker.update_state(loss)
        return {tracker.name: tracker.result() for tracker in self.trackers}


def train_keras_example(progress, images, seed, batch_size=128):
    """Train the Keras example as it does, Adam with its defaults and batches of 128, for as long as it takes."""
    keras.utils.set_random_seed(seed)
    model, path = KerasExample(), progress.folder / "state.npz"
    model.compile(optimizer=keras.optimizers.Adam())
    model.optimizer.build(model.trainable_variables)
    variables = model.encoder.variables + model.logits.variables + model.optimizer.variables
    done = 0
    if path.exists():
        with np.load(path) as state:
            done = int(state["epochs"])
            for i, variable in enumerate(variables):
                variable.assign(state[f"variable{i}"])

    def save(_):
        arrays = {f"variable{i}": np.asarray(variable) for i, variable in enumerate(variables)}
        np.savez(progress.folder / "part.npz", epochs=len(progress.rows), **arrays)
        os.replace(progress.folder / "part.npz", path)

    if progress.ended:
        return
    follow = Follow(
        progress,
        images["validation"],
        lambda model, batch: [np.asarray(each) for each in model.posterior(batch)],
        lambda model, z: np.asarray(model.logits(z)),
        save,
    )
    model.fit(images["train"], batch_size=batch_size, initial_epoch=done, epochs=EPOCHS, verbose=2, callbacks=[follow])
