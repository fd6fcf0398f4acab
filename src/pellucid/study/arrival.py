"""How people come in: welcome, consent, and whoever is turned away: by their ID, their device, a full study."""

import re
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from pellucid.study.language import pages
from pellucid.study.limits import client_of
from pellucid.study.recruitment import ending_of
from pellucid.study.site import Form, Site, checked, language_of
from pellucid.study.store import Full, Taken

__all__ = ["SYNTHETIC", "consent", "decided", "welcome"]

SYNTHETIC = "X-Pellucid-Synthetic"
"""Header by which ``pellucid study simulate`` says that a program answers; its value is signed by the study."""
IDENTIFIER = re.compile(r"[A-Za-z0-9_.@-]{1,64}")
MOBILE = re.compile(r"Mobi|Android|iPhone|iPad|Tablet", re.IGNORECASE)


def welcome(site: Site, request: Request) -> Response:
    """The first page."""
    language = language_of(site, request)
    if site.state == "closed":
        return site.message("closed", language, resume=site.key(request) is not None)
    known = site.store.participant(key) if (key := site.key(request)) else None
    if known is None and (refused := _without_id(site, request.query_params, language)) is not None:
        return refused
    arrived = _arrived(site, request.query_params)
    underway = known is not None and known.finished_at is None and known.outcome is None
    return site.page(
        "welcome.html",
        language,
        languages=[(code, pages(code)["language_name"]) for code in site.study.languages],
        arrived=arrived,
        welcome=site.study.welcome[language],
        underway=underway and known is not None and _same_person(known.recruit_id, arrived.get(_parameter(site))),
    )


def consent(site: Site, request: Request) -> Response:
    """The consent text, for those who can take part."""
    language = language_of(site, request)
    if site.state != "open":
        return site.message(site.state, language, resume=site.key(request) is not None)
    key, arrived = site.key(request), _arrived(site, request.query_params)
    recruit_id = arrived.get(_parameter(site))
    known = site.store.participant(key) if key else None
    if known is not None and _same_person(known.recruit_id, recruit_id):
        ended = known.finished_at is not None or known.outcome is not None
        if not ended or recruit_id is not None:
            return RedirectResponse("/study", 303)
    refused = _without_id(site, request.query_params, language) or _unfit(
        site, request, request.query_params, language, recruit_id
    )
    if refused is not None:
        return refused
    if recruit_id is not None and site.store.holder(recruit_id) is not None:
        return site.message("taken", language)
    if key is None or known is not None:  # the browser of a laboratory may have served others before
        key = site.tokens.new_key()
    response = site.page(
        "consent.html",
        language,
        consent=site.study.consent,
        arrived=arrived,
        recruit_id=recruit_id,
        token=site.tokens.sign("form", key),
    )
    site.remember(response, key)
    return response


def decided(site: Site, request: Request, form: Form) -> Response:
    """What follows on the consent form: the study, or a page that says why not."""
    language = site.language(form.get("language"), language_of(site, request))
    key = checked(site, request, form)
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
        refused = _not_enrolled(site, request, form, key, language=language, synthetic=synthetic)
        if refused is not None:
            return refused
    response = RedirectResponse("/study", 303)
    site.remember(response, key)
    return response


def _not_enrolled(
    site: Site, request: Request, form: Form, key: str, *, language: str, synthetic: bool
) -> Response | None:
    """Take someone in; None if that went well, otherwise the page that says why not."""
    if site.state != "open":
        return site.message(site.state, language)
    arrived = _arrived(site, form)
    recruit_id = arrived.pop(_parameter(site), None)
    if not synthetic:
        refused = _without_id(site, form, language) or _unfit(site, request, form, language, recruit_id)
        if refused is not None:
            return refused
        if not site.rates.enrolment.take(client_of(request.scope)):
            raise HTTPException(429)
    try:
        site.store.enrol(
            key,
            language=language,
            consent_version=site.study.consent.version,
            synthetic=synthetic,
            viewport=(_pixels(form.get("width")), _pixels(form.get("height"))),
            platform=arrived,
            recruit_id=recruit_id,
            planned=site.study.participants,
            abandoned_after_hours=site.study.abandoned_after_hours,
        )
    except Full:
        return site.ended("full", language, ending_of(site.study, "full"), recruit_id=recruit_id)
    except Taken:
        return site.message("taken", language)
    return None


def _parameter(site: Site) -> str:
    return site.study.recruitment.id_parameter


def _arrived(site: Site, given: Mapping[str, str]) -> dict[str, str]:
    """What a recruiting service put into the link: the ID, and Prolific's own names of the study and the session."""
    names = (_parameter(site), "STUDY_ID", "SESSION_ID")
    return {name: given[name] for name in names if IDENTIFIER.fullmatch(given.get(name, ""))}


def _same_person(before: str | None, now: str | None) -> bool:
    """Whether a browser's participant and the ID of a link can be the same person; without an ID they can."""
    return now is None or before == now


def _without_id(site: Site, given: Mapping[str, str], language: str) -> Response | None:
    """The page for somebody who lacks the ID that the study asks for."""
    if not site.study.recruitment.id_required or _parameter(site) in _arrived(site, given):
        return None
    return site.message("no_id", language)


def _unfit(
    site: Site, request: Request, given: Mapping[str, str], language: str, recruit_id: str | None
) -> Response | None:
    """The page for somebody whose device or window the study does not take; a window that is not told passes."""
    recruitment, say = site.study.recruitment, pages(language)
    mobile = (
        given.get("touch") == "1"
        or request.headers.get("sec-ch-ua-mobile") == "?1"
        or MOBILE.search(request.headers.get("user-agent", "")) is not None
    )
    text = ""
    width, height = _pixels(given.get("width")), _pixels(given.get("height"))
    if recruitment.device == "computer" and mobile:
        text = say["needs_computer"]
    elif recruitment.device == "mobile" and not mobile:
        text = say["needs_mobile"]
    elif recruitment.smallest_window is not None and width is not None and height is not None:
        least = recruitment.smallest_window
        if width < least[0] or height < least[1]:
            text = say["needs_window"].format(width=least[0], height=least[1], has_width=width, has_height=height)
    if not text:
        return None
    again = _arrived(site, given) | {"language": language}
    ending = ending_of(site.study, "screened_out")
    return site.ended("unfit", language, ending, text=text, again=again, recruit_id=recruit_id)


def _pixels(given: str | None) -> int | None:
    return int(given) if given and given.isascii() and given.isdigit() and len(given) <= 5 else None
