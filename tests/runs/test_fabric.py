import importlib.metadata
import sys

import pytest

from pellucid.runs.fabric import known_by_version


def test_a_package_is_known_by_its_version_and_then_as_it_was(monkeypatch):
    monkeypatch.delitem(sys.modules, "torchmetrics", raising=False)
    with known_by_version("torchmetrics"):
        import torchmetrics

        assert torchmetrics.__version__ == importlib.metadata.version("torchmetrics")
        assert not hasattr(torchmetrics, "Metric")
    assert "torchmetrics" not in sys.modules


def test_what_is_imported_already_stays():
    with known_by_version("numpy"):
        assert sys.modules["numpy"].ndarray


def test_a_package_that_is_not_here_stays_away():
    with known_by_version("no_such_package"), pytest.raises(ImportError):
        import no_such_package  # noqa: F401
