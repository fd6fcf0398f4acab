"""Fabric is imported without the whole of torchmetrics, which is there for whoever asks for it afterwards."""

import subprocess
import sys
from importlib.metadata import version

import pytest

from pellucid.runs.fabric import _torchmetrics_by_its_version


def test_only_the_version_is_there_and_only_for_a_while(monkeypatch) -> None:
    monkeypatch.delitem(sys.modules, "torchmetrics", raising=False)
    with _torchmetrics_by_its_version():
        stand_in = sys.modules["torchmetrics"]
        assert vars(stand_in)["__version__"] == version("torchmetrics") and not hasattr(stand_in, "Metric")
    assert "torchmetrics" not in sys.modules


def test_what_is_loaded_already_stays(monkeypatch) -> None:
    loaded = type(sys)("torchmetrics")
    monkeypatch.setitem(sys.modules, "torchmetrics", loaded)
    with _torchmetrics_by_its_version():
        assert sys.modules["torchmetrics"] is loaded
    assert sys.modules["torchmetrics"] is loaded


@pytest.mark.slow
def test_training_loads_neither_torchmetrics_nor_transformers() -> None:
    program = (
        "import sys, pellucid.runs.training\n"
        "assert not {'torchmetrics', 'transformers', 'scipy.signal'} & {*sys.modules}\n"
        "import torchmetrics\nfrom lightning_fabric.utilities import imports\n"
        "assert torchmetrics.Metric and imports._TORCHMETRICS_GREATER_EQUAL_1_0_0\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stderr, done.returncode) == ("", 0)


@pytest.mark.slow
def test_explaining_loads_nothing_that_trains() -> None:
    program = (
        "import sys, pellucid.explanation.batch\nassert not {'lightning_fabric', 'torch._dynamo'} & {*sys.modules}\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stderr, done.returncode) == ("", 0)
