"""The researcher's side: log in, see how far the study is, pause, close, set test persons aside, export."""

import io
import tempfile
import zipfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pellucid.study.approval import approval_list
from pellucid.study.export import write_export
from pellucid.study.limits import client_of
from pellucid.study.progress import overview
from pellucid.study.site import Site, read_form
from pellucid.study.store import Store
from pellucid.study.tokens import SESSION_SECONDS, password_hash, password_matches

__all__ = ["researcher_password", "routes"]

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
        Route("/researcher/set-aside", partial(_set_aside, site, password), methods=["POST"]),
        Route("/researcher/approval", partial(_approval, site, password), methods=["POST"]),
        Route("/researcher/export", partial(_export, site, password), methods=["POST"]),
    ]


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


async def _set_aside(site: Site, password: str, request: Request) -> Response:
    form = await _form_of(site, password, request)
    aside = form.get("aside") == "yes"
    await run_in_threadpool(partial(site.store.set_aside, form.get("participant", ""), aside=aside))
    return RedirectResponse("/researcher#everyone", 303)


async def _approval(site: Site, password: str, request: Request) -> Response:
    await _form_of(site, password, request)
    return Response(
        await run_in_threadpool(approval_list, site),
        media_type="text/csv",
        headers={"Content-Disposition": 'attachment; filename="approval.csv"'},
    )


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
