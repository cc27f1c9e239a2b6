"""Lets a CPU build of torch work with a torchvision that was built for CUDA.

Such a pair fails on ``import torchvision`` with "operator torchvision::nms does not exist": torchvision registers fake
kernels for two operators that its compiled library, which cannot be loaded, would have declared. Nothing here uses
those operators; declaring their schemas is enough for the import to pass.
"""

import importlib.util
import sys
from pathlib import Path


class BeforeTorchvision:
    """A finder that finds nothing: it declares what is missing when torchvision is about to be imported.

    timm and Lightning import torchvision, too, in worker processes as well. Nothing is imported before it is needed.
    """

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "torchvision":
            sys.meta_path.remove(self)
            declare_missing_operators()


def declare_missing_operators() -> None:
    """Declares ``torchvision::nms`` and ``::qnms`` if, and only if, torchvision's own library cannot bring them."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return
    import torch

    for library in Path(spec.origin).parent.glob("_C*.*"):
        try:
            torch.ops.load_library(str(library))
        except OSError:
            continue  # linked against a CUDA runtime that this machine does not have
        return
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
