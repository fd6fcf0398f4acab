"""The trace says what was chosen, or that nothing was, and marks what the rule passed by."""

import json
from itertools import pairwise

import pytest

from pellucid.papers.front_figure import _places, _spread, draw
from pellucid.papers.pellucid import AXES
from pellucid.papers.search_page import page
from pellucid.papers.select import _levels
from pellucid.statistics.pareto import best_or_tied, front, recommended

FACTS = {
    "dataset": "fashion-mnist", "scale": "cpu", "network": "lenet5", "epochs": 5, "split": "validation",
    "images": 1000, "validation_images": 5000, "seed": 0, "command": "pellucid select",
    "environment": {
        "device_name": "a CPU", "python": "3.12", "packages": {"torch": "2"}, "pellucid": "0", "commit": "c",
        "dirty": False, "started": "now",
    },
}  # fmt: skip


def interval(mean):
    return {"mean": mean, "low": mean - 0.01, "high": mean + 0.01, "n": 1000}


def candidate(name, clean, robust, gini, ris, ros, lerf, morf):
    values = {"clean_accuracy": clean, "robust_accuracy": robust, "gini": gini, "ris": ris, "ros": ros}
    values |= {"aopc_lerf": lerf, "aopc_morf": morf}
    measured = {metric: interval(value) for metric, value in values.items()}
    return {"run": name, "settings": None, "measured": measured, "morf_not_below": morf >= 0.25}


@pytest.fixture
def compositions():
    """Of the demo's size: regular training is accurate, adversarial training robust, SCAAT faithful."""
    rows = [
        candidate("regular", 0.88, 0.10, 0.55, 7.1, 25, 0.008, 0.25),
        candidate("at", 0.78, 0.64, 0.65, 5.8, 109, 0.0001, 0.10),
        candidate("scaat", 0.86, 0.36, 0.67, 5.7, 25, 0.0005, 0.31),
        candidate("worse", 0.85, 0.30, 0.60, 6.5, 40, 0.004, 0.31),
    ]
    levels = {row["run"]: _levels(row) for row in rows}
    on = front({name: [level for axis in own.values() for level in axis] for name, own in levels.items()})
    tied = best_or_tied(levels)
    for row in rows:
        row |= {"front": row["run"] in on, "best_or_tied": tied[row["run"]]}
    steps = {each.metric: each.step for axis in AXES.values() for each in axis}
    return FACTS | {
        "search": "pellucid", "steps": steps, "front": on, "recommended": recommended(levels), "rows": rows,
        "wins_everywhere": [],
    }  # fmt: skip


def test_the_front_of_a_known_case(compositions) -> None:
    assert compositions["front"] == ["regular", "at", "scaat"]
    assert compositions["recommended"] == "scaat"
    tied = {row["run"]: row["best_or_tied"] for row in compositions["rows"]}
    # The lowest LeRF of all is adversarial training's, whose MoRF is below regular training's.
    assert tied["at"] == ["PGD accuracy"]
    assert tied["scaat"] == ["sparsity", "stability", "faithfulness"]


def test_the_page_of_compositions(compositions) -> None:
    text = page(compositions)
    assert "**No composition is best or tied on all five axes.**" in text
    assert "3: **scaat** (sparsity, stability, faithfulness)." in text
    assert "Accuracy 1 point, Robust accuracy 2 points" in text
    assert text.index("## The Pareto front") < text.index("| at |") < text.index("## Dominated") < text.index("| worse")
    (line,) = [line for line in text.splitlines() if line.startswith("| at |")]
    assert "(100 [90, 110])" in line
    tied = [row | {"best_or_tied": ["a", "b", "c"]} for row in compositions["rows"] if row["run"] != "worse"]
    assert "**scaat** (a, b, c); so are regular, at, with a worse mean rank" in page(compositions | {"rows": tied})
    won = page(compositions | {"wins_everywhere": ["scaat"]})
    assert "Best or tied on all five axes: **scaat**." in won


def test_the_figure_names_the_front_alone_and_is_drawn_alike_twice(compositions, tmp_path) -> None:
    files = draw(compositions, tmp_path / "one")
    again = draw(json.loads(json.dumps(compositions)), tmp_path / "two")
    assert [file.suffix for file in files] == [".svg", ".png"]
    assert files[0].read_bytes() == again[0].read_bytes()
    text = files[0].read_text()
    assert all(f">{name}</text>" in text for name in ("regular", "at", "scaat"))
    assert ">worse</text>" not in text
    assert "3 of 4 compositions are on the front" in text


def test_heights_put_the_best_at_the_top() -> None:
    (ris, ros), (lerf,) = AXES["stability"], AXES["faithfulness"]
    assert _places(ris, [1, 10, 100]) == pytest.approx([1, 0.5, 0])
    assert _places(lerf, [-1, 0, 3]) == pytest.approx([1, 0.75, 0])
    assert _places(ros, [2, 2]) == [0.5, 0.5]


def test_names_stand_apart_in_their_order() -> None:
    placed = _spread({"a": 0.99, "b": 1.0, "c": 0.98, "d": 0.0}, 0.05)
    assert [name for name, _ in placed] == ["d", "c", "a", "b"]
    heights = [height for _, height in placed]
    assert all(upper - lower >= 0.05 - 1e-9 for lower, upper in pairwise(heights))
    assert heights[-1] <= 1.05 and heights[0] == 0


def setting(name, refused, **values):
    measured = {"aopc_lerf": interval(0.001), "aopc_morf": interval(0.3), "gini": interval(0.6)}
    return {
        "run": name, "stage": "one", "refused": refused, "validation_accuracy": 0.87, "measured": measured,
        "settings": values or None,
    }  # fmt: skip


def test_the_page_of_settings() -> None:
    rows = [setting("regular", "baseline"), setting("a", None, q=0.5, region=2), setting("b", "MoRF", q=0.3, region=2)]
    found = FACTS | {"search": "xu2023", "rule": "the rule", "chosen": "a", "rows": rows}
    text = page(found)
    assert "Chosen: **`a`**." in text and "The rule: the rule." in text and "No test image" in text
    assert "| **0.5** | **2** | 87.0 |" in text
    assert [line.split("|")[-2].strip() for line in text.splitlines() if line.startswith("| 0.3")] == ["MoRF"]
    assert "none; no candidate keeps the rule" in page(found | {"chosen": None})
    told = page(found | {"notes": ["The first note.", "The second."]})
    assert "The rule: the rule. The first note. The second.\n" in told and "The rule: the rule.\n" in text
    installed = FACTS["environment"] | {"commit": None, "dirty": None}
    assert "commit unknown, now" in page(found | {"environment": installed})
