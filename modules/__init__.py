"""The network and its training. ``from modules import load_model`` is the way in from a notebook."""

import datamodules  # noqa: F401  (prepares the import of torchvision)


def __getattr__(name: str):
    # Lazy: the loader imports timm, which worker processes have no use for.
    if name == "load_model":
        from modules.checkpoints.network import load_model

        return load_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
