"""Samples to batches: tokenising, collating, samplers, loaders."""

import datasets  # noqa: F401  (prepares the import of torchvision)
