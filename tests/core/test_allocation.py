import ctypes
import os
import subprocess
import sys

import pytest

from pellucid.core.allocation import SETTINGS, keep_freed_memory

HELD = """
import ctypes
from pellucid.core.allocation import keep_freed_memory

class Facts(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in ("arena", *"abcdefghi")]

c = ctypes.CDLL(None)
c.malloc.restype, c.malloc.argtypes, c.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
c.mallinfo2.restype = Facts
if {kept}:
    keep_freed_memory()
before = c.mallinfo2().arena
c.free(c.malloc(64 << 20))  # as the activations of a network
print(c.mallinfo2().arena - before)
"""


def held(kept: bool) -> int:
    """Bytes that a fresh process still holds when it has freed 64 MB."""
    plain = {name: value for name, value in os.environ.items() if name not in {*SETTINGS, "GLIBC_TUNABLES"}}
    done = subprocess.run(
        [sys.executable, "-c", HELD.format(kept=kept)], env=plain, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="another C library than glibc 2.33 or newer")
def test_what_is_freed_stays_with_the_process():
    assert held(kept=True) >= 64 << 20
    assert held(kept=False) < 1 << 20


@pytest.mark.parametrize("name", [*SETTINGS, "GLIBC_TUNABLES"])
def test_what_a_person_has_set_stays(name):
    settings = {name: "0"}
    keep_freed_memory(settings)
    assert settings == {name: "0"}


def test_children_inherit_it():
    settings: dict[str, str] = {}
    keep_freed_memory(settings)
    assert not settings or settings == {name: str(value) for name, (_, value) in SETTINGS.items()}
