"""Whatever is sent, the server answers with a page that is no failure of its own, and stores nothing unasked."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from starlette.applications import Starlette
from starlette.testclient import TestClient

from pellucid.study.limits import Rates
from pellucid.study.store import Store
from pellucid.study.web import application

PATHS = (
    "/",
    "/consent",
    "/study",
    "/withdraw",
    "/resume/",
    "/stimuli/",
    "/static/",
    "/researcher",
    "/researcher/login",
)
text = st.text(st.characters(codec="utf-8"), max_size=40)
name = st.sampled_from(["token", "step", "decision", "language", "trust", "seconds", "width", "password", "state"])
form = st.dictionaries(name | text, text, max_size=8)
header = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)
headers = st.dictionaries(
    st.sampled_from(
        ["origin", "cookie", "accept-language", "sec-fetch-site", "content-type", "x-pellucid-synthetic", "host"]
    ),
    header,
    max_size=4,
)


@pytest.fixture
def client(folder: Any, store: Store, visitor_at: Callable[[Starlette], Any]) -> Any:
    visitor = visitor_at(application(folder, store, password="00:00", rates=Rates(factor=1e6)))
    return visitor.agree()


@given(
    method=st.sampled_from(["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"]),
    path=st.sampled_from(PATHS),
    tail=text,
    query=form,
    body=form | st.binary(max_size=200),
    headers=headers,
    mine=st.booleans(),
)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_request_makes_the_server_fail(
    client: Any, store: Store, method: str, path: str, tail: str, query: Any, body: Any, headers: Any, mine: bool
) -> None:
    cookies = dict(client.client.cookies) if mine else {}
    sender = TestClient(client.client.app, cookies=cookies, follow_redirects=False)
    address = path + quote(tail, safe="") * path.endswith("/")
    if isinstance(body, dict) and mine:
        body = client.page.hidden | body
    sent = {"data": body} if isinstance(body, dict) else {"content": body}
    response = sender.request(method, address, params=query, headers=headers, **sent)
    assert response.status_code < 500
    assert response.headers["content-security-policy"]
    assert "Traceback" not in response.text
    assert len(store.participants()) <= 1
