import json
import os

import pytest
import torch
from hypothesis import given, strategies as st
from torch import nn

from pellucid import Data, Evaluation, Experiment, InputError, Network, evaluate, fit
from pellucid.models import build
from pellucid.runs import threads
from pellucid.runs.threads import multiplications, recorded_threads, settle_threads, side_by_side, threads_of


@pytest.fixture(autouse=True)
def same_number_afterwards():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def free(monkeypatch):
    """A machine with four cores, all of them free, on which nobody has set a number."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads, "free_cores", lambda: 4)
    monkeypatch.setattr(threads, "usable_cores", lambda: 4)


def test_multiplications_are_those_that_torch_counts_and_leave_the_network_as_it_was():
    from torch.utils.flop_counter import FlopCounterMode

    network = Network(name="resnet18", options={"width": 4})
    model = build(network, classes=3, shape=(3, 16, 16), mean=(0.5,) * 3, std=(0.5,) * 3).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, 16, 16))
    state = {name: value.clone() for name, value in model.train().state_dict().items()}
    assert 2 * multiplications(model, (3, 16, 16)) == counter.get_total_flops()
    assert model.training
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


@given(st.integers(0, 10**13), st.integers(1, 256))
def test_more_work_never_means_fewer_threads(work, cores):
    assert 1 <= threads_of(work, cores) <= threads_of(2 * work, cores) <= cores


def test_a_tiny_network_has_one_thread_and_a_large_one_all_free_cores(free):
    for model, shape, expected in ((nn.Conv2d(1, 2, 3), (1, 8, 8), 1), (nn.Conv2d(3, 64, 3), (3, 64, 64), 4)):
        settle_threads(model, shape, 32)
        assert torch.get_num_threads() == expected


def test_a_number_that_was_asked_for_is_taken_and_one_of_the_environment_left(free, monkeypatch):
    settle_threads(nn.Conv2d(1, 2, 3), (1, 8, 8), 32, asked=3)
    assert torch.get_num_threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    settle_threads(nn.Conv2d(1, 2, 3), (1, 8, 8), 32)
    assert torch.get_num_threads() == 3


def test_tiny_networks_are_trained_side_by_side(free):
    assert [side_by_side(work, 3) for work in (1000, threads.TINY)] == [3, 1]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"threads": "two"}', '{"threads": 0}'])
def test_a_record_without_a_number_says_none(tmp_path, text):
    (tmp_path / "environment.json").write_text(text)
    assert recorded_threads(tmp_path / "environment.json") is None
    assert recorded_threads(tmp_path / "missing.json") is None


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="two threads need two cores")
def test_results_are_the_same_but_for_rounding_and_the_run_says_its_number(tmp_path):
    few = Experiment(
        dataset=Data(name="truth:shapes", size=48, limit=256, validation=16),
        network=Network(name="resnet18", options={"width": 4}),
        epochs=1,
    )
    before = torch.get_num_threads()
    weights = []
    for number in (1, 2):
        run = fit(few, tmp_path / str(number), progress=False, threads=number)
        evaluate(run, Evaluation(images=8, metrics=("gini",), gallery=1), progress=False, threads=number)
        work = json.loads((run / "environment.json").read_text())["work"]
        assert [entry["threads"] for entry in work] == [number, number]
        weights.append(torch.cat([value.flatten().double() for value in _weights(run)]))
    torch.testing.assert_close(*weights, rtol=1e-3, atol=1e-4)
    assert torch.get_num_threads() == before


def _weights(run):
    from safetensors.torch import load_file

    return load_file(run / "model.safetensors").values()


@pytest.mark.parametrize("number", [0, 10_000])
def test_a_number_that_cannot_be_leaves_no_directory(tmp_path, number):
    with pytest.raises(InputError, match=f"^threads must be .*, got {number}$"):
        fit(Experiment(), tmp_path / "run", threads=number)
    with pytest.raises(InputError, match=f"^threads must be .*, got {number}$"):
        evaluate(nn.Flatten(), Data(), out=tmp_path / "run", threads=number)
    assert not (tmp_path / "run").exists()
