"""Files on disk to samples: annotation readers, frames, clip features, index sampling, the TRM question maker."""

import sys

from .torchvision_ops import BeforeTorchvision

if "torchvision" not in sys.modules:
    sys.meta_path.insert(0, BeforeTorchvision())
