"""The public names: sorted, complete, loaded on first use."""

import subprocess
import sys
from importlib import import_module

import pytest

import pellucid

NAMES = sorted(pellucid.__all__)

# The names that design and documentation promise; removing one breaks a user.
PROMISED = {
    "AdaptiveQ",
    "AdversarialTraining",
    "Batch",
    "Experiment",
    "IntegratedGradients",
    "Method",
    "Objective",
    "PGD",
    "Regular",
    "SCAAT",
    "SaliencyGuided",
    "SmoothGrad",
    "VanillaGradient",
    "gini",
    "heatmap",
    "insert_smoothing",
    "lowest",
    "perturbation_curve",
    "relative_stability",
}


def test_the_public_names_are_sorted_and_complete() -> None:
    assert list(pellucid.__all__) == sorted(pellucid.__all__)
    assert set(pellucid.__all__) >= PROMISED
    assert dir(pellucid) == sorted(pellucid.__all__)


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_is_listed_by_its_module(name: str) -> None:
    value = getattr(pellucid, name)
    assert name == "Saliency" or hasattr(import_module(value.__module__), name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="attribute Scaat"):
        pellucid.Scaat  # noqa: B018  attribute access is what is tested


@pytest.mark.parametrize("arguments", [["-c", "import pellucid"], ["-m", "pellucid", "--help"]])
def test_a_first_look_imports_no_torch(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert done.returncode == 0, done.stderr
    assert "pellucid" in imported
    assert imported.isdisjoint({"torch", "lightning_fabric", "matplotlib"})
