"""The researcher's chart: its lines end where the counts are, whatever the times."""

import re
from datetime import UTC, datetime, timedelta

from hypothesis import given, strategies as st

from pellucid.study.chart import progress_chart

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_nobody_is_no_chart() -> None:
    assert progress_chart([], [], planned=5, until=START) is None


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=40), st.integers(0, 300))
def test_lines_rise_by_one_for_each_person_and_stay_inside(minutes: list[int], planned: int) -> None:
    began = [START + timedelta(minutes=each) for each in minutes]
    drawn = progress_chart(began, began[: len(began) // 2], planned=planned or None, until=max(began))
    assert drawn is not None
    for kind, count in (("began", len(began)), ("finished", len(began) // 2)):
        [path] = re.findall(rf'class="{kind}" d="([^"]+)"', drawn)
        heights = [float(number) for number in re.findall(r"V([\d.]+)", path)]
        places = [float(number) for number in re.findall(r"H([\d.]+)", path)]
        assert len(heights) == count and heights == sorted(heights, reverse=True)
        assert places == sorted(places) and all(14 <= number <= 206 for number in heights)
        assert all(44 <= number <= 708 for number in places)
    assert ("planned" in drawn) == bool(planned)
