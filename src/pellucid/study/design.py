"""What a researcher decides about a study: frozen dataclasses, checked when they are made."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pellucid.core.errors import InputError
from pellucid.study.recruitment import Recruitment, check_recruitment

__all__ = ["Anchors", "Check", "Consent", "Exclusions", "Expertise", "PlannedTest", "Question", "Study", "Text"]

Text = Mapping[str, str]
"""What people read, by language: ``{"en": "How much ...", "de": "Wie sehr ..."}``."""

LANGUAGES = ("en", "de")
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
RESERVED = (
    *("consent", "instructions", "comment", "expertise", "comprehension"),  # pages
    *("step", "token", "seconds", "attempt", "decision", "language", "width", "height", "touch"),  # fields
)
"""Names that the pages of a study have themselves."""
MOST_ASKED = 30
"""Questions or checks of a kind; a page holds no more fields than its form may send."""
CODE = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, kw_only=True)
class Anchors:
    """Words at the two ends of a scale, by language."""

    low: Text
    high: Text


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked about the stimuli.

    Attributes:
        name: column value in the data, such as ``trust``.
        kind: ``likert`` rates one stimulus; ``guess`` names the class that the network answered, on the same page;
            ``choice`` shows the maps of all conditions for one image and takes the best.
        text: the question, by language.
        points: 5 or 7, for ``likert`` alone.
        anchors: words at the ends, for ``likert`` alone.
    """

    name: str
    kind: Literal["likert", "choice", "guess"]
    text: Text
    points: int = 7
    anchors: Anchors | None = None


@dataclass(frozen=True, kw_only=True)
class Check:
    """A question with one right answer.

    Attributes:
        name: column value in the data.
        kind: ``comprehension`` is asked after the practice, ``attention`` between the trials.
        text: the question, by language; an attention check says what to choose.
        options: answers by language, in the order shown.
        correct: position of the right one, from 0.
    """

    name: str
    kind: Literal["attention", "comprehension"]
    text: Text
    options: Mapping[str, tuple[str, ...]]
    correct: int


@dataclass(frozen=True, kw_only=True)
class Consent:
    """The text that a participant agrees to; whoever changes it changes its version."""

    version: str
    text: Text


@dataclass(frozen=True, kw_only=True)
class Expertise:
    """A question about the participant, asked once; ``options`` by language are in ascending order."""

    name: str
    text: Text
    options: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class Exclusions:
    """Rules by which the analysis leaves a participant out, fixed before the data.

    Attributes:
        incomplete: leave out who did not finish.
        max_attention_failures: attention checks that may be answered wrongly.
        max_comprehension_failures: comprehension checks that may be answered wrongly.
        min_median_seconds: smallest median time per rated stimulus; participants without times stay.
        max_straight_lining: largest share of a participant's ratings that equal their most frequent one.
    """

    incomplete: bool = True
    max_attention_failures: int = 0
    max_comprehension_failures: int = 1
    min_median_seconds: float | None = 1.5
    max_straight_lining: float | None = 0.95


@dataclass(frozen=True, kw_only=True)
class PlannedTest:
    """A test that was decided before the data.

    Attributes:
        question: name of the question.
        test: ``wilcoxon`` for two conditions; ``friedman`` for more, then every pair with the correction.
        alpha: level of the test.
        correction: ``holm``, over pairs and over questions.
        equivalence: margin in points of the scale within which two conditions count as equal, or None.
    """

    question: str
    test: Literal["wilcoxon", "friedman"]
    alpha: float = 0.05
    correction: Literal["holm"] = "holm"
    equivalence: float | None = None


