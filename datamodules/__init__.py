"""Samples to batches: tokenising, collating, samplers, loaders."""

from datasets.torchvision_ops import declare_missing_operators

declare_missing_operators()
