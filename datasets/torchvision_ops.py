"""Lets a CPU build of torch work with a torchvision that was built for CUDA.

Such a pair fails on ``import torchvision`` with "operator torchvision::nms does not exist": torchvision registers fake
kernels for two operators that its compiled library, which cannot be loaded, would have declared. Nothing here uses
those operators; declaring their schemas is enough for the import to pass.
"""

import importlib.util
import sys
from pathlib import Path


def declare_missing_operators() -> None:
    """Declares ``torchvision::nms`` and ``::qnms`` if, and only if, torchvision's own library cannot bring them.

    Must run before the first import of torchvision (timm and Lightning import it) in every process.
    """
    if "torchvision" in sys.modules:
        return
    spec = importlib.util.find_spec("torchvision")
    if spec is None:
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
