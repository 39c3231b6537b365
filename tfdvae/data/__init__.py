"""Named datasets to training, validation and test pipelines of float32 images."""

from .load import check_unchanged, dataset_arguments, describe, load_dataset, load_recorded, preparation_of
from .pipeline import TEST, TRAIN, VALIDATION, Dataset, images_and_labels, images_of
from .read import read_images
from .source import UNLABELLED
from .summary import ALIKE, alike, class_sentence, warnings_of

__all__ = [
    "ALIKE",
    "TEST",
    "TRAIN",
    "UNLABELLED",
    "VALIDATION",
    "Dataset",
    "alike",
    "check_unchanged",
    "class_sentence",
    "dataset_arguments",
    "describe",
    "images_and_labels",
    "images_of",
    "load_dataset",
    "load_recorded",
    "preparation_of",
    "read_images",
    "warnings_of",
]
