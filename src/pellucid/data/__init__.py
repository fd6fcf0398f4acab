"""Indexed image datasets: what a person chooses, where the files are, and batches on the training device.

Names are loaded on first use, so that listing and fetching datasets imports no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid.data.augmentation import Augmentation
    from pellucid.data.choice import Data
    from pellucid.data.dataset import Dataset, load
    from pellucid.data.loader import Loader
    from pellucid.data.sources import get, names

__all__ = ["Augmentation", "Data", "Dataset", "Loader", "get", "load", "names"]

_MODULES = {
    "Augmentation": "augmentation",
    "Data": "choice",
    "Dataset": "dataset",
    "Loader": "loader",
    "get": "sources",
    "load": "dataset",
    "names": "sources",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
