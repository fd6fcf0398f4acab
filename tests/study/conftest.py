"""Studies and export folders for the tests of the analysis, without a server."""

import csv
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from pellucid.config import to_config
from pellucid.study.design import Anchors, Consent, Exclusions, Expertise, PlannedTest, Question, Study
from pellucid.study.responses import Responses

MakeStudy = Callable[..., Study]
MakeExport = Callable[..., Path]
CONDITIONS = ("regular", "adversarial", "smoothed", "scaat")
TEXT = {"en": "text"}


@pytest.fixture(scope="session")
def make_study() -> MakeStudy:
    """A study of ``count`` conditions with Likert questions of these names, all of them planned."""

    def make(
        count: int = 2,
        *,
        names: tuple[str, ...] = ("sufficiency", "trust"),
        points: int = 7,
        images: int = 12,
        others: tuple[Question, ...] = (),
        equivalence: Mapping[str, float] | None = None,
        **changes: Any,
    ) -> Study:
        likert = tuple(
            Question(
                name=name,
                kind="likert",
                text={"en": f"How much {name}?"},
                points=points,
                anchors=Anchors(low={"en": "not at all"}, high={"en": "fully"}),
            )
            for name in names
        )
        planned: dict[str, Any] = {
            "title": "Maps & people",
            "heading": TEXT,
            "conditions": CONDITIONS[:count],
            "images": images,
            "classes": ("cat", "dog"),
            "questions": (*likert, *others),
            "consent": Consent(version="1", text=TEXT),
            "welcome": TEXT,
            "instructions": TEXT,
            "debrief": TEXT,
            "languages": ("en",),
            "expertise": (Expertise(name="vision", text=TEXT, options={"en": ("none", "some", "a lot")}),),
            "exclusions": Exclusions(min_median_seconds=None),
            "tests": tuple(
                PlannedTest(
                    question=name,
                    test="wilcoxon" if count == 2 else "friedman",
                    equivalence=(equivalence or {}).get(name),
                )
                for name in names
            ),
        }
        return Study(**planned | changes)

    return make


@pytest.fixture(scope="session")
def make_export() -> MakeExport:
    """Write responses as an export folder; ``people`` says that persons answered."""

    def make(folder: Path, responses: Responses, *, people: bool = False, frozen: bool = True) -> Path:
        folder.mkdir(parents=True)
        study = responses.study
        kinds = {question.name: question.kind for question in study.questions}
        text = yaml.safe_dump(to_config(study), sort_keys=False, allow_unicode=True)
        (folder / "study.yaml").write_text(text, encoding="utf-8")
        if frozen:
            (folder / "study.lock").write_text(f"{hashlib.sha256(text.encode()).hexdigest()}  study.yaml\n")
        (folder / "export.json").write_text(json.dumps({"withdrawn": responses.withdrawn}))
        _write(
            folder / "participants.csv",
            [
                {
                    "participant": one.name,
                    "synthetic": str(not people).lower(),
                    "completed": str(one.completed).lower(),
                    "attention_failures": one.attention_failures,
                    "comprehension_failures": one.comprehension_failures,
                    "expertise_vision": one.expertise.get("vision", ""),
                }
                for one in responses.participants
            ],
        )
        _write(
            folder / "answers.csv",
            [
                {
                    "participant": one.participant,
                    "synthetic": str(not people).lower(),
                    "position": one.position,
                    "stimulus": one.stimulus,
                    "condition": one.condition,
                    "image": one.image,
                    "label": "cat",
                    "prediction": "cat",
                    "correct": "" if one.correct is None else str(one.correct).lower(),
                    "question": one.question,
                    "kind": kinds[one.question],
                    "answer": {
                        "likert": f"{one.value:.0f}" if kinds[one.question] == "likert" else "",
                        "guess": "cat" if one.value else "dog",
                        "choice": one.choice,
                    }[kinds[one.question]],
                    "seconds": "" if one.seconds != one.seconds else one.seconds,
                }
                for one in responses.answers
            ],
        )
        return folder

    return make


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
