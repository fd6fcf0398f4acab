"""A participant that is a program: reads the pages as they are sent, fills their forms, follows the server."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import httpx

from pellucid.core.errors import InputError

__all__ = ["Answerer", "Page", "read_page", "take_part"]

Answerer = Callable[["Page"], Mapping[str, str]]
"""Answers to the questions of a page, by name."""


@dataclass
class Page:
    """What a page asks.

    Attributes:
        title: its first heading.
        action: where its form goes; empty without a form.
        hidden: the form's hidden fields.
        options: by question the values to choose from.
        texts: names of free texts.
        pictures: stems of the files of the pictures in the order shown.
    """

    title: str = ""
    action: str = ""
    hidden: dict[str, str] = field(default_factory=dict)
    options: dict[str, list[str]] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)

    @property
    def step(self) -> str:
        """The name of the step, such as ``trial-3``; empty on pages that are none."""
        return self.hidden.get("step", "")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self._heading = False
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        page, given = self.page, {name: value or "" for name, value in attrs}
        if tag == "form":
            page.action = given.get("action", "")
        elif tag == "input" and given.get("type") == "hidden":
            page.hidden[given["name"]] = given.get("value", "")
        elif tag == "input" and given.get("type") == "radio":
            page.options.setdefault(given["name"], []).append(given["value"])
        elif tag == "select":
            self._select = given["name"]
            page.options[self._select] = []
        elif tag == "textarea":
            page.texts.append(given["name"])
        elif tag == "option" and self._select and given.get("value"):
            page.options[self._select].append(given["value"])
        elif tag == "image" and given.get("href", "").startswith("/stimuli/"):
            stem = given["href"].removeprefix("/stimuli/").removesuffix(".png")
            if stem not in page.pictures:  # once for the photograph, once for the map
                page.pictures.append(stem)
        self._heading = self._heading or (tag == "h1" and not page.title)

    def handle_endtag(self, tag: str) -> None:
        if tag == "h1":
            self._heading = False
        if tag == "select":
            self._select = ""

    def handle_data(self, data: str) -> None:
        if self._heading:
            self.page.title += data.strip()


def read_page(html: str) -> Page:
    """What a page asks.

    >>> page = read_page('<h1>Hi</h1><form action="/study"><input type="radio" name="trust" value="1">')
    >>> page.title, page.action, page.options
    ('Hi', '/study', {'trust': ['1']})
    """
    reader = _Reader()
    reader.feed(html)
    return reader.page


async def take_part(
    client: httpx.AsyncClient, answer: Answerer, *, language: str = "en", headers: Mapping[str, str] | None = None
) -> str:
    """Go through a whole study, from the first page to the last.

    Args:
        client: with cookies of its own.
        answer: what to answer on each page.
        language: of the pages.
        headers: sent with the consent.

    Returns:
        The last page.

    Raises:
        InputError: the server refused something, or the study never ended.
    """
    page = await _page(client, "GET", "/consent", params={"language": language})
    form = page.hidden | {"decision": "agree"}
    html = await _html(client, "POST", "/consent", data=form, headers=dict(headers or {}))
    for _ in range(10_000):
        page = read_page(html)
        if page.action != "/study":
            return html
        html = await _html(client, "POST", "/study", data=page.hidden | dict(answer(page)))
        if page.step == read_page(html).step:
            raise InputError(f"the server did not accept the answers to {page.step}")
    raise InputError("the study did not end after 10000 pages")


async def _page(client: httpx.AsyncClient, method: str, path: str, **options: Any) -> Page:
    return read_page(await _html(client, method, path, **options))


async def _html(client: httpx.AsyncClient, method: str, path: str, **options: Any) -> str:
    try:
        response = await client.request(method, path, follow_redirects=True, **options)
    except httpx.HTTPError as error:
        raise InputError(f"the server does not answer ({type(error).__name__} at {path})") from None
    if response.status_code != 200:
        raise InputError(f"the server answered {response.status_code} to {method} {path}")
    return response.text
