"""The public names: sorted, complete, loaded on first use."""

import subprocess
import sys
import warnings
from importlib import import_module

import pytest

import pellucid
from pellucid._moved import MOVED
from pellucid.config import import_name

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


@pytest.mark.filterwarnings("ignore:pellucid:DeprecationWarning")  # of the package around it, if it comes first
@pytest.mark.parametrize("old", sorted(MOVED))
def test_a_module_that_has_moved_is_found_by_its_old_name(old: str) -> None:
    sys.modules.pop(f"pellucid.{old}", None)
    with pytest.warns(DeprecationWarning, match=f"^pellucid.{old} is now pellucid"):
        module = import_module(f"pellucid.{old}")
    homes = [import_module(f"pellucid.{new}") for new in MOVED[old].split()]
    for home in homes:
        for name in getattr(home, "__all__", []):
            assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match=f"module 'pellucid.{old}' has no attribute 'nowhere'"):
        _ = module.nowhere


def test_names_that_files_hold_need_no_new_name() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for path in ("pellucid.methods.SCAAT", "pellucid.saliency.SmoothGrad", "pellucid.attacks.PGD"):
            assert import_name(path).__name__ == path.rpartition(".")[2]
