"""What every test and every doctest shares: one thread, and the same random numbers whatever ran before it."""

import gc
import os
import random
import shutil
import sys
import tempfile

# Before NumPy and torch are imported, and for the processes that tests start.
os.environ["OMP_NUM_THREADS"] = "1"
# Nearly all that is imported and collected stays: searching it for garbage took a quarter of that time.
gc.disable()
# What is compiled once, the asserts that pytest rewrites too, is read by every later process.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# What tests have named is theirs alone, and gone with them.
os.environ["PELLUCID_STATE"] = tempfile.mkdtemp(prefix="pellucid-state-")

import numpy as np  # noqa: E402
import pytest  # noqa: E402


def _seed() -> None:
    """Seed every global generator; torch's where something imported torch, which many tests do without."""
    random.seed(0)
    np.random.seed(0)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


def pytest_configure(config: pytest.Config) -> None:
    """Take only the random order from pytest-randomly, which would seed anew for each run."""
    if hasattr(config.option, "randomly_reset_seed"):
        config.option.randomly_reset_seed = False


def pytest_collection_finish() -> None:
    """Search for garbage again, but never in what was imported and collected."""
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    """Remove what the tests have named."""
    shutil.rmtree(os.environ["PELLUCID_STATE"], ignore_errors=True)


# A fixture may be made for a whole module or session, by whichever test asks first: it starts from the seed as well.
@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup() -> None:
    """Seed before a fixture is made."""
    _seed()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call() -> None:
    """Seed before a test runs."""
    _seed()
