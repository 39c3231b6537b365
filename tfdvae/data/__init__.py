"""Named datasets to training, validation and test pipelines of float32 images."""

from .load import check_unchanged, dataset_arguments, describe, load_dataset, load_recorded
from .pipeline import TEST, TRAIN, VALIDATION, Dataset, images_and_labels, images_of

__all__ = [
    "TEST",
    "TRAIN",
    "VALIDATION",
    "Dataset",
    "check_unchanged",
    "dataset_arguments",
    "describe",
    "images_and_labels",
    "images_of",
    "load_dataset",
    "load_recorded",
]
