"""Schedules for the weight of the KL term. The weight starts at zero; a schedule computes the next step's weight from this step's."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tfdvae")
class Linear:
    """Raise the weight from zero to the full weight in equal steps (Bowman et al. 2016; Sønderby et al. 2016).

    Args:
        steps: number of training steps to the full weight.
    """

    def __init__(self, steps):
        self.steps = steps

    def next(self, weight, full, reconstruction):
        """Return the weight after a step.

        Args:
            weight: the weight in that step.
            full: the full weight, the maximum.
            reconstruction: mean of the step's reconstruction term, nats per image.
        """
        return tf.minimum(weight + full / self.steps, full)

    def get_config(self):
        return {"steps": self.steps}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


@keras.saving.register_keras_serializable("tfdvae")
class Wait:
    """Keep the weight at zero until a step's reconstruction term is below a threshold, then raise it by a fixed amount at every step.

    Args:
        threshold: nats per image.
        step: amount added to the weight at every step.
    """

    def __init__(self, threshold, step):
        self.threshold, self.step = threshold, step

    def next(self, weight, full, reconstruction):
        """Return the weight after a step; see `Linear.next`."""
        rising = (weight > 0.0) | (reconstruction < self.threshold)
        return tf.where(rising, tf.minimum(weight + self.step, full), weight)

    def get_config(self):
        return {"threshold": self.threshold, "step": self.step}

    @classmethod
    def from_config(cls, config):
        return cls(**config)
