"""The network and its training. ``from modules import load_model`` is the way in from a notebook."""

from datasets.torchvision_ops import declare_missing_operators

declare_missing_operators()


def __getattr__(name: str):
    # Lazy: the loader imports timm and transformers, which worker processes have no use for.
    if name == "load_model":
        from modules.checkpoints.loading import load_model

        return load_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