@dataclass(frozen=True, kw_only=True)
class Study:
    """A whole study.

    Attributes:
        title: the study's name, in the data and its analysis.
        heading: what participants read at the top, by language.
        version: raised by hand when a study is changed and asked again.
        seed: of the choice of images and of every order.
        conditions: names of the compared runs; participants never see them.
        images: number of test images; a multiple of the number of conditions where ``crossing`` is ``rotated``.
        crossing: ``rotated`` shows a participant each image under one condition, and over participants each image
            under every condition equally often; ``full`` shows each participant every image under every condition, for
            each image in the same cycle from another beginning, so that what one condition leaves behind for the next
            is not balanced.
        choose: rule by which the images were chosen: ``all-correct``, ``stratified`` or ``any``.
        saliency: the method whose maps are shown.
        scaling: how a map becomes colours, the same for every condition.
        classes: class names, in the order of the labels.
        class_names: by language, the class names that participants read, in the same order; a language that is not
            there reads ``classes``.
        show_prediction: tell what the network answered; false where a question asks to guess it.
        questions: what is asked about stimuli.
        practice: number of practice trials, on images that the study does not use.
        practice_feedback: show after each practice trial what was answered and where the map is brightest.
        checks: comprehension and attention checks.
        comprehension_tries: how often the comprehension checks may be tried.
        screen_out: end with those who, after the last try, failed more comprehension checks than ``exclusions`` allow.
        consent: the consent text with its version.
        welcome: first page, by language.
        instructions: page before the practice, by language.
        debrief: last page, by language.
        expertise: questions about the participant.
        comment: whether a free comment is asked for at the end.
        exclusions: rules of the analysis.
        tests: planned tests.
        languages: offered languages; the first is the default.
        break_every: trials between two breaks; 0 for none.
        participants: planned number of participants, after which nobody more is taken; None for no limit.
        abandoned_after_hours: hours without an answer after which a slot of the allocation is given to someone else.
        completion_code: code shown at the end, such as Prolific's.
        completion_url: address to return to at the end, https alone.
        contact: whom participants may ask.
        recruitment: how people come, who is turned away, and how they leave.
    """

    title: str
    heading: Text
    version: int = 1
    seed: int = 0
    conditions: tuple[str, ...]
    images: int
    crossing: Literal["rotated", "full"] = "rotated"
    choose: Literal["all-correct", "stratified", "any"] = "all-correct"
    saliency: str = "vanilla_gradient"
    scaling: str = "each map from 0 to its 99th percentile, inferno"
    classes: tuple[str, ...]
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    show_prediction: bool = True
    questions: tuple[Question, ...]
    practice: int = 2
    practice_feedback: bool = False
    checks: tuple[Check, ...] = ()
    comprehension_tries: int = 1
    screen_out: bool = False
    consent: Consent
    welcome: Text
    instructions: Text
    debrief: Text
    expertise: tuple[Expertise, ...] = ()
    comment: bool = True
    exclusions: Exclusions = field(default_factory=Exclusions)
    tests: tuple[PlannedTest, ...] = ()
    languages: tuple[str, ...] = LANGUAGES
    break_every: int = 12
    participants: int | None = None
    abandoned_after_hours: float = 24.0
    completion_code: str | None = None
    completion_url: str | None = None
    contact: str = ""
    recruitment: Recruitment = field(default_factory=Recruitment)

    def __post_init__(self) -> None:
        _check(self)

    def question(self, name: str) -> Question:
        """The question of that name.

        Raises:
            InputError: there is none.
        """
        for question in self.questions:
            if question.name == name:
                return question
        raise InputError(
            f"no question is named {name!r}; there are {', '.join(question.name for question in self.questions)}"
        )

    def checks_of(self, kind: str) -> list[Check]:
        """The checks of one kind, in their order."""
        return [check for check in self.checks if check.kind == kind]

    def shown_class(self, name: str, language: str) -> str:
        """A class as participants read it."""
        shown = self.class_names.get(language)
        return name if shown is None else shown[self.classes.index(name)]

    @property
    def rated(self) -> tuple[Question, ...]:
        """Questions asked on the page of one stimulus."""
        return tuple(question for question in self.questions if question.kind != "choice")

    @property
    def compared(self) -> tuple[Question, ...]:
        """Questions asked about all conditions of one image."""
        return tuple(question for question in self.questions if question.kind == "choice")


def _check(study: Study) -> None:
    count = len(study.conditions)
    if count < 2 or len(set(study.conditions)) < count or "" in study.conditions:
        raise InputError(f"conditions must be two or more different names, got {list(study.conditions)}")
    if study.images < 1:
        raise InputError(f"images must be at least 1, got {study.images}")
    if study.crossing == "rotated" and study.images % count:
        raise InputError(
            f"images must be a multiple of the number of conditions ({count}), so that each participant rates every "
            f"condition equally often, got {study.images}; take {study.images // count * count or count} or "
            f"{-(-study.images // count) * count}, or crossing full"
        )
    if not study.languages or any(not CODE.fullmatch(code) for code in study.languages):
        raise InputError(f"languages must name at least one, such as en, got {list(study.languages)}")
    _check_bounds(study)
    _check_texts(study)
    _check_questions(study)
    _check_tests(study)
    check_recruitment(study)


