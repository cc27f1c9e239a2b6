"""Checkpoint files: a file to named tensors, to a network; the record that travels with them."""
