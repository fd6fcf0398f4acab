"""Lightning Fabric, imported without the whole of torchmetrics."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

__all__ = [
    "CSVLogger",
    "ClusterEnvironment",
    "Fabric",
    "LightningEnvironment",
    "Logger",
    "MisconfigurationException",
    "TensorBoardLogger",
]


@contextmanager
def _torchmetrics_by_its_version() -> Iterator[None]:
    """Let what is imported in the block learn torchmetrics' version, which is all that Fabric asks of it, and no more.

    Fabric imports torchmetrics to read its version, and torchmetrics imports transformers and SciPy where they are
    installed: 2.2 s before a training takes its first step.
    """
    name = "torchmetrics"
    try:
        known = None if name in sys.modules else version(name)
    except PackageNotFoundError:
        known = None
    if known is None:
        yield
        return
    stand_in = ModuleType(name)
    stand_in.__version__ = known  # type: ignore[attr-defined]
    sys.modules[name] = stand_in
    try:
        yield
    finally:
        if sys.modules.get(name) is stand_in:
            del sys.modules[name]


with _torchmetrics_by_its_version():
    from lightning_fabric import Fabric
    from lightning_fabric.loggers.csv_logs import CSVLogger
    from lightning_fabric.loggers.logger import Logger
    from lightning_fabric.loggers.tensorboard import TensorBoardLogger
    from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.utilities.exceptions import MisconfigurationException
