"""The researcher's side: how far the study is, whether it is balanced, pause, close, export."""

import io
import tempfile
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pellucid.study.export import write_export
from pellucid.study.limits import client_of
from pellucid.study.site import Site, read_form
from pellucid.study.store import Store
from pellucid.study.tokens import SESSION_SECONDS, password_hash, password_matches

__all__ = ["overview", "researcher_password", "routes"]

STATES = ("open", "paused", "closed")


def researcher_password(store: Store, given: str | None) -> tuple[str, str | None]:
    """The hash to check passwords against, and the password itself if it was made just now.

    Args:
        store: keeps the hash of a generated password.
        given: the password from the environment, which goes before a stored one.
    """
    import secrets

    if given:
        return password_hash(given), None
    new = secrets.token_urlsafe(12)
    stored = store.once("password", fresh := password_hash(new))
    return stored, new if stored == fresh else None


def routes(site: Site, password: str) -> list[Route]:
    """Routes of the researcher's side.

    Args:
        site: the study.
        password: hash of the researcher's password.
    """
    return [
        Route("/researcher", partial(_home, site, password), methods=["GET"]),
        Route("/researcher/browser/{browser}", partial(_known_browser, site), methods=["GET"]),
        Route("/researcher/login", partial(_login, site, password), methods=["POST"]),
        Route("/researcher/logout", partial(_logout, site, password), methods=["POST"]),
        Route("/researcher/state", partial(_state, site, password), methods=["POST"]),
        Route("/researcher/export", partial(_export, site, password), methods=["POST"]),
    ]


def overview(site: Site) -> dict[str, Any]:
    """Counts of participants, of ratings by condition, of drop-outs by step, and what is odd about whom."""
    rows = site.store.participants()
    steps: dict[str, list[Mapping[str, Any]]] = {}
    for step in site.store.steps():
        steps.setdefault(step["participant"], []).append(step)
    people = [_person(site, row, steps.get(row["id"], [])) for row in rows]
    shown = Counter(name for person in people if not person["synthetic"] for name in person["conditions"])
    left = Counter(person["at"] for person in people if not person["finished"] and not person["synthetic"])
    return {
        "people": people,
        "counts": {
            "Began": sum(not person["synthetic"] for person in people),
            "Finished": sum(person["finished"] and not person["synthetic"] for person in people),
            "Under way or left": sum(not person["finished"] and not person["synthetic"] for person in people),
            "Withdrawn": int(site.store.setting("withdrawn") or 0),
            "Planned": site.study.participants or "no limit",
            "Synthetic": sum(person["synthetic"] for person in people),
        },
        "balance": [(name, shown[name]) for name in site.study.conditions],
        "left": sorted(left.items(), key=lambda item: -item[1]),
    }


