"""The web application. The server knows where each participant is; pages only show it and send answers."""

import io
import math
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from PIL import Image
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Scope

from pellucid.study.arrival import SYNTHETIC, consent, decided, welcome
from pellucid.study.checks import failures, outcome_of
from pellucid.study.language import pages
from pellucid.study.limits import Guard, Rates
from pellucid.study.recruitment import ending_of, group_is_full
from pellucid.study.sequence import COMMENT_LENGTH, Invalid, Step
from pellucid.study.site import Form, Site, checked, language_of, read_form
from pellucid.study.store import Participant, Store, Unavailable

__all__ = ["SYNTHETIC", "application"]

LONGEST_SECONDS = 24 * 3600.0


def application(
    folder: str | Path,
    store: Store,
    *,
    password: str | None = None,
    url: str | None = None,
    rates: Rates | None = None,
    preview: bool = False,
) -> Starlette:
    """The ASGI application of a study.

    Args:
        folder: the study folder.
        store: its answers.
        password: the researcher's; without one there is no researcher's side.
        url: address by which people reach the study; with https, cookies are sent by https alone.
        rates: limits of requests.
        preview: say on every page that nothing is stored, since ``store`` is thrown away.

    Raises:
        InputError: a study that cannot be served.
    """
    from pellucid.study.researcher import routes

    site = Site(folder, store, url=url, rates=rates, preview=preview)

    async def failed(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 503
        return site.failure(status, language_of(site, request))

    def refuse(scope: Scope, status: int) -> ASGIApp:
        return site.failure(status, language_of(site, Request(scope)))

    app = Starlette(
        routes=[
            Route("/", partial(welcome, site)),
            Route("/consent", partial(consent, site), methods=["GET"]),
            Route("/consent", partial(_posted, decided, site), methods=["POST"]),
            Route("/study", partial(_show, site), methods=["GET"]),
            Route("/study", partial(_posted, _answered, site), methods=["POST"]),
            Route("/resume/{key}", partial(_resume, site)),
            Route("/withdraw", partial(_ask_withdrawal, site), methods=["GET"]),
            Route("/withdraw", partial(_posted, _withdrawn, site), methods=["POST"]),
            Route("/stimuli/{name}", partial(_stimulus, site)),
            Route("/static/{name}", partial(_static, site)),
            Route("/favicon.ico", _nothing),
            Route("/health", _health),
            *(routes(site, password) if password else []),
        ],
        middleware=[Middleware(Guard, rates=site.rates, refuse=refuse, secure=site.secure)],
        exception_handlers={HTTPException: failed, Unavailable: failed, ClientDisconnect: failed, Exception: failed},
    )
    app.state.site = site
    return app


async def _posted(handle: Callable[[Site, Request, Form], Response], site: Site, request: Request) -> Response:
    """The answer to a form, made in a thread, since it waits for the database."""
    form = await read_form(site, request)
    return await run_in_threadpool(handle, site, request, form)


def _seconds(given: str | None) -> float | None:
    try:
        seconds = float((given or "")[:16])
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and 0 <= seconds <= LONGEST_SECONDS else None


def _known(site: Site, key: str | None) -> Participant:
    participant = site.store.participant(key) if key else None
    if participant is None:
        raise HTTPException(403)
    return participant


def _show(site: Site, request: Request) -> Response:
    key = site.key(request)
    participant = site.store.participant(key) if key else None
    if key is None or participant is None:
        return RedirectResponse("/", 303)
    if not site.rates.participant.take(key):
        raise HTTPException(429)
    notice = pages(participant.language)["notice_answered"] if request.query_params.get("again") else ""
    return _page(site, request, key, participant, notice=notice)


def _page(
    site: Site,
    request: Request,
    key: str,
    participant: Participant,
    *,
    notice: str = "",
    given: Form | None = None,
    errors: Mapping[str, str] | None = None,
) -> Response:
    """Where a participant is, with what they sent and what was wrong with it."""
    steps, language = site.sequences.steps(participant.slot), site.language(participant.language)
    link = site.link(request, key)
    if participant.outcome is not None:
        ending = ending_of(site.study, participant.outcome)
        return site.ended(participant.outcome, language, ending, recruit_id=participant.recruit_id, link=link)
    if participant.position >= len(steps):
        return _finished(site, participant, link)
    if site.state == "paused":
        return site.message("paused", language)
    step, ahead = steps[participant.position], steps[participant.position + 1 : participant.position + 3]
    return site.page(
        "step.html",
        language,
        status=422 if errors else 200,
        step=step,
        position=participant.position,
        steps=len(steps),
        token=site.tokens.sign("form", key),
        given=given or {},
        missing=set(errors or ()),
        errors=sorted(set((errors or {}).values())),
        notice=notice,
        limit=COMMENT_LENGTH,
        link=link,
        preload=[f"/stimuli/{shown.stimulus}.png" for each in ahead for shown in each.stimuli],
        **_taught(site, participant, step),
    )


def _taught(site: Site, participant: Participant, step: Step) -> dict[str, Any]:
    """What the pages before the study proper show beside their questions: an example, feedback, what was wrong."""
    attempts = site.store.attempts(participant.id, step.name) if step.kind == "comprehension" else []
    practised: dict[str, str] = {}
    if step.kind == "feedback":
        before = (each for each in site.store.steps(participant.id) if each["name"] == f"practice-{step.number}")
        practised = next(before, {"answers": {}})["answers"]
    explains = step.kind == "instructions" or bool(attempts)
    return {
        "example": site.sequences.example if explains else None,
        "spot": site.spot(step.stimuli[0].stimulus) if step.kind == "feedback" else None,
        "practised": practised,
        "attempts": len(attempts),
        "wrong_before": failures(site.study, attempts[-1]) if attempts else (),
    }


def _finished(site: Site, participant: Participant, link: str) -> Response:
    outcome = outcome_of(site.study, site.store.steps(participant.id))
    ending = ending_of(site.study, outcome)
    return site.page(
        "finished.html",
        site.language(participant.language),
        link=link,
        code=ending.code,
        address=ending.address(participant.recruit_id),
        leave_after=site.study.recruitment.return_after,
        failed=outcome == "failed_checks" and site.study.recruitment.failed_checks == ending,
    )


def _answered(site: Site, request: Request, form: Form) -> Response:
    key = checked(site, request, form)
    participant = _known(site, key)
    steps = site.sequences.steps(participant.slot)
    number = next((place for place, step in enumerate(steps) if step.name == form.get("step")), None)
    if number is None or number > participant.position:
        raise HTTPException(403)
    if number < participant.position or participant.outcome is not None:
        return _onward(request, stored=False)
    step = steps[number]
    answers, errors = _accept(step, form)
    if errors:
        return _page(site, request, key, participant, given=form, errors=errors)
    outcome = None
    if step.kind == "comprehension" and (wrong := failures(site.study, answers)):
        made = len(site.store.attempts(participant.id, step.name))
        if form.get("attempt", "0") != str(made):  # a second click on the page of an earlier try
            return _onward(request, stored=True)
        if made + 1 < site.study.comprehension_tries:
            site.store.attempt(participant, step.name, made, answers)
            return _onward(request, stored=True)
        if site.study.screen_out and len(wrong) > site.study.exclusions.max_comprehension_failures:
            outcome = "screened_out"
    quotas = site.study.recruitment.quotas if step.kind == "expertise" else ()
    stored = site.store.record(
        participant,
        number,
        step.name,
        answers,
        seconds=_seconds(form.get("seconds")),
        last=number == len(steps) - 1,
        outcome=outcome,
        full=(lambda others: group_is_full(quotas, answers, others) is not None) if quotas else None,
    )
    return _onward(request, stored=stored)


def _onward(request: Request, *, stored: bool) -> Response:
    """To the page where the participant is; a script that sent the form is told where that is."""
    place = "/study" if stored else "/study?again=1"
    if request.headers.get("accept") == "application/json":
        return JSONResponse({"next": place})
    return RedirectResponse(place, 303)


def _accept(step: Step, form: Form) -> tuple[dict[str, str], dict[str, str]]:
    """Answers to store, and by question the names of the sentences that say what is wrong."""
    answers, errors = {}, {}
    for field in step.fields:
        try:
            answers[field.name] = field.accept(form.get(field.name))
        except Invalid as error:
            errors[field.name] = str(error)
    return answers, errors


def _resume(site: Site, request: Request) -> Response:
    key = request.path_params["key"]
    if not site.tokens.is_key(key) or site.store.participant(key) is None:
        raise HTTPException(404)
    response = RedirectResponse("/study", 303)
    site.remember(response, key)
    return response


def _ask_withdrawal(site: Site, request: Request) -> Response:
    key = site.key(request)
    participant = site.store.participant(key) if key else None
    if key is None or participant is None:
        return RedirectResponse("/", 303)
    return site.page("withdraw.html", site.language(participant.language), token=site.tokens.sign("form", key))


def _withdrawn(site: Site, request: Request, form: Form) -> Response:
    participant = _known(site, checked(site, request, form))
    site.store.withdraw(participant)
    response = site.message("withdrawn", site.language(participant.language))
    site.forget(response)
    return response


def _stimulus(site: Site, request: Request) -> Response:
    path = site.pictures.get(request.path_params["name"])
    if path is None:
        raise HTTPException(404)
    return FileResponse(path, media_type="image/png", headers={"Cache-Control": "private, max-age=86400, immutable"})


STATIC = {
    "study.css": "text/css",
    "study.js": "text/javascript",
    "researcher.js": "text/javascript",
    "return.js": "text/javascript",
    "key.png": "image/png",
}


@cache
def _colour_key() -> bytes:
    """The colours of the maps from the lowest value at the left to the highest at the right, as a PNG."""
    from pellucid.report.colours import palette  # with matplotlib, which the pages themselves do without

    out = io.BytesIO()
    Image.fromarray(palette()[None]).save(out, "PNG")
    return out.getvalue()


def _static(site: Site, request: Request) -> Response:
    name = request.path_params["name"]
    if name not in STATIC:
        raise HTTPException(404)
    if name == "key.png":
        return Response(_colour_key(), media_type="image/png", headers={"Cache-Control": "max-age=3600"})
    path = Path(__file__).parent / "pages" / name
    return FileResponse(path, media_type=STATIC[name], headers={"Cache-Control": "max-age=3600"})


async def _nothing(request: Request) -> Response:
    return Response(status_code=204)


async def _health(request: Request) -> Response:
    return PlainTextResponse("ok")
