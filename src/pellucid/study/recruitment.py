"""How people come to a study and how they leave it: their ID at a recruiting service, screening, quotas, endings."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from pellucid.core.checks import at_least, one_of
from pellucid.core.errors import InputError

if TYPE_CHECKING:
    from pellucid.study.design import Study

__all__ = ["Ending", "Outcome", "Quota", "Recruitment", "check_recruitment", "ending_of", "group_is_full"]

Outcome = Literal["complete", "failed_checks", "screened_out", "full"]
"""How taking part ended: ``complete``; ``failed_checks``, to the end but with too many failed attention checks;
``screened_out``, by the device, the window or the comprehension check; ``full``, no place was left."""

URL = re.compile(r"https://[^\s\"'<>]+")
PARAMETER = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
DEVICES = ("any", "computer", "mobile")


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What a recruiting service wants to be told about one way of ending.

    Attributes:
        code: the code that the participant gives to the service, or None.
        url: the address that leads back to the service, https alone; ``{id}`` in it becomes the participant's ID.
    """

    code: str | None = None
    url: str | None = None

    def address(self, recruit_id: str | None) -> str | None:
        """The address that leads one participant back.

        >>> Ending(url="https://example.org/done?id={id}").address("5f1a")
        'https://example.org/done?id=5f1a'
        """
        return None if self.url is None else self.url.replace("{id}", quote(recruit_id or "", safe=""))


@dataclass(frozen=True, kw_only=True)
class Quota:
    """The most participants of one group, as they describe themselves.

    Attributes:
        question: name of a question under ``expertise``.
        answers: positions of the answers that make the group, from 0.
        participants: how many of the group may take part.
    """

    question: str
    answers: tuple[int, ...]
    participants: int


@dataclass(frozen=True, kw_only=True)
class Recruitment:
    """How people come and how they leave.

    Attributes:
        id_parameter: the part of the link in which the recruiting service puts a participant's ID, such as
            ``PROLIFIC_PID``. An ID takes part once.
        id_required: turn away who comes without an ID.
        device: ``any``, ``computer`` (no phones or tablets) or ``mobile`` (phones and tablets alone).
        smallest_window: width and height in CSS pixels below which a browser's window is too small, or None.
        quotas: groups of which only so many may take part.
        screened_out: ending of those whom the device, the window or the comprehension check turns away.
        full: ending of those for whom no place is left.
        failed_checks: ending of those who failed more attention checks than ``exclusions`` allow.
        return_after: seconds after which the last page leads back to the service's address by itself, from 5 to 300,
            or None for the button alone. Who reads on stays.
    """

    id_parameter: str = "PROLIFIC_PID"
    id_required: bool = False
    device: Literal["any", "computer", "mobile"] = "any"
    smallest_window: tuple[int, int] | None = None
    quotas: tuple[Quota, ...] = ()
    screened_out: Ending = field(default_factory=Ending)
    full: Ending = field(default_factory=Ending)
    failed_checks: Ending = field(default_factory=Ending)
    return_after: int | None = 15


def check_recruitment(study: "Study") -> None:
    """Refuse a recruitment that cannot be carried out.

    Raises:
        InputError: an address without https, a parameter that no link can hold, a time of return out of range, a quota
            of a group that cannot be.
    """
    recruitment = study.recruitment
    if not PARAMETER.fullmatch(recruitment.id_parameter) or recruitment.id_parameter == "language":
        raise InputError(
            "recruitment.id_parameter must be a name of letters, digits, _ and - other than language, got "
            f"{recruitment.id_parameter!r}"
        )
    one_of(DEVICES, **{"recruitment.device": recruitment.device})
    for number in recruitment.smallest_window or ():
        at_least(1, " pixel", **{"recruitment.smallest_window": number})
    if recruitment.return_after is not None and not 5 <= recruitment.return_after <= 300:
        raise InputError(f"recruitment.return_after must be 5 to 300 seconds or null, got {recruitment.return_after}")
    addresses: dict[str, str | None] = {"completion_url": study.completion_url}
    addresses |= {
        f"recruitment.{name}.url": getattr(recruitment, name).url for name in ("screened_out", "full", "failed_checks")
    }
    for where, url in addresses.items():
        if url is not None and not URL.fullmatch(url):
            raise InputError(f"{where} must begin with https://, got {url!r}")
    for place, quota in enumerate(recruitment.quotas):
        where = f"recruitment.quotas[{place}]"
        asked = next((asked for asked in study.expertise if asked.name == quota.question), None)
        if asked is None:
            names = ", ".join(asked.name for asked in study.expertise) or "none"
            raise InputError(f"{where}.question must name a question under expertise ({names}), got {quota.question!r}")
        most = len(asked.options[study.languages[0]]) - 1
        if not quota.answers or not all(0 <= answer <= most for answer in quota.answers):
            raise InputError(f"{where}.answers must be positions from 0 to {most}, got {list(quota.answers)}")
        at_least(0, "", **{f"{where}.participants": quota.participants})


def ending_of(study: "Study", outcome: str) -> Ending:
    """The code and the address for one way of ending.

    Failed checks end like a complete participation where ``study.yaml`` says nothing else about them.
    """
    complete = Ending(code=study.completion_code, url=study.completion_url)
    if outcome == "complete":
        return complete
    ending: Ending = getattr(study.recruitment, outcome)
    return complete if outcome == "failed_checks" and ending == Ending() else ending


def group_is_full(
    quotas: Sequence[Quota], answers: Mapping[str, str], others: Sequence[Mapping[str, str]]
) -> Quota | None:
    """The first quota that has no place for a participant, or None.

    Args:
        quotas: of the study.
        answers: the participant's, by question, as positions.
        others: the same of everybody who holds a place.

    >>> quota = Quota(question="age", answers=(0, 1), participants=1)
    >>> group_is_full([quota], {"age": "1"}, [{"age": "0"}]) is quota
    True
    >>> group_is_full([quota], {"age": "2"}, [{"age": "0"}]), group_is_full([quota], {"age": "1"}, [{"age": "2"}])
    (None, None)
    """
    for quota in quotas:
        group = {str(answer) for answer in quota.answers}
        taken = sum(other.get(quota.question) in group for other in others)
        if answers.get(quota.question) in group and taken >= quota.participants:
            return quota
    return None
