"""The web application. The server knows where each participant is; pages only show it and send answers."""

import math
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Scope

from pellucid.study.language import pages
from pellucid.study.limits import Guard, Rates, client_of
from pellucid.study.sequence import COMMENT_LENGTH, Invalid, Step
from pellucid.study.site import Form, Site, language_of, read_form
from pellucid.study.store import Full, Participant, Store, Unavailable

__all__ = ["SYNTHETIC", "application"]

PLATFORM = ("PROLIFIC_PID", "STUDY_ID", "SESSION_ID")
IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,64}")
LONGEST_SECONDS = 24 * 3600.0
SYNTHETIC = "X-Pellucid-Synthetic"
"""Header by which ``pellucid study simulate`` says that a program answers; its value is signed by the study."""


def application(
    folder: str | Path, store: Store, *, password: str | None = None, url: str | None = None, rates: Rates | None = None
) -> Starlette:
    """The ASGI application of a study.

    Args:
        folder: the study folder.
        store: its answers.
        password: the researcher's; without one there is no researcher's side.
        url: address by which people reach the study; with https, cookies are sent by https alone.
        rates: limits of requests.

    Raises:
        InputError: a study that cannot be served.
    """
    from pellucid.study.researcher import routes

    site = Site(folder, store, url=url, rates=rates)

    async def failed(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 503
        return site.failure(status, language_of(site, request))

    def refuse(scope: Scope, status: int) -> ASGIApp:
        return site.failure(status, language_of(site, Request(scope)))

    app = Starlette(
        routes=[
            Route("/", partial(_welcome, site)),
            Route("/consent", partial(_consent, site), methods=["GET"]),
            Route("/consent", partial(_posted, _decided, site), methods=["POST"]),
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


def _platform(given: Mapping[str, str]) -> dict[str, str]:
    return {name: given[name] for name in PLATFORM if IDENTIFIER.fullmatch(given.get(name, ""))}


def _welcome(site: Site, request: Request) -> Response:
    language = language_of(site, request)
    if site.state == "closed":
        return site.message("closed", language, resume=site.key(request) is not None)
    known = site.store.participant(key) if (key := site.key(request)) else None
    return site.page(
        "welcome.html",
        language,
        languages=[(code, pages(code)["language_name"]) for code in site.study.languages],
        platform=_platform(request.query_params),
        welcome=site.study.welcome[language],
        underway=known is not None and known.finished_at is None,
    )


def _consent(site: Site, request: Request) -> Response:
    language = language_of(site, request)
    if site.state != "open":
        return site.message(site.state, language, resume=site.key(request) is not None)
    key = site.key(request)
    known = site.store.participant(key) if key else None
    if known is not None and known.finished_at is None:
        return RedirectResponse("/study", 303)
    if key is None or known is not None:  # the browser of a laboratory may have served others before
        key = site.tokens.new_key()
    response = site.page(
        "consent.html",
        language,
        consent=site.study.consent,
        platform=_platform(request.query_params),
        token=site.tokens.sign("form", key),
    )
    site.remember(response, key)
    return response


def _decided(site: Site, request: Request, form: Form) -> Response:
    language = site.language(form.get("language"), language_of(site, request))
    key = _checked(site, request, form)
    if form.get("decision") == "decline":
        response: Response = site.message("declined", language)
        if site.store.participant(key) is None:
            site.forget(response)
        return response
    if form.get("decision") != "agree":
        raise HTTPException(403)
    synthetic = SYNTHETIC in request.headers
    if synthetic and not site.tokens.matches("synthetic", "", request.headers[SYNTHETIC]):
        raise HTTPException(403)
    if site.store.participant(key) is None:
        if site.state != "open":
            return site.message(site.state, language)
        if not synthetic and not site.rates.enrolment.take(client_of(request.scope)):
            raise HTTPException(429)
        try:
            site.store.enrol(
                key,
                language=language,
                consent_version=site.study.consent.version,
                synthetic=synthetic,
                viewport=(_pixels(form.get("width")), _pixels(form.get("height"))),
                platform=_platform(form),
                planned=site.study.participants,
                abandoned_after_hours=site.study.abandoned_after_hours,
            )
        except Full:
            return site.message("closed", language)
    response = RedirectResponse("/study", 303)
    site.remember(response, key)
    return response


def _pixels(given: str | None) -> int | None:
    return int(given) if given and given.isascii() and given.isdigit() and len(given) <= 5 else None


def _seconds(given: str | None) -> float | None:
    try:
        seconds = float((given or "")[:16])
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and 0 <= seconds <= LONGEST_SECONDS else None


def _checked(site: Site, request: Request, form: Form) -> str:
    """The key of the request's cookie, if the form was made for it.

    Raises:
        HTTPException: there is none, or the form was made for another.
    """
    key = site.key(request)
    if key is None or not site.tokens.matches("form", key, form.get("token", "")):
        raise HTTPException(403)
    if not site.rates.participant.take(key):
        raise HTTPException(429)
    return key


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
    if participant.position >= len(steps):
        return site.page("finished.html", language, link=link)
    if site.state == "paused":
        return site.message("paused", language)
    ahead = steps[participant.position + 1 : participant.position + 3]
    return site.page(
        "step.html",
        language,
        status=422 if errors else 200,
        step=steps[participant.position],
        position=participant.position,
        steps=len(steps),
        token=site.tokens.sign("form", key),
        given=given or {},
        missing=set(errors or ()),
        errors=sorted(set((errors or {}).values())),
        notice=notice,
        limit=COMMENT_LENGTH,
        size=site.size,
        link=link,
        preload=[f"/stimuli/{shown.stimulus}.png" for step in ahead for shown in step.stimuli],
    )


def _answered(site: Site, request: Request, form: Form) -> Response:
    key = _checked(site, request, form)
    participant = _known(site, key)
    steps = site.sequences.steps(participant.slot)
    number = next((place for place, step in enumerate(steps) if step.name == form.get("step")), None)
    if number is None or number > participant.position:
        raise HTTPException(403)
    if number < participant.position:
        return RedirectResponse("/study?again=1", 303)
    answers, errors = _accept(steps[number], form)
    if errors:
        return _page(site, request, key, participant, given=form, errors=errors)
    stored = site.store.record(
        participant,
        number,
        steps[number].name,
        answers,
        seconds=_seconds(form.get("seconds")),
        last=number == len(steps) - 1,
    )
    return RedirectResponse("/study" if stored else "/study?again=1", 303)


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
    participant = _known(site, _checked(site, request, form))
    site.store.withdraw(participant)
    response = site.message("withdrawn", site.language(participant.language))
    site.forget(response)
    return response


def _stimulus(site: Site, request: Request) -> Response:
    path = site.pictures.get(request.path_params["name"])
    if path is None:
        raise HTTPException(404)
    return FileResponse(path, media_type="image/png", headers={"Cache-Control": "private, max-age=86400, immutable"})


STATIC = {"study.css": "text/css", "study.js": "text/javascript"}


def _static(site: Site, request: Request) -> Response:
    name = request.path_params["name"]
    if name not in STATIC:
        raise HTTPException(404)
    path = Path(__file__).parent / "pages" / name
    return FileResponse(path, media_type=STATIC[name], headers={"Cache-Control": "max-age=3600"})


async def _nothing(request: Request) -> Response:
    return Response(status_code=204)


async def _health(request: Request) -> Response:
    return PlainTextResponse("ok")
