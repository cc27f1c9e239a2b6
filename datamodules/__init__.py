"""Samples to batches: tokenising, collating, samplers, loaders."""

from modules.torchvision_ops import declare_missing_operators

declare_missing_operators()
