"""Figures of the trainings."""

import pytest

from pellucid.report.drawing import styles
from pellucid.report.training import sample_panels, seconds_per_step
from pellucid.runs.evaluated import read_runs


@pytest.fixture(scope="module")
def runs(six_runs):
    return read_runs(six_runs)


def test_step_time_is_seconds_by_steps(runs) -> None:
    assert seconds_per_step(runs[0]) == pytest.approx(8 / 430)
    assert seconds_per_step(runs[4]) / seconds_per_step(runs[0]) == pytest.approx(115 / 8)


def test_no_q_no_figure(runs) -> None:
    assert sample_panels(runs[:4], styles(runs, runs[0])) == []
