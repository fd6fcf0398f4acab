"""However a command ends, it says so in one sentence, with the right exit code, and never hangs."""

import os
import resource
import signal
import subprocess
import sys

import pytest

from pellucid.cli.endings import STOPPING, Stopped, out_of_memory, stopping_signals

PELLUCID = [sys.executable, "-m", "pellucid"]


def ended(words, **options):
    done = subprocess.run([*PELLUCID, *words], capture_output=True, text=True, timeout=100, check=False, **options)
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr, done.stderr
    return done.returncode, done.stderr


def closing(*numbers):
    return lambda: [os.close(number) for number in numbers]


def test_closed_streams_are_no_files_that_are_written_into(tmp_path) -> None:
    """The first file that is opened gets the number of a closed stream, and what is printed would go into it."""
    program = (
        "import sys; from pellucid.cli.endings import usable_streams; usable_streams()\n"
        "file = open('numbers.txt', 'w'); print('printed', flush=True); print('told', file=sys.stderr, flush=True)\n"
        "file.write('1 2 3'); sys.stdin.read()"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=100, preexec_fn=closing(0, 1, 2))
    assert (tmp_path / "numbers.txt").read_text() == "1 2 3"
    assert ended(["metrics"], preexec_fn=closing(1)) == (0, "")


def test_a_reader_that_has_gone_and_a_full_output() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    assert subprocess.run([*PELLUCID, "metrics"], stdout=writing, stderr=subprocess.PIPE, check=False).stderr == b""
    os.close(writing)
    with open("/dev/full", "w") as full:
        done = subprocess.run([*PELLUCID, "metrics"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "pellucid: No space left on device; nothing was half-written\n")


@pytest.mark.parametrize("number", STOPPING)
def test_signals_stop_as_ctrl_c_does_and_handlers_come_back(number) -> None:
    ours = signal.signal(number, signal.SIG_DFL)  # under nohup the tests themselves ignore SIGHUP
    before = [signal.getsignal(one) for one in STOPPING]
    said = f"stopped by {number.name}"
    with pytest.raises(Stopped, match=said) as stopped, stopping_signals():
        signal.raise_signal(number)
    assert stopped.value.code == 128 + number and [signal.getsignal(one) for one in STOPPING] == before
    signal.signal(number, ours)


def test_nohup_is_heeded() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping_signals():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_memory_that_runs_out_is_told_apart_from_other_errors() -> None:
    class OutOfMemoryError(RuntimeError):
        pass

    said = "[enforce fail at alloc_cpu.cpp:119] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to ..."
    for error in (MemoryError(), RuntimeError(said), RuntimeError("not enough memory: you tried to allocate 8 bytes")):
        assert out_of_memory(error).startswith("there is not enough memory; smaller batches")
    assert "on the GPU" in out_of_memory(OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    for error in (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("memory"), KeyError("malloc")):
        assert out_of_memory(error) is None


def test_settings_that_no_memory_holds_end_in_a_sentence(tmp_path) -> None:
    limit = 6 << 30
    code, err = ended(
        ["train", str(tmp_path / "run"), "--dataset.name=truth:beside", "--dataset.limit=8", "--dataset.size=1000000"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert code == 2 and err.startswith("pellucid: ") and err.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("file", ["experiment.yaml", "model.safetensors", "rows.parquet", "data.json", "digests.json"])
def test_a_pipe_in_the_place_of_a_file_of_a_run_is_refused_at_once(tmp_path, file) -> None:
    from pellucid import InputError, load
    from pellucid.runs import read_run

    (tmp_path / "experiment.yaml").write_text("method: {class_path: pellucid.methods.Regular}")
    (tmp_path / "rows.parquet").touch()
    (tmp_path / file).unlink(missing_ok=True)
    os.mkfifo(tmp_path / file)
    with pytest.raises(InputError, match=f"{file} is a named pipe, which cannot be read; give a file"):
        (load if file == "data.json" else read_run)(tmp_path)
