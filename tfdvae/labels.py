"""Models, variants and runs by labels that a stranger reads: "VAE, β = 0.5" instead of vae_beta0.5."""

from .lettering import drawn

MODELS = {
    "ae": "autoencoder",
    "dae": "DAE",
    "vae": "VAE",
    "dvae": "DVAE",
    "im_dvae": "VAE of corrupted images (Im et al.)",
    "classifier": "classifier",
}
PRIORS = {"mixture": "mixture prior", "vampprior": "VampPrior"}
LABELLED = {"model", "kl_weight", "prior", "share_encoder", "propagate", "vae_weight"}  # parameters that `model_label` tells of


def model_label(params_dict):
    """Return the name of a run's model with all of `LABELLED` that is unusual, such as "VAE, β = 0.5, mixture prior"."""
    model, parts = params_dict["model"], []
    if model in ("vae", "dvae", "im_dvae"):
        if params_dict["kl_weight"] != 1:
            parts.append(f"β = {params_dict['kl_weight']:g}")
        if params_dict["prior"] != "normal":
            parts.append(PRIORS.get(params_dict["prior"], f"prior {params_dict['prior']}"))
    if model == "dvae":
        if not params_dict["propagate"]:
            parts.append("VAE and DAE trained apart")
        elif not params_dict["share_encoder"]:
            parts.append("DAE with its own encoder")
        if params_dict["vae_weight"] == 0:
            parts.append("only the final output trained")
        elif params_dict["vae_weight"] != 1:
            parts.append(f"VAE's weight {params_dict['vae_weight']:g}")
    return ", ".join([MODELS.get(model, model), *parts])  # a model that a user added has its own name


def variant_labels(changes, params_dicts):
    """Return variant -> label of a study's variants. Where a label cannot tell what is special, the variant's name stays.

    Args:
        changes: variant -> the parameters that it changes, a dict.
        params_dicts: variant -> every parameter of its runs, a dict.
    """
    labels = {name: model_label(params_dicts[name]) if changed.keys() <= LABELLED else name for name, changed in changes.items()}
    every = list(labels.values())
    return {name: label if every.count(label) == 1 else name for name, label in labels.items()}


def run_labels(runs):
    """Return a label for each run, the shortest kind that gives every run a different label.

    Args:
        runs: list of (every parameter, folder).
    """
    models = [model_label(params_dict) for params_dict, _ in runs]
    seeds = [f"{model}, seed {params_dict['seed']}" for model, (params_dict, _) in zip(models, runs)]
    kinds = (models, seeds, [folder.name for _, folder in runs], [str(folder) for _, folder in runs])
    return next((labels for labels in kinds if len(set(labels)) == len(labels)), kinds[-1])


def run_title(params_dict, folder):
    """Return model, dataset and name of a run for the title of a picture."""
    dataset, name = drawn(params_dict["dataset"]), drawn(folder.name, 50)
    return f"{model_label(params_dict)} on {dataset} (run {name})"
