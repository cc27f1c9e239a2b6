import modules  # noqa: F401  (before anything that imports torchvision)
