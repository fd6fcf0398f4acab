import os
import platform
import subprocess
import sys

import pytest

from pellucid.core.allocation import SETTINGS, keep_freed_memory

FAULTS = """
import resource
import numpy as np
from pellucid.core.allocation import keep_freed_memory
if {kept}:
    keep_freed_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(8 << 20)  # 64 MB, as the activations of a network
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(kept: bool) -> int:
    plain = {name: value for name, value in os.environ.items() if name not in {*SETTINGS, "GLIBC_TUNABLES"}}
    done = subprocess.run(
        [sys.executable, "-c", FAULTS.format(kept=kept)], env=plain, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(not platform.libc_ver()[0].startswith("glibc"), reason="another C library than glibc")
def test_blocks_that_are_freed_are_not_asked_for_again():
    assert faults(kept=True) < faults(kept=False) / 4


@pytest.mark.parametrize("name", [*SETTINGS, "GLIBC_TUNABLES"])
def test_what_a_person_has_set_stays(name):
    settings = {name: "0"}
    keep_freed_memory(settings)
    assert settings == {name: "0"}


def test_children_inherit_it():
    settings: dict[str, str] = {}
    keep_freed_memory(settings)
    assert not settings or settings == {name: str(value) for name, (_, value) in SETTINGS.items()}
