"""Samples to batches: tokenization, collating, samplers, loaders."""

from .own_datasets import check_own_datasets

check_own_datasets()

import datasets  # noqa: E402, F401  (prepares the import of torchvision)
