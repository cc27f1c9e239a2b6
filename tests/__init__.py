"""One thread a process: more get into each other's way on networks so small, and pytest-xdist keeps the cores busy."""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import modules  # noqa: F401  (before anything that imports torchvision)
