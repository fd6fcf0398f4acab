"""Lightning Fabric, imported without torchmetrics, of which it asks nothing but the version.

Importing torchmetrics brings its text models with it, and takes longer than all of torch.
"""

import importlib.metadata
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

__all__ = [
    "CSVLogger",
    "ClusterEnvironment",
    "Fabric",
    "LightningEnvironment",
    "Logger",
    "MisconfigurationException",
    "TensorBoardLogger",
    "known_by_version",
]


@contextmanager
def known_by_version(package: str) -> Iterator[None]:
    """A package that is installed and not imported yet has nothing but its version inside the block.

    Args:
        package: its name.

    >>> with known_by_version("torchmetrics"):
    ...     import torchmetrics
    """
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        version = None
    if version is None or package in sys.modules:
        yield
        return
    stand_in = ModuleType(package)
    stand_in.__version__ = version  # type: ignore[attr-defined]
    sys.modules[package] = stand_in
    try:
        yield
    finally:
        if sys.modules.get(package) is stand_in:
            del sys.modules[package]


with known_by_version("torchmetrics"):
    from lightning_fabric import Fabric
    from lightning_fabric.loggers.csv_logs import CSVLogger
    from lightning_fabric.loggers.logger import Logger
    from lightning_fabric.loggers.tensorboard import TensorBoardLogger
    from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.utilities.exceptions import MisconfigurationException
