import os

import pytest
from hypothesis import given, strategies as st

from pellucid.core import cores
from pellucid.core.cores import check_threads, free_cores, sleep_while_waiting, usable_cores
from pellucid.core.errors import InputError


def test_waiting_threads_sleep_unless_a_person_has_said_how_they_wait():
    settings = {}
    sleep_while_waiting(settings)
    assert settings == {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"):
        chosen = {name: "1"}
        sleep_while_waiting(chosen)
        assert chosen == {name: "1"}


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processes are bound to cores on Linux alone")
def test_a_process_bound_to_one_core_uses_one():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert usable_cores() == free_cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert usable_cores() <= len(before)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, float("inf")),
        ({"cpu.max": "max 100000\n"}, float("inf")),
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "20000 100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, float("inf")),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({"cpu.max": "nonsense"}, float("inf")),
    ],
)
def test_the_quota_of_a_control_group_is_kept(tmp_path, files, expected):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cores._quota(tmp_path) == expected


@given(usable=st.integers(2, 64), idle=st.floats(0, 64), own=st.floats(0, 0.5), seconds=st.floats(0.05, 1))
def test_free_cores_are_those_that_idle_and_those_that_this_process_keeps_busy(usable, idle, own, seconds):
    clock, reads = iter([0, seconds]), iter([0, idle * seconds])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cores, "usable_cores", lambda: usable)
        patch.setattr(cores, "_unused", lambda: next(reads))
        patch.setattr(cores.time, "perf_counter", lambda: next(clock))
        patch.setattr(cores.time, "process_time", iter([0, own * seconds]).__next__)
        patch.setattr(cores.time, "sleep", lambda _: None)
        found = free_cores(seconds)
    assert 1 <= found <= usable
    assert found == pytest.approx(min(max(idle + own, 1), usable), abs=0.5 + 1e-6)


@pytest.mark.skipif(not cores.STAT.exists(), reason="the kernel tells what its cores do on Linux alone")
def test_the_kernel_counts_idle_cores():
    before = cores._unused()
    assert before > 0
    assert cores._unused() >= before


@pytest.mark.parametrize("threads", [0, -1, 1.5, True + 10_000])
def test_threads_that_cannot_be_are_one_sentence(threads):
    with pytest.raises(InputError, match=rf"^threads must be .*, got {threads}$"):
        check_threads(threads)


def test_threads_that_can_be_pass():
    for threads in (None, 1, usable_cores()):
        check_threads(threads)
