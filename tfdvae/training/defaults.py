"""Defaults for a dataset that no preset names, from its images' shape and their number. It needs no TensorFlow.

"Photos" below are 300 images of CIFAR-10, enlarged to 64x64. Numbers are a VAE's lowest -ELBO of validation images, in nats, over 60 epochs
unless a comment says otherwise. Each is from one run, of seed 0.
"""

import math

from ..errors import counted

SMALL, MEDIUM = 32 * 32, 64 * 64  # pixels
FEW, MANY = 2_000, 10_000  # images


def fitting(image_shape, images, model):
    """Return the parameters that fit a dataset (dict); all others keep the defaults of `Params`.

    Args:
        image_shape: height, width and channels.
        images: number of training images.
        model: name of the model.
    """
    batch_size = _batch_size(images)
    sizes = {} if model == "classifier" else _sizes(image_shape, images)  # a classifier has a network of its own
    epochs = _epochs(image_shape, math.ceil(images / batch_size))
    values = sizes | {"batch_size": batch_size, "epochs": epochs, "learning_rate": 1e-3}  # on photos 2e-3 reaches 7508, this 7505
    if model == "classifier":
        values |= {"epochs": math.ceil(0.4 * epochs), "shift": 0.1}  # as in the presets of classifiers
    if batch_size == 1:
        values["batch_norm"] = False  # the statistics of one image are the image itself
    return values


def _sizes(image_shape, images):
    """Return the network's parameters (dict)."""
    height, width, colours = image_shape
    pixels = height * width
    # The presets' sizes: 16 for 64 pixels, 50 for 784, 100 for 3,072 values.
    latent_dim = min(128, max(16, 2 ** round(math.log2(2 * math.sqrt(math.prod(image_shape))))))
    # Dense layers learn the colours of a few photos better, in half the time: on photos 256 units reach 7546, 512 units 7505 (in twice the
    # time again), convolutions 7602. On 1,000 images of CIFAR-10 512 units reach 1901.6, convolutions 1907.3. On 4,000 of them convolutions
    # are ahead after 20 epochs (1868.0, 1872.6), and on 1,000 of MNIST, too (115.9, 122.2). Larger images would take too many weights.
    if min(height, width) < 4 or (colours == 3 and images < FEW and pixels <= MEDIUM):  # a 4x4 kernel would see mostly its padding
        return {"network": "mlp", "hidden_units": (512 if pixels <= SMALL else 256,), "latent_dim": latent_dim}
    # Halve to about 8x8 positions, but twice at least, as the digits preset does. On photos a stop at 16x16 with 512 units reaches 7590.
    halvings = max(2, math.ceil(math.log2(pixels / 64) / 2))
    first = 64 if images >= MANY and colours == 3 else 32  # as in the cifar10 preset; on photos a start with 16 filters reaches 7605
    return {
        "channels": (first, *[2 * first] * (halvings - 1)),
        "hidden_units": (512 if pixels <= SMALL else 1024,),  # 512 are the network's own
        "latent_dim": latent_dim,
    }


def _batch_size(images):
    """Return the images per step: small batches for few images, and no last batch of one image, which batch norm cannot use."""
    size = min(images, 16 if images < 1000 else 32 if images < 5000 else 64)
    while images > 1 and images % size == 1:
        size += 1
    return size


def _epochs(image_shape, steps_per_epoch):
    """Return the passes over the training images."""
    height, width, _ = image_shape
    steps = 4000 if height * width <= SMALL else 1250  # of photos, two minutes on two cores
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
