"""One run: its folder, checkpoints, resuming, stopping, logs, progress, predictions."""
