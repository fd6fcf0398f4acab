"""Synthetic participants through the real application, marked as such in the data."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import httpx

from pellucid.core.errors import InputError
from pellucid.study.design import Study
from pellucid.study.folder import Stimulus
from pellucid.study.limits import Rates
from pellucid.study.raters import Rater, raters
from pellucid.study.serve import running
from pellucid.study.site import Site
from pellucid.study.store import Store
from pellucid.study.visitor import Answerer, Page, take_part
from pellucid.study.web import SYNTHETIC, application

__all__ = ["answerer", "simulate"]

TOGETHER = 8
"""Participants at the same time."""


def simulate(
    folder: str | Path,
    store: Store,
    *,
    participants: int,
    effect: Mapping[str, float] | None = None,
    seed: int = 0,
    through_http: bool = False,
) -> int:
    """Let synthetic raters take part, page by page, and return how many finished.

    Args:
        folder: the study folder.
        store: where their answers go; one that holds people's answers is refused.
        participants: how many.
        effect: by condition, shift of the opinions on the latent scale, in standard deviations of an answer's noise.
        seed: of the raters.
        through_http: through a server on this machine instead of calling the application.

    Raises:
        InputError: a study that cannot be served, an unknown condition, or answers of people in the database.
    """
    people = sum(not row["synthetic"] for row in store.participants())
    if people:
        raise InputError(
            f"the database holds the answers of {people} people, where synthetic ones do not belong; give another with "
            "--database sqlite:///simulated.sqlite"
        )
    app = application(folder, store, rates=Rates(factor=1e6))
    site: Site = app.state.site
    before = len(store.participants())
    answering = raters(site.study, before + participants, effect, seed)[before:]  # a second call continues the first
    serving: AbstractContextManager[str] = running(app) if through_http else nullcontext("http://study.invalid")
    with serving as address:
        transport = None if through_http else httpx.ASGITransport(app)
        # In a thread of its own, since a notebook's has an event loop already.
        with ThreadPoolExecutor(1) as pool:
            try:
                pool.submit(asyncio.run, _all(site, answering, address, transport)).result()
            except ExceptionGroup as group:
                raise group.exceptions[0] from None
    return sum(row["finished_at"] is not None for row in store.participants()[before:])


async def _all(site: Site, answering: list[Rater], address: str, transport: httpx.AsyncBaseTransport | None) -> None:
    turn = asyncio.Semaphore(TOGETHER)
    headers = {SYNTHETIC: site.tokens.sign("synthetic", "")}

    async def visit(rater: Rater) -> None:
        async with (
            turn,
            httpx.AsyncClient(base_url=address, transport=transport, trust_env=False, timeout=60) as client,
        ):
            await take_part(client, answerer(site, rater), headers=headers)

    async with asyncio.TaskGroup() as group:
        for rater in answering:
            group.create_task(visit(rater))


def answerer(site: Site, rater: Rater) -> Answerer:
    """Answers of a rater to the pages of a study: opinions on maps, right answers to checks."""
    shown = {stem.removesuffix(".png"): stimulus for stem, stimulus in site.manifest.items()}

    def answer(page: Page) -> dict[str, str]:
        pictures = [shown[stem] for stem in page.pictures]
        return {name: _value(site.study, rater, name, values, pictures) for name, values in page.options.items()}

    return answer


def _value(study: Study, rater: Rater, name: str, values: list[str], pictures: list[Stimulus]) -> str:
    for check in study.checks:
        if check.name == name:
            return str(check.correct)
    if not pictures:
        return values[rater.number % len(values)]  # expertise
    kind, picture = study.question(name).kind, pictures[0]
    condition = picture.condition or study.conditions[0]
    if kind == "likert":
        return str(rater(condition, picture.image, name))
    if kind == "choice":
        liked = rater.choose(picture.image, name)
        return next(shown.stimulus for shown in pictures if shown.condition == liked)
    if rater.guesses_right(condition, picture.image, name):
        return picture.prediction
    others = [value for value in values if value != picture.prediction]
    return others[(rater.number + picture.image) % len(others)]
