"""torchvision, importable beside a torch built for CUDA and beside one built for the processor only.

The torchvision wheel of the Python package index is compiled against CUDA. Beside a CPU-only torch its
extension does not load, so the operators `nms` and `qnms` are never declared, and the import stops where
torchvision adds to them (pytorch/vision issues 8985, 9077, 9085). Data sets, transforms and classifiers need
neither operator: declaring their signatures is enough. All other modules write
`from convergent.torchvision_import import torchvision`.
"""

import importlib
import importlib.machinery
import importlib.util
import sys
from types import ModuleType

import torch

SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def import_torchvision() -> ModuleType:
    """Import torchvision, declaring beforehand the operators that its extension cannot bring.

    A failed import cannot simply be repeated (it has registered half of its operators), so whether the
    extension loads is found out first. Where it loads, or where torch is built for CUDA, nothing is changed.
    """
    if torch.version.cuda is None and "torchvision" not in sys.modules and not _extension_loads():
        for operator in ("nms", "qnms"):
            if not hasattr(torch.ops.torchvision, operator):
                torch.library.define(f"torchvision::{operator}", SIGNATURE)
    return importlib.import_module("torchvision")


def _extension_loads() -> bool:
    """Load torchvision's compiled operators as torchvision itself does, and say whether that worked."""
    package = importlib.util.find_spec("torchvision")
    if package is None:
        return True  # Not installed: the import says so itself.
    extension = importlib.machinery.PathFinder.find_spec("_C", list(package.submodule_search_locations))
    if extension is None:
        return False
    try:
        torch.ops.load_library(extension.origin)
    except OSError:
        return False
    return True


torchvision = import_torchvision()