def _check_bounds(study: Study) -> None:
    rules = study.exclusions
    for name, value, low, high in (
        ("practice", study.practice, 0, 20),
        ("comprehension_tries", study.comprehension_tries, 1, 10),
        ("break_every", study.break_every, 0, None),
        ("participants", study.participants, 1, None),
        ("abandoned_after_hours", study.abandoned_after_hours, 0, 8760),
        ("exclusions.max_attention_failures", rules.max_attention_failures, 0, None),
        ("exclusions.max_comprehension_failures", rules.max_comprehension_failures, 0, None),
        ("exclusions.min_median_seconds", rules.min_median_seconds, 0, None),
        ("exclusions.max_straight_lining", rules.max_straight_lining, 0, 1),
    ):
        if value is not None and not (low <= value and (high is None or value <= high)):
            raise InputError(f"{name} must be at least {low}{f' and at most {high}' if high else ''}, got {value}")


def _check_texts(study: Study) -> None:
    named: dict[str, Mapping[str, Any]] = {
        "heading": study.heading, "consent.text": study.consent.text, "welcome": study.welcome,
        "instructions": study.instructions, "debrief": study.debrief,
    }  # fmt: skip
    texts = list(named.items())
    for question in study.questions:
        texts.append((f"question {question.name}: text", question.text))
        if question.anchors is not None:
            texts += [(f"question {question.name}: anchors", words) for words in vars(question.anchors).values()]
    asked: list[Check | Expertise] = [*study.checks, *study.expertise]
    for about in asked:
        texts += [(f"{about.name}: text", about.text), (f"{about.name}: options", about.options)]
        counts = {len(options) for options in about.options.values()} or {0}
        if len(counts) > 1 or min(counts) < 2:
            raise InputError(f"{about.name}: options must be two or more, equally many in every language")
    for where, text in texts:
        for language in study.languages:
            if not text.get(language):
                raise InputError(
                    f"{where} has no text in the language {language!r}; there are {', '.join(text) or 'none'}"
                )
    for language, shown in study.class_names.items():
        if len(shown) != len(study.classes):
            raise InputError(f"class_names.{language} must hold {len(study.classes)} names, got {len(shown)}")
    for check in study.checks:
        most = len(check.options[study.languages[0]]) - 1
        if not 0 <= check.correct <= most:
            raise InputError(f"{check.name}: correct must be a position from 0 to {most}, got {check.correct}")


def _check_questions(study: Study) -> None:
    if not study.questions:
        raise InputError("a study asks at least one question, got none")
    asked: list[Question | Check | Expertise] = [*study.questions, *study.checks, *study.expertise]
    names = [named.name for named in asked]
    for name in names:
        if not NAME.fullmatch(name):
            raise InputError(f"a name begins with a letter and holds a-z, 0-9 and _, got {name!r}")
    for name in names:
        if name in RESERVED:
            raise InputError(f"the name {name!r} is one of the study's own pages or fields; take another")
    for kind, count in (("questions", len(study.questions)), ("expertise", len(study.expertise)),
                        ("checks", len(study.checks))):  # fmt: skip
        if count > MOST_ASKED:
            raise InputError(f"{kind} must be at most {MOST_ASKED}, got {count}")
    twice: Sequence[str] = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"the name {twice[0]!r} is used twice; names of questions, checks and expertise must differ")
    for question in study.questions:
        if question.kind == "likert" and question.points not in (5, 7):
            raise InputError(f"question {question.name}: points must be 5 or 7, got {question.points}")
        if question.kind == "likert" and question.anchors is None:
            raise InputError(f"question {question.name} needs anchors, the words at both ends of its scale")
        if question.kind == "guess" and study.show_prediction:
            raise InputError(f"question {question.name} asks to guess the prediction; set show_prediction to false")
    if not study.rated and study.practice:
        raise InputError(f"practice needs a likert or guess question, got practice {study.practice} and choices alone")


def _check_tests(study: Study) -> None:
    wanted = "wilcoxon" if len(study.conditions) == 2 else "friedman"
    for test in study.tests:
        if study.question(test.question).kind != "likert":
            raise InputError(f"a planned test takes a likert question, got {test.question!r}")
        if test.test != wanted:
            raise InputError(
                f"with {len(study.conditions)} conditions the test of {test.question} is {wanted}, got {test.test}"
            )
        if not 0 < test.alpha < 1:
            raise InputError(f"alpha must be between 0 and 1, got {test.alpha}")
        if test.equivalence is not None and test.equivalence <= 0:
            raise InputError(f"equivalence must be a positive number of points, got {test.equivalence}")
