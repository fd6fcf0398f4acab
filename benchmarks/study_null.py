"""Does the analysis of a study find what is there, and nothing where nothing is? Simulated studies, no people.

    python benchmarks/study_null.py            about ten minutes on one core; writes results/study-null.{json,md}

Synthetic raters answer on a latent scale whose unit is the standard deviation of a single answer's noise; people and
images differ, and people differ in how they take to a condition (see `pellucid.study.raters.Variation`). Every study
has two planned questions, tested at 0.05 with Holm's correction over them. Without an effect, each study in which a
planned test finds a difference is a false positive: of 200, at most 16 are accepted (10 are expected, 16 is the 95 %
limit of a fair test).
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from pellucid.core.files import whole_file
from pellucid.study.design import Anchors, Consent, PlannedTest, Question, Study
from pellucid.study.power import power
from pellucid.study.raters import Variation

CONDITIONS = ("regular", "adversarial", "smoothed")
STUDIES, ACCEPTED = 200, 16
SAME_ON_ALL, BY_IMAGE = Variation(), Variation(image_by_condition=0.3)


def study(*, conditions: int, images: int = 12, crossing: Any = "rotated", points: int = 7) -> Study:
    text = {"en": "text"}
    questions = tuple(
        Question(name=name, kind="likert", text=text, points=points, anchors=Anchors(low=text, high=text))
        for name in ("sufficiency", "trust")
    )
    return Study(
        title="simulated",
        heading=text,
        conditions=CONDITIONS[:conditions],
        images=images,
        crossing=crossing,
        classes=("a", "b"),
        questions=questions,
        consent=Consent(version="1", text=text),
        welcome=text,
        instructions=text,
        debrief=text,
        languages=("en",),
        tests=tuple(
            PlannedTest(question=one.name, test="wilcoxon" if conditions == 2 else "friedman") for one in questions
        ),
    )


def cases() -> list[dict[str, Any]]:
    """Null studies of several designs, then a curve over effects and one over participants."""
    three = study(conditions=3)
    base = {"study": three, "participants": 65, "effect": 0.0, "variation": SAME_ON_ALL}
    nulls = [
        {"name": "3 conditions, rotated, 65 people"},
        {"name": "2 conditions, rotated, 65 people", "study": study(conditions=2)},
        {"name": "3 conditions, full crossing, 65 people", "study": study(conditions=3, crossing="full")},
        {"name": "3 conditions, rotated, 12 people, 5 points", "study": study(conditions=3, points=5)}
        | {"participants": 12},
        {"name": "2 conditions, rotated, 12 people, 5 points", "study": study(conditions=2, points=5)}
        | {"participants": 12},
    ]
    by_image = [
        {"name": "3 conditions, rotated, 65 people; conditions differ by image", "variation": BY_IMAGE},
        {"name": "3 conditions, full crossing, 65 people; conditions differ by image", "variation": BY_IMAGE}
        | {"study": study(conditions=3, crossing="full")},
    ]
    effects = [{"name": f"effect {effect}, 65 people", "effect": effect} for effect in (0.1, 0.2, 0.3, 0.4, 0.5)]
    people = [{"name": f"effect 0.3, {n} people", "effect": 0.3, "participants": n} for n in (15, 30, 45, 100)]
    kinds = (("null", nulls), ("by image", by_image), ("power", [*effects, *people]))
    return [base | {"kind": kind} | case for kind, some in kinds for case in some]


def measured(case: dict[str, Any]) -> dict[str, Any]:
    design, began = case["study"], time.perf_counter()
    effect = {design.conditions[-1]: case["effect"]}
    found = power(design, case["participants"], effect, studies=STUDIES, variation=case["variation"])
    row = {
        "kind": case["kind"],
        "name": case["name"],
        "participants": case["participants"],
        "effect": case["effect"],
        "studies": found.studies,
        "found": found.any,
        "found_sufficiency_uncorrected": found.each["sufficiency"],
        "found_trust_uncorrected": found.each["trust"],
        "two_way_excludes_0": sum(found.two_way.values()) / 2,
        "seconds": round(time.perf_counter() - began, 1),
    }
    print(row, flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("results/study-null"))
    options = parser.parse_args()
    rows = [measured(case) for case in cases()]
    false_positives = [row["found"] for row in rows if row["kind"] == "null"]
    result = {
        "accepted": ACCEPTED,
        "passed": max(false_positives) <= ACCEPTED,
        "packages": {"numpy": np.__version__, "scipy": scipy.__version__},
        "date": time.strftime("%Y-%m-%d"),
        "rows": rows,
    }
    lines = [
        "# What the analysis of a study finds in simulated studies",
        "",
        " ".join((__doc__ or "").rpartition("\n\n")[2].split()),
        "",
        "The interval over people and images compares the last condition with the first (mean of both questions).",
    ]
    titles = {
        "null": f"## No effect: false positives of {STUDIES} (at most {ACCEPTED})",
        "by image": "## No effect over all images, but each condition does better on some images than on others",
        "power": f"## An effect of the last of three conditions: found in how many of {STUDIES} (12 images, rotated)",
    }
    for kind, title in titles.items():
        lines += ["", title, ""]
        if kind == "by image":
            lines += [
                "The standard deviation of that is 0.3. A test over participants takes the images as fixed, so that it",
                "finds what is true of these images alone; the interval over people and images does not.",
                "",
            ]
        lines += ["| studies | a planned test finds a difference | interval excludes 0 |", "|---|---:|---:|"]
        lines += [
            f"| {row['name']} | {row['found']} | {row['two_way_excludes_0']:g} |" for row in rows if row["kind"] == kind
        ]
    lines += [
        "",
        f"numpy {np.__version__}, scipy {scipy.__version__}, {result['date']}. "
        "Again: `python benchmarks/study_null.py`.",
        "",
    ]
    for kind, text in (("json", json.dumps(result, indent=1) + "\n"), ("md", "\n".join(lines))):
        with whole_file(options.out.with_suffix(f".{kind}")) as temporary:
            temporary.write_text(text, encoding="utf-8")
    print("\n".join(lines))
    if not result["passed"]:
        raise SystemExit(f"{max(false_positives)} false positives of {STUDIES}, more than {ACCEPTED}")


if __name__ == "__main__":
    main()