def _person(site: Site, row: Mapping[str, Any], done: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One participant's progress and quality flags."""
    sequence = site.sequences.steps(row["slot"])
    by_name = {step.name: step for step in sequence}
    rules, flags = site.study.exclusions, []
    for kind, most in (
        ("attention", rules.max_attention_failures),
        ("comprehension", rules.max_comprehension_failures),
    ):
        right = {check.name: str(check.correct) for check in site.study.checks_of(kind)}
        failed = sum(right[name] != value for step in done for name, value in step["answers"].items() if name in right)
        if failed > most:
            flags.append(f"{failed} {kind} checks failed")
    rated = [step for step in done if step["name"].startswith("trial-")]
    times = [step["seconds"] for step in rated if step["seconds"] is not None]
    if times and rules.min_median_seconds is not None and median(times) < rules.min_median_seconds:
        flags.append(f"median {median(times):.1f} s")
    scales = {question.name for question in site.study.rated if question.kind == "likert"}
    ratings = [value for step in rated for name, value in step["answers"].items() if name in scales]
    if len(ratings) >= 8 and rules.max_straight_lining is not None:
        share = Counter(ratings).most_common(1)[0][1] / len(ratings)
        if share > rules.max_straight_lining:
            flags.append(f"{100 * share:.0f} % the same rating")
    return {
        "id": row["id"],
        "synthetic": row["synthetic"],
        "slot": row["slot"],
        "language": row["language"],
        "started": row["started_at"],
        "seen": row["seen_at"],
        "finished": row["finished_at"] is not None,
        "position": len(done),
        "steps": len(sequence),
        "at": sequence[len(done)].name if len(done) < len(sequence) else "finished",
        "conditions": [by_name[step["name"]].stimuli[0].condition for step in rated],
        "flags": flags,
    }


def _cookie(site: Site) -> str:
    return "__Secure-researcher" if site.secure else "researcher"


def _session(site: Site, request: Request, password: str) -> str | None:
    given = request.cookies.get(_cookie(site))
    if given is None or not site.tokens.is_session(given, password) or site.store.is_ended(given):
        return None
    return given


def _browser_cookie(site: Site) -> str:
    return "__Secure-researcher-browser" if site.secure else "researcher-browser"


def _remember_browser(site: Site, response: Response, browser: str) -> None:
    """Let a browser's attempts at the password be counted apart from everybody else's."""
    response.set_cookie(
        _browser_cookie(site), browser, max_age=365 * 24 * 3600, path="/researcher", secure=site.secure, httponly=True,
        samesite="strict",
    )  # fmt: skip


def _known_browser(site: Site, request: Request) -> Response:
    browser = request.path_params["browser"]
    if not site.tokens.is_browser(browser):
        raise HTTPException(404)
    response = RedirectResponse("/researcher", 303)
    _remember_browser(site, response, browser)
    return response


def _may_try(site: Site, request: Request) -> bool:
    """Whether one more attempt at the password is looked at.

    A browser in which the researcher has been before has attempts of its own, so that nobody's guessing keeps it out.
    """
    browser = request.cookies.get(_browser_cookie(site))
    if browser is not None and site.tokens.is_browser(browser):
        return site.rates.browser.take(browser)
    return site.rates.login.take(client_of(request.scope)) and site.rates.logins.take("")


def _home(site: Site, password: str, request: Request) -> Response:
    session = _session(site, request, password)
    if session is None:
        return site.page("login.html", "en", wrong=False)
    token = site.tokens.sign("researcher", session)
    return site.page("researcher.html", "en", token=token, state=site.state, states=STATES, **overview(site))


async def _login(site: Site, password: str, request: Request) -> Response:
    form = await read_form(site, request)
    if not _may_try(site, request):
        raise HTTPException(429)
    if not await run_in_threadpool(password_matches, form.get("password", ""), password):
        return site.page("login.html", "en", wrong=True, status=403)
    response = RedirectResponse("/researcher", 303)
    response.set_cookie(
        _cookie(site),
        site.tokens.session(password),
        path="/researcher",
        secure=site.secure,
        httponly=True,
        samesite="strict",
    )
    known = request.cookies.get(_browser_cookie(site))
    _remember_browser(site, response, known if known and site.tokens.is_browser(known) else site.tokens.new_browser())
    return response


async def _form_of(site: Site, password: str, request: Request) -> Mapping[str, str]:
    """The form of a researcher who is logged in.

    Raises:
        HTTPException: nobody is, or the form was made for another session.
    """
    form = await read_form(site, request)
    session = await run_in_threadpool(_session, site, request, password)
    if session is None or not site.tokens.matches("researcher", session, form.get("token", "")):
        raise HTTPException(403)
    return form


async def _logout(site: Site, password: str, request: Request) -> Response:
    await _form_of(site, password, request)
    session = request.cookies.get(_cookie(site), "")
    await run_in_threadpool(site.store.end_session, session, lasting=SESSION_SECONDS)
    response = RedirectResponse("/researcher", 303)
    response.delete_cookie(_cookie(site), path="/researcher", secure=site.secure, httponly=True, samesite="strict")
    return response


async def _state(site: Site, password: str, request: Request) -> Response:
    form = await _form_of(site, password, request)
    wanted = form.get("state", "")
    if wanted not in STATES:
        raise HTTPException(403)
    await run_in_threadpool(setattr, site, "state", wanted)
    return RedirectResponse("/researcher", 303)


async def _export(site: Site, password: str, request: Request) -> Response:
    form = await _form_of(site, password, request)
    deidentified = form.get("deidentified") == "yes"

    def zipped() -> bytes:
        out = io.BytesIO()
        with tempfile.TemporaryDirectory() as folder:
            export = write_export(site.folder, site.store, Path(folder) / "export", deidentified=deidentified)
            with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
                for path in sorted(export.iterdir()):
                    archive.write(path, f"export/{path.name}")
        return out.getvalue()

    return Response(
        await run_in_threadpool(zipped),
        media_type="application/zip",
        headers={"Content-Disposition": 'attachment; filename="export.zip"'},
    )
