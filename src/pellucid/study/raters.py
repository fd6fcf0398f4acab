"""Synthetic raters: what a study of this size would find if people differed as assumed, and rows for tests.

A rater has an opinion on a latent scale, of which the answer is the point that it falls on. They are for planning and
for tests: what they answer is marked as synthetic and says nothing about people.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from statistics import NormalDist

from pellucid.core.errors import InputError
from pellucid.study.allocation import trials
from pellucid.study.design import Study
from pellucid.study.responses import Answer, Participant, Responses

__all__ = ["Rater", "Variation", "raters", "simulated"]

_NORMAL = NormalDist()


@dataclass(frozen=True, kw_only=True)
class Variation:
    """Standard deviations on the latent scale, whose unit is that of a single answer's own noise.

    Attributes:
        person: some people rate everything higher.
        image: some images are rated higher whatever the condition.
        person_by_condition: some people like a condition more than others do.
        image_by_condition: a condition does better on some images. A test over participants takes the images as fixed
            and counts that as an effect of the condition.
    """

    person: float = 0.8
    image: float = 0.6
    person_by_condition: float = 0.3
    image_by_condition: float = 0.0


@dataclass(frozen=True)
class Rater:
    """One synthetic participant: a function of condition, image and question.

    Attributes:
        study: what is asked.
        number: of the rater, from 0.
        effect: shift of a condition on the latent scale, 0 where it is not named.
        seed: of everything that is random.
        variation: how people and images differ.
    """

    study: Study
    number: int
    effect: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    variation: Variation = field(default_factory=Variation)

    def __call__(self, condition: str, image: str | int, question: str) -> int:
        """The answer to a Likert question, in 1 to its points; the same whenever it is asked again."""
        asked = self.study.question(question)
        if asked.kind != "likert":
            raise InputError(f"a rater answers Likert questions; {question!r} is a {asked.kind}")
        noise = self._normal("answer", self.number, condition, image, question)
        latent = self._opinion(condition, image, question) + noise
        return 1 + sum(latent > threshold for threshold in _thresholds(asked.points))

    def choose(self, image: str | int, question: str) -> str:
        """The condition taken in a forced choice among all."""

        def liking(condition: str) -> float:
            noise = self._normal("choice", self.number, condition, image, question)
            return self._opinion(condition, image, question) + noise

        return max(self.study.conditions, key=liking)

    def guesses_right(self, condition: str, image: str | int, question: str) -> bool:
        """Whether the rater guesses the network's answer: one half of the time where nothing has an effect."""
        return self._opinion(condition, image, question) > self._normal("guess", self.number, condition, image)

    def _opinion(self, condition: str, image: str | int, question: str) -> float:
        size = self.variation
        return (
            self.effect.get(condition, 0.0)
            + self._person(condition, question)
            + size.image * self._normal("image", image)
            + size.image_by_condition * self._normal("image by condition", image, condition)
        )

    def _person(self, condition: str, question: str) -> float:
        if (condition, question) not in self._known:
            general = self._normal("person", self.number)
            of_question = self._normal("person", self.number, question)
            liking = self._normal("person by condition", self.number, condition, question)
            self._known[condition, question] = (
                self.variation.person * (0.8 * general + 0.6 * of_question)
                + self.variation.person_by_condition * liking
            )
        return self._known[condition, question]

    @cached_property
    def _known(self) -> dict[tuple[str, str], float]:
        return {}

    def _normal(self, *key: str | int) -> float:
        """A standard normal number that depends on the seed and on what it is for."""
        text = repr((self.seed, *map(str, key))).encode()
        whole = int.from_bytes(hashlib.blake2b(text, digest_size=7).digest(), "little")
        return _NORMAL.inv_cdf((whole + 0.5) / 2**56)


def raters(
    study: Study,
    participants: int,
    effect: Mapping[str, float] | None = None,
    seed: int = 0,
    *,
    variation: Variation | None = None,
) -> list[Rater]:
    """Synthetic raters of a study.

    Args:
        study: what is asked.
        participants: how many, at least 1.
        effect: shift of conditions on the latent scale, in standard deviations of a single answer's noise.
        seed: of everything that is random.
        variation: how people and images differ.

    Returns:
        Functions ``answer(condition, image, question)``, one per participant.

    Raises:
        InputError: fewer than 1 participant, an effect of an unknown condition.
    """
    if participants < 1:
        raise InputError(f"participants must be at least 1, got {participants}")
    unknown = [name for name in effect or {} if name not in study.conditions]
    if unknown:
        raise InputError(f"no condition is named {unknown[0]!r}; there are {', '.join(study.conditions)}")
    return [Rater(study, number, effect or {}, seed, variation or Variation()) for number in range(participants)]


def simulated(
    study: Study,
    participants: int,
    effect: Mapping[str, float] | None = None,
    seed: int = 0,
    *,
    variation: Variation | None = None,
) -> Responses:
    """The responses of synthetic raters without a server: the Likert answers alone, everybody attentive.

    Rater i has slot i of the study's allocation. Arguments are those of `raters`.

    Returns:
        Responses marked as synthetic.
    """
    answers: list[Answer] = []
    made = raters(study, participants, effect, seed, variation=variation)
    questions = [question.name for question in study.questions if question.kind == "likert"]
    for rater in made:
        shown = trials(
            slot=rater.number,
            conditions=len(study.conditions),
            images=study.images,
            seed=study.seed,
            crossing=study.crossing,
        )
        answers += [
            Answer(
                participant=f"synthetic-{rater.number}",
                position=str(position),
                stimulus=f"{condition}/{image}",
                condition=condition,
                image=str(image),
                correct=None,
                question=question,
                value=float(rater(condition, image, question)),
                choice="",
                seconds=float("nan"),
            )
            for position, showing in enumerate(shown)
            for condition, image in [(study.conditions[showing.condition], showing.image)]
            for question in questions
        ]
    people = tuple(Participant(f"synthetic-{rater.number}", True, True, 0, 0, {}) for rater in made)
    return Responses(study, people, tuple(answers))


def _thresholds(points: int) -> list[float]:
    """Bounds between the points on the latent scale, evenly spaced around 0, so that the ends are used too."""
    width = 4.0 / points
    return [width * (step - points / 2) for step in range(1, points)]
