"""A participant's way through the study: a list of steps that is a function of the design and the slot alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from pellucid.core.errors import InputError
from pellucid.study.allocation import shuffled, trials
from pellucid.study.design import Check, Question, Study, Text
from pellucid.study.folder import Stimulus

__all__ = ["COMMENT_LENGTH", "Field", "Invalid", "Sequences", "Step"]

COMMENT_LENGTH = 2000
"""Characters of a free comment."""

Kind = Literal[
    "expertise", "instructions", "practice", "feedback", "comprehension", "trial", "attention", "break", "choice",
    "comment",
]  # fmt: skip


class Invalid(ValueError):
    """An answer that cannot be stored; its text is the name of the sentence that says why."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """One question of a page.

    Attributes:
        name: name in the data and in the form.
        kind: ``scale``, ``list``, ``select``, ``maps`` or ``text``.
        text: the question, by language; for a comment empty.
        values: accepted values, in order.
        words: the values' words by language, in the same order; a language without them is shown the values.
        low: words at the low end of a scale.
        high: words at the high end.
    """

    name: str
    kind: Literal["scale", "list", "select", "maps", "text"]
    text: Text
    values: tuple[str, ...] = ()
    words: Mapping[str, tuple[str, ...]] | None = None
    low: Text | None = None
    high: Text | None = None

    def accept(self, given: str | None) -> str:
        """The value to store.

        Raises:
            Invalid: none was given, or one that was not offered.
        """
        if self.kind == "text":
            text = (given or "").replace("\r\n", "\n").replace("\x00", "").strip()
            if len(text) > COMMENT_LENGTH:
                raise Invalid("error_long")
            return text
        if not given:
            raise Invalid("error_missing")
        if given not in self.values:
            raise Invalid("error_invalid")
        return given


@dataclass(frozen=True, kw_only=True)
class Step:
    """One page.

    Attributes:
        name: unique within a sequence, such as ``trial-3``.
        kind: what it is.
        number: of its kind, from 1.
        total: of its kind.
        block: block of the allocation, for trials.
        stimuli: pictures shown; all conditions of an image, in their order on the page, for a choice.
        fields: what is asked.
    """

    name: str
    kind: Kind
    number: int = 1
    total: int = 1
    block: int | None = None
    stimuli: tuple[Stimulus, ...] = ()
    fields: tuple[Field, ...] = ()


class Sequences:
    """What every slot of one study goes through; ``steps(slot)`` is one participant's sequence.

    Args:
        study: the design.
        manifest: its pictures.

    Raises:
        InputError: a manifest that is not of this design.
    """

    def __init__(self, study: Study, manifest: Sequence[Stimulus]) -> None:
        self.study = study
        self._shown = {(shown.condition, shown.image): shown for shown in manifest if not shown.practice}
        self._practice = [shown for shown in manifest if shown.practice][: study.practice]
        self._images = sorted({image for _, image in self._shown})
        for condition in study.conditions:
            for image in self._images:
                if (condition, image) not in self._shown:
                    raise InputError(f"the manifest has no picture of image {image} under condition {condition!r}")
        wanted = (len(study.conditions) * study.images, study.practice)
        if wanted != (len(self._shown), len(self._practice)):
            raise InputError(
                f"study.yaml describes {wanted[0]} pictures and {wanted[1]} for practice, the manifest holds "
                f"{len(self._shown)} and {len(self._practice)}; they are not of the same study"
            )
        self.steps = lru_cache(maxsize=4096)(self._steps)

    @property
    def example(self) -> Stimulus | None:
        """The picture by which the instructions explain the maps: the first one of the practice."""
        return self._practice[0] if self._practice else None

    def _steps(self, slot: int) -> tuple[Step, ...]:
        study = self.study
        before: list[Step] = []
        if study.expertise:
            asked = tuple(_list(question.name, question.text, question.options) for question in study.expertise)
            before.append(Step(name="expertise", kind="expertise", fields=asked))
        before.append(Step(name="instructions", kind="instructions"))
        rated = tuple(self._field(question) for question in study.rated)
        for number, stimulus in enumerate(self._practice, start=1):
            before.append(
                Step(
                    name=f"practice-{number}",
                    kind="practice",
                    number=number,
                    total=len(self._practice),
                    stimuli=(stimulus,),
                    fields=rated,
                )
            )
            if study.practice_feedback:
                before.append(
                    replace(before[-1], name=f"feedback-{number}", kind="feedback", fields=()),
                )
        if checks := study.checks_of("comprehension"):
            before.append(Step(name="comprehension", kind="comprehension", fields=tuple(map(_check, checks))))
        after = [Step(name="comment", kind="comment", fields=(Field(name="comment", kind="text", text={}),))]
        return (
            *before,
            *(self._trials(slot, rated) if rated else []),
            *self._choices(slot),
            *(after if study.comment else []),
        )

    def _trials(self, slot: int, fields: tuple[Field, ...]) -> list[Step]:
        study = self.study
        shown = trials(
            slot=slot, conditions=len(study.conditions), images=study.images, seed=study.seed, crossing=study.crossing
        )
        attention = self._attention(slot, len(shown))
        steps = []
        for number, showing in enumerate(shown, start=1):
            steps.append(
                Step(
                    name=f"trial-{number}",
                    kind="trial",
                    number=number,
                    total=len(shown),
                    block=showing.block,
                    stimuli=(self._shown[study.conditions[showing.condition], self._images[showing.image]],),
                    fields=fields,
                )
            )
            if number in attention:
                check = attention[number]
                steps.append(
                    Step(name=check.name, kind="attention", number=number, total=len(shown), fields=(_check(check),))
                )
            if study.break_every and number % study.break_every == 0 and number < len(shown):
                steps.append(Step(name=f"break-{number}", kind="break", number=number, total=len(shown)))
        return steps

    def _attention(self, slot: int, count: int) -> dict[int, Check]:
        """Trials after which an attention check comes: one in each equal part of the sequence, at a random place."""
        checks = self.study.checks_of("attention")
        after = {}
        for number, check in enumerate(checks):
            part = range(number * count // len(checks) + 1, (number + 1) * count // len(checks) + 1)
            if part:
                after[shuffled(part, self.study.seed, "attention", slot, number)[0]] = check
        return after

    def _choices(self, slot: int) -> list[Step]:
        study, steps = self.study, []
        images = shuffled(self._images, study.seed, "choices", slot) if study.compared else []
        for number, image in enumerate(images, start=1):
            conditions = shuffled(study.conditions, study.seed, "sides", slot, image)
            stimuli = tuple(self._shown[condition, image] for condition in conditions)
            values = tuple(stimulus.stimulus for stimulus in stimuli)
            fields = tuple(
                Field(name=question.name, kind="maps", text=question.text, values=values) for question in study.compared
            )
            steps.append(
                Step(
                    name=f"choice-{number}",
                    kind="choice",
                    number=number,
                    total=len(images),
                    stimuli=stimuli,
                    fields=fields,
                )
            )
        return steps

    def _field(self, question: Question) -> Field:
        if question.kind == "guess":
            return Field(
                name=question.name,
                kind="select",
                text=question.text,
                values=self.study.classes,
                words=self.study.class_names,
            )
        anchors = question.anchors
        return Field(
            name=question.name,
            kind="scale",
            text=question.text,
            values=tuple(str(number) for number in range(1, question.points + 1)),
            low=anchors.low if anchors else None,
            high=anchors.high if anchors else None,
        )


Course = Sequences
"""The class's earlier name, by which ``pellucid.study.course`` is asked for it."""


def _check(check: Check) -> Field:
    return _list(check.name, check.text, check.options)


def _list(name: str, text: Text, options: Mapping[str, tuple[str, ...]]) -> Field:
    count = len(next(iter(options.values())))
    return Field(name=name, kind="list", text=text, values=tuple(map(str, range(count))), words=options)
