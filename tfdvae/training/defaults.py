"""Defaults for a dataset that no preset names, from its images' shape and their number. It needs no TensorFlow.

"Photos" below are 243 training images of 64x64x3: crops of two photographs, and images of CIFAR-10. Numbers on them are the
-ELBO of 27 validation images in nats, the lowest of a VAE's 40 epochs; every number is from one run, of seed 0.
"""

import math

from ..errors import counted

SMALL = 32 * 32  # pixels


def fitting(image_shape, images, model):
    """Return the parameters that fit a dataset (dict); all others keep the defaults of `Params`.

    Args:
        image_shape: height, width and channels.
        images: number of training images.
        model: name of the model.
    """
    batch_size = _batch_size(images)
    epochs = _epochs(image_shape, math.ceil(images / batch_size))
    sizes = {} if model == "classifier" else _sizes(image_shape, images)  # a classifier has a network of its own
    values = sizes | {"batch_size": batch_size, "epochs": epochs, "learning_rate": 1e-3}  # on photos 2e-3 reaches 7019, this 6935
    if model == "classifier":
        values |= {"epochs": math.ceil(0.4 * epochs), "shift": 0.1}  # as in the presets of classifiers
    if batch_size == 1:
        values["batch_norm"] = False  # the statistics of one image are the image itself
    return values


def _sizes(image_shape, images):
    """Return the network's parameters (dict)."""
    height, width, colours = image_shape
    small, many = height * width <= SMALL, images >= 10_000
    # The presets' sizes: 16 for 64 pixels, 50 for 784, 100 for 3,072 values.
    latent_dim = min(128, max(16, 2 ** round(math.log2(2 * math.sqrt(math.prod(image_shape))))))
    # 512 are the network's own. On photos 1,024 reach 6856, 256 (with twice the filters in the third layer) 6921: they learn too slowly.
    values = {"hidden_units": (512 if small else 1024,), "latent_dim": latent_dim}
    if min(height, width) < 4:
        return {"network": "mlp"} | values  # a 4x4 kernel would see mostly its padding
    # Halve to about 8x8 positions, but twice at least, as the digits preset does. On photos, with 256 or 512 units, 8x8 reach 6921, 4x4
    # 6935, and 16x16, which have twice the parameters, 6913.
    halvings = max(2, math.ceil(math.log2(height * width / 64) / 2))
    # 32 filters, then 64. On photos a start with 16 is worse (7024, with 32 6935). Many colour images get more, as in the cifar10 preset.
    first = 64 if many and colours == 3 else 32
    return {"channels": (first, *[2 * first] * (halvings - 1))} | values


def _batch_size(images):
    """Return the images per step: small batches for few images, and no last batch of one image, which batch norm cannot use."""
    size = min(images, 16 if images < 1000 else 32 if images < 5000 else 64)
    while images > 1 and images % size == 1:
        size += 1
    return size


def _epochs(image_shape, steps_per_epoch):
    """Return the passes over the training images."""
    height, width, _ = image_shape
    steps = 4000 if height * width <= SMALL else 1250  # on photos a DVAE's 1,280 take 204 s of processor time
    return max(25, min(200, 5 * round(steps / steps_per_epoch / 5)))


def completed(params_dict, given, image_shape, images):
    """Return parameters with the fitting defaults, and the text that reports these, or "": a heading, and a line of options to paste.

    Args:
        params_dict: every parameter.
        given: names of the parameters that the user gave; they stay.
        image_shape: height, width and channels.
        images: number of training images.
    """
    values = fitting(image_shape, images, params_dict["model"])
    if "network" in given and params_dict["network"] != "conv":  # its own sizes fit it better
        given = {*given, "channels", "hidden_units"}
    if "channels" in given and params_dict["channels"]:  # they need convolutions
        given = {*given, "network"}
    values = {name: value for name, value in values.items() if name not in given}
    shape = "x".join(map(str, image_shape))
    report = f"Defaults for {counted(images, 'training image')} of {shape}:\n  {as_flags(values)}" if values else ""
    return params_dict | values, report


def as_flags(values):
    """Return parameters as options of train.py."""
    words = []
    for name, value in values.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}", *map(str, value if isinstance(value, tuple) else (value,))]
    return " ".join(words)
