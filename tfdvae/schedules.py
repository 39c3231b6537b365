"""The weight of the KL term over training. It starts at zero; a schedule says what follows the weight of one step."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tfdvae")
class Linear:
    """Rises from zero to the full weight in equal steps (Bowman et al. 2016; Sønderby et al. 2016).

    Args:
        steps: training steps until the full weight.
    """

    def __init__(self, steps):
        self.steps = steps

    def next(self, weight, full, reconstruction):
        """Return the weight after a step.

        Args:
            weight: of that step.
            full: the weight that is never exceeded.
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
    """Stays zero until a step's reconstruction term lies below a threshold, then rises by the same amount each step (R4).

    Args:
        threshold: nats per image.
        step: added to the weight at each step.
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
