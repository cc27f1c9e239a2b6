"""Prediction files: ours and those of others, read and written."""
