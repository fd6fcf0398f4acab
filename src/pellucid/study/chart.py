"""The researcher's chart: how many people had begun and how many had finished, over time, as SVG inside the page."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from markupsafe import Markup

__all__ = ["progress_chart"]

WIDTH, HEIGHT = 720, 240
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 14, 34
TICKS = 3


def progress_chart(
    began: Sequence[datetime], finished: Sequence[datetime], *, planned: int | None, until: datetime
) -> Markup | None:
    """Two rising lines, and a dashed one at the planned number; None where nobody has begun.

    Args:
        began: when each participant began.
        finished: when each of those who finished did.
        planned: number of participants, or None.
        until: the right end, such as now.
    """
    if not began:
        return None
    start, end = min(began), max([until, *began, *finished])
    end = max(end, start + timedelta(minutes=10))
    step = _step(max(len(began), planned or 0))
    high = step * -(-max(len(began), planned or 0) // step)

    def x(at: datetime) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * ((at - start) / (end - start)), 1)

    def y(count: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * count / high, 1)

    def line(times: Sequence[datetime], kind: str) -> str:
        path = [f"M{x(start)} {y(0)}"]
        path += [f"H{x(at)}V{y(count)}" for count, at in enumerate(sorted(times), start=1)]
        return f'<path class="{kind}" d="{"".join(path)}H{x(end)}"/>'

    told = f"{len(began)} began and {len(finished)} finished" + (f" of {planned} planned" if planned else "")
    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Progress over time: {told}.">']
    for count in range(0, high + 1, step):
        parts.append(f'<path class="grid" d="M{LEFT} {y(count)}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text class="end" x="{LEFT - 6}" y="{y(count) + 4}">{count}</text>')
    for tick in range(TICKS + 1):
        at = start + (end - start) * tick / TICKS
        kind = "end" if tick == TICKS else "middle" if tick else "start"
        stamp = at.isoformat(timespec="seconds")
        parts.append(
            f'<text class="{kind}" x="{x(at)}" y="{HEIGHT - 12}" data-time="{stamp}">{at:%d %b %H:%M} UTC</text>'
        )
    if planned:
        parts.append(f'<path class="planned" d="M{LEFT} {y(planned)}H{WIDTH - RIGHT}"/>')
    parts += [line(began, "began"), line(finished, "finished"), "</svg>"]
    return Markup("".join(parts))


def _step(count: int) -> int:
    """Between two lines of the scale: 1, 2 or 5 times a power of ten, so that at most five lines are needed.

    >>> _step(3), _step(65), _step(120)
    (1, 20, 50)
    """
    steps = (number * int(10**power) for power in range(12) for number in (1, 2, 5))
    return next(step for step in steps if 5 * step >= count)
