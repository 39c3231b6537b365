"""The declared studies: `python compare.py NAME` makes one.

A study states every parameter of its runs and of its judge, so that a changed preset does not change the study. A study with committed
results never changes: another recipe, judge or bound is another study, with a name of its own. A variant is one line: the parameters that
it changes, and the number of seeds.
"""

from tfdvae.study.plan import Bound, Study

DIGITS_RUNS = {  # float32 and not auto, so that runs on different machines belong to one study
    "dataset": "digits",
    "image_size": 0,
    "pixel_range": "unit",
    "binarize": "none",
    "validation_fraction": 0.1,
    "memory_limit": 2.0,
    "model": "dvae",
    "network": "conv",
    "channels": (),
    "hidden_units": (),
    "decoder_units": (),
    "activation": "relu",
    "batch_norm": True,
    "latent_dim": 16,
    "likelihood": "bernoulli",
    "sigma": 0.1,
    "prior": "normal",
    "prior_components": 100,
    "kl_weight": 1.0,
    "kl_schedule": "constant",
    "denoise_weight": 1.0,
    "vae_weight": 1.0,
    "share_encoder": True,
    "propagate": True,
    "label_weight": 0.0,
    "corruption": "gaussian:0.3",
    "gate": False,
    "shift": 0.0,
    "blur": 0.0,
    "flip": False,
    "epochs": 30,
    "batch_size": 64,
    "learning_rate": 2e-3,
    "learning_rate_schedule": "cosine_hold",
    "precision": "float32",
    "seed": 0,
    "run_dir": "",
}
DIGITS_JUDGE = DIGITS_RUNS | {"model": "classifier", "shift": 0.1, "learning_rate_schedule": "cosine"}
MNIST_5K_RUNS = DIGITS_RUNS | {
    "dataset": "mnist_5k",
    "resize": "crop",
    "background": "white",
    "channels": (16, 32),
    "hidden_units": (512,),
    "latent_dim": 20,
    "batch_size": 128,
    "learning_rate": 1e-2,
}
MNIST_5K_JUDGE = MNIST_5K_RUNS | {
    "model": "classifier",
    "shift": 0.1,
    "blur": 1.0,
    "epochs": 12,
    "batch_size": 32,
    "learning_rate": 1e-3,
    "learning_rate_schedule": "cosine",
}
MNIST_RUNS = DIGITS_RUNS | {"dataset": "mnist", "latent_dim": 50, "batch_size": 128, "learning_rate": 1e-2}
MNIST_JUDGE = DIGITS_JUDGE | {"dataset": "mnist", "latent_dim": 50, "epochs": 10, "batch_size": 128, "learning_rate": 3e-3}
MNIST_FAST_RUNS = MNIST_RUNS | {
    "resize": "crop",
    "background": "white",
    "network": "s2d",
    "channels": (32, 32),
    "hidden_units": (512,),
    "epochs": 9,
    "learning_rate_schedule": "linear",
    "beta_2": 0.95,
    "weight_decay": 0.1,
}
MNIST_FAST_JUDGE = MNIST_JUDGE | {"resize": "crop", "background": "white", "beta_2": 0.999, "weight_decay": 0.0}
CIFAR10_RUNS = DIGITS_RUNS | {"dataset": "cifar10", "latent_dim": 100, "flip": True, "epochs": 10, "learning_rate": 1e-3}
CIFAR10_JUDGE = CIFAR10_RUNS | {
    "model": "classifier",
    "shift": 0.125,
    "blur": 2.0,
    "epochs": 12,
    "learning_rate": 2e-3,
    "learning_rate_schedule": "cosine",
}
MNIST_VARIANTS = {  # every variant of the curve has five seeds, so that all five have the whole curve
    "vae": ({"model": "vae"}, 5),
    "dvae": ({"model": "dvae"}, 5),
    "vae_beta0.5": ({"model": "vae", "kl_weight": 0.5}, 5),
    "vae_beta0.7": ({"model": "vae", "kl_weight": 0.7}, 5),  # near a dvae's rate, where interpolation should be short
    "vae_beta0.25": ({"model": "vae", "kl_weight": 0.25}, 5),
    "vae_beta2": ({"model": "vae", "kl_weight": 2.0}, 5),
    "vae_beta4": ({"model": "vae", "kl_weight": 4.0}, 5),  # dvae_final_only spends less than the vae_beta2
    "dvae_own_encoder": ({"model": "dvae", "share_encoder": False}, 3),
    "dvae_two_stage": ({"model": "dvae", "share_encoder": False, "propagate": False}, 3),
    "dvae_final_only": ({"model": "dvae", "vae_weight": 0.0}, 3),
    "im_dvae": ({"model": "im_dvae"}, 3),
    "vae_mixture": ({"model": "vae", "prior": "mixture"}, 3),
    "dvae_mixture": ({"model": "dvae", "prior": "mixture"}, 3),
}
MNIST_CURVE = ("vae_beta0.25", "vae_beta0.5", "vae_beta0.7", "vae", "vae_beta2", "vae_beta4")
FEW_VARIANTS = {
    "vae": ({"model": "vae"}, 3),
    "dvae": ({"model": "dvae"}, 3),
    "vae_beta0.5": ({"model": "vae", "kl_weight": 0.5}, 3),
    "vae_beta0.7": ({"model": "vae", "kl_weight": 0.7}, 3),  # near a dvae's rate; a curve of two VAEs shows no gain on CIFAR-10
}
FEW_CURVE = ("vae_beta0.5", "vae_beta0.7", "vae")
STUDIES = {
    "mnist_5k": Study(  # the first study of a newcomer: under a quarter of an hour from nothing
        params_dict=MNIST_5K_RUNS,
        judge_dict=MNIST_5K_JUDGE,
        variants=FEW_VARIANTS,
        curve=FEW_CURVE,
    ),
    "mnist_fast": Study(  # all of MNIST in an evening
        params_dict=MNIST_FAST_RUNS,
        judge_dict=MNIST_FAST_JUDGE,
        variants=FEW_VARIANTS,
        curve=FEW_CURVE,
        bounds=(Bound(500, 1_000, ("vae", "dvae"), 3),),
    ),
    "digits": Study(
        params_dict=DIGITS_RUNS,
        judge_dict=DIGITS_JUDGE,
        variants={
            "vae": ({"model": "vae"}, 3),
            "dvae": ({"model": "dvae"}, 3),
            "vae_beta0.5": ({"model": "vae", "kl_weight": 0.5}, 3),
        },
        curve=("vae", "vae_beta0.5"),
        bounds=(Bound(500, 180, ("vae", "dvae", "vae_beta0.5"), 3), Bound(5_000, 20, ("vae", "dvae", "vae_beta0.5"), 3)),
    ),
    "mnist": Study(
        params_dict=MNIST_RUNS,
        judge_dict=MNIST_JUDGE,
        variants=MNIST_VARIANTS,
        curve=MNIST_CURVE,
    ),
    "mnist_short": Study(  # less than half the epochs, which leaves time for bounds on log p(x)
        params_dict=MNIST_RUNS | {"epochs": 12},
        judge_dict=MNIST_JUDGE,
        variants=MNIST_VARIANTS,
        curve=MNIST_CURVE,
        bounds=(
            Bound(500, 10_000, ("vae", "dvae"), 2),  # a dvae's takes longer than its training
            Bound(5_000, 200, ("vae", "dvae", "vae_beta0.5", "vae_mixture", "dvae_mixture"), 3),
        ),
    ),
    "cifar10": Study(
        params_dict=CIFAR10_RUNS,
        judge_dict=CIFAR10_JUDGE,
        variants=FEW_VARIANTS,
        curve=FEW_CURVE,
        convergence_tolerance=1.0,
    ),
}
DEFAULT_STUDY = "mnist_5k"
