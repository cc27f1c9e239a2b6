"""Intervals and tests by video, over arrays."""
