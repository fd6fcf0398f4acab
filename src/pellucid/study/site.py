"""What every request of one study needs: the design, the answers, the words, the cookie, the forms."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jinja2
from PIL import Image
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pellucid.study.folder import is_frozen, read_manifest, read_study, registration
from pellucid.study.language import pages
from pellucid.study.limits import Rates
from pellucid.study.recruitment import Ending
from pellucid.study.sequence import Sequences
from pellucid.study.spot import Spot, brightest_spot, half_size
from pellucid.study.store import Store
from pellucid.study.tokens import Tokens

__all__ = ["Form", "Site", "checked", "language_of", "read_form"]

FIELDS = 40
"""Most fields of a form."""

MESSAGES = {
    403: "refused",
    404: "not_found",
    405: "not_found",
    408: "unavailable",
    413: "too_large",
    414: "too_large",
    415: "refused",
    429: "too_many",
    500: "unavailable",
    503: "unavailable",
}

Form = Mapping[str, str]
"""Fields of a form by name."""


class Site:
    """What every request of one study needs.

    Args:
        folder: the study folder.
        store: its answers.
        url: address by which people reach the study, such as ``https://study.example.org``; by default the request's.
        rates: limits of requests.
        preview: say on every page that nothing is stored; the caller gives a store that is thrown away.

    Raises:
        InputError: a study that cannot be read, was changed after freezing, or after people began.
    """

    def __init__(
        self,
        folder: str | Path,
        store: Store,
        *,
        url: str | None = None,
        rates: Rates | None = None,
        preview: bool = False,
    ) -> None:
        self.folder = Path(folder)
        is_frozen(folder)
        self.study = read_study(folder)
        for language in self.study.languages:
            pages(language)  # a language without a file is a sentence now, not a failure later
        manifest = read_manifest(folder)
        self.sequences = Sequences(self.study, manifest)
        store.bind(registration(folder))
        self.store = store
        self.tokens = Tokens(store.secret)
        self.rates = rates or Rates()
        self.url = url.rstrip("/") if url else None
        self.secure = bool(url and url.startswith("https:"))
        self.cookie = "__Host-participant" if self.secure else "participant"
        self.manifest = {f"{stimulus.stimulus}.png": stimulus for stimulus in manifest}
        self.pictures = {name: self.folder / stimulus.file for name, stimulus in self.manifest.items()}
        with Image.open(next(iter(self.pictures.values()))) as picture:
            self.size = picture.size
        self.preview = preview
        self._spots: dict[str, Spot] = {}
        self._state = store.setting("state") or "open"
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("pellucid.study", "pages"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    @property
    def state(self) -> str:
        """``open``, ``paused`` or ``closed``."""
        return self._state

    @state.setter
    def state(self, state: str) -> None:
        self.store.set("state", state)
        self._state = state

    def language(self, *wanted: str | None) -> str:
        """The first of the wanted languages that the study offers."""
        return next((code for code in wanted if code in self.study.languages), self.study.languages[0])

    def page(self, name: str, language: str, *, status: int = 200, **content: Any) -> HTMLResponse:
        """A rendered page."""
        common = {
            "language": language,
            "say": pages(language),
            "heading": self.study.heading[language],
            "contact": self.study.contact,
            "study": self.study,
            "preview": self.preview,
            "size": self.size,
            "half": half_size(self.size),
        }
        return HTMLResponse(self._templates.get_template(name).render(common | content), status_code=status)

    def message(self, name: str, language: str, *, status: int = 200, **content: Any) -> HTMLResponse:
        """A page that says one thing."""
        say = pages(language)
        common = {"message": say[name], "text": say[f"{name}_text"], "resume": False, "start": False}
        return self.page("message.html", language, status=status, **(common | content))

    def ended(
        self,
        name: str,
        language: str,
        ending: Ending,
        *,
        text: str = "",
        again: Mapping[str, str] | None = None,
        recruit_id: str | None = None,
        link: str = "",
    ) -> HTMLResponse:
        """The page of somebody who cannot go on, with the code and the way back that the recruiting service wants.

        Args:
            name: of the words.
            language: of the page.
            ending: code and address.
            text: in place of the words' own.
            again: parts of the link with which to begin again; without them, that is not offered.
            recruit_id: the participant's ID, for the address.
            link: the participant's private link, where there is one.
        """
        say = pages(language)
        return self.page(
            "ended.html",
            language,
            message=say[name],
            text=text or say[f"{name}_text"],
            again=again,
            link=link,
            code=ending.code,
            address=ending.address(recruit_id),
            leave_after=self.study.recruitment.return_after if again is None else None,
        )

    def spot(self, stimulus: str) -> Spot:
        """Where the map of a picture is brightest."""
        if stimulus not in self._spots:
            self._spots[stimulus] = brightest_spot(self.pictures[f"{stimulus}.png"])
        return self._spots[stimulus]

    def failure(self, status: int, language: str) -> Response:
        """The page of a status that is no success."""
        name = MESSAGES.get(status, "refused")
        response = self.message(name, language, status=status, start=name in ("not_found", "refused"))
        if status in (429, 503):
            response.headers["Retry-After"] = "5"
        if status == 408:  # what is still to come of the form is nobody's
            response.headers["Connection"] = "close"
        return response

    def key(self, request: Request) -> str | None:
        """The private key in the request's cookie, if this study made it."""
        given = request.cookies.get(self.cookie)
        return given if self.tokens.is_key(given) else None

    def remember(self, response: Response, key: str) -> None:
        """Set the cookie of a private key."""
        response.set_cookie(
            self.cookie, key, max_age=90 * 24 * 3600, path="/", secure=self.secure, httponly=True, samesite="lax"
        )

    def forget(self, response: Response) -> None:
        """Delete the cookie."""
        response.delete_cookie(self.cookie, path="/", secure=self.secure, httponly=True, samesite="lax")

    def link(self, request: Request, key: str) -> str:
        """A participant's private link."""
        return f"{self.url or str(request.base_url).rstrip('/')}/resume/{key}"


def language_of(site: Site, request: Request) -> str:
    """The language asked for in the address, or the browser's."""
    accepted = request.headers.get("accept-language", "")[:200].split(",")
    return site.language(
        request.query_params.get("language"), *(language.split(";")[0].strip().lower()[:2] for language in accepted)
    )


def checked(site: Site, request: Request, form: Form) -> str:
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


async def read_form(site: Site, request: Request) -> Form:
    """The fields of a form, each once, checked to come from a page of this site.

    Raises:
        HTTPException: another site's form, another type, or no text.
    """
    here = {request.headers.get("host"), urlsplit(site.url or "").netloc}  # a proxy may have changed the first
    origin = request.headers.get("origin", "null")
    if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise HTTPException(403)
    if origin != "null" and origin.partition("://")[2] not in here:
        raise HTTPException(403)
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/x-www-form-urlencoded":
        raise HTTPException(415)
    try:
        parsed = parse_qs(
            (await request.body()).decode(), keep_blank_values=True, max_num_fields=FIELDS, errors="strict"
        )
    except ValueError:
        raise HTTPException(403) from None
    if any(len(values) > 1 for values in parsed.values()):
        raise HTTPException(403)
    return {name: values[0] for name, values in parsed.items()}
