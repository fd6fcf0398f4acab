"""What every request passes: its size, its rate, and the headers of every answer."""

import asyncio
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["BODY_BYTES", "BODY_SECONDS", "Bucket", "Guard", "Rates", "client_of"]

BODY_BYTES = 32 * 1024
"""Largest body; a comment of 2000 characters takes at most 24 KB."""
BODY_SECONDS = 20.0
"""Time in which a body must have come; one of 32 KB takes 13 at 20 kbit a second."""
PATH_BYTES = 2048
"""Longest path with its query."""
CLIENTS = 20_000
"""Clients remembered at once; the longest unseen are forgotten."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "X-Robots-Tag": "noindex, nofollow",
}


class Bucket:
    """A token bucket per client: ``burst`` at once, then ``rate`` a second. Kept in memory, and never written.

    >>> bucket = Bucket(rate=1, burst=2, clock=lambda: 0.0)
    >>> [bucket.take("someone") for _ in range(3)]
    [True, True, False]
    """

    def __init__(self, *, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> bool:
        """Whether the client may go on; takes one token."""
        at = self._clock()
        tokens, before = self._clients.pop(client, (self._burst, at))
        tokens = min(self._burst, tokens + (at - before) * self._rate)
        self._clients[client] = (tokens - 1 if tokens >= 1 else tokens, at)
        while len(self._clients) > CLIENTS:
            self._clients.popitem(last=False)
        return tokens >= 1


class Rates:
    """Limits of one server.

    Attributes:
        address: requests of one network address, which a whole laboratory may share.
        participant: requests with one private key.
        enrolment: new participants from one address.
        login: attempts at the researcher's password from one address.
        logins: attempts from everywhere.
        browser: attempts in one browser in which the researcher has been before; whatever others do, it has its own.
    """

    def __init__(self, *, factor: float = 1.0) -> None:
        self.address = Bucket(rate=500 * factor, burst=5000 * factor)
        self.participant = Bucket(rate=5 * factor, burst=60 * factor)
        self.enrolment = Bucket(rate=2 * factor, burst=300 * factor)
        self.login = Bucket(rate=1 / 20, burst=5)
        self.logins = Bucket(rate=1 / 2, burst=30)
        self.browser = Bucket(rate=1 / 20, burst=5)


def client_of(scope: Scope) -> str:
    """Who is counted as one client: the address at the other end of the connection.

    What a request says of itself, such as ``X-Forwarded-For``, anyone can write, so it is not looked at. Of IPv6, where
    each client has countless addresses, the network is taken.

    >>> client_of({"client": ("192.0.2.7", 4711)}), client_of({"client": ("2001:db8:1:2:3:4:5:6", 4711)})
    ('192.0.2.7', '2001:db8:1:2::/64')
    """
    host = str((scope.get("client") or ("", 0))[0])
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped or ipaddress.ip_network((int(address), 64), strict=False))
    return str(address)


class Refused(Exception):
    """A request that is too large, too slow, or one too many."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Guard:
    """ASGI middleware around the application.

    Args:
        app: the application.
        rates: limits.
        refuse: makes the answer to a request that was refused, by its status.
        secure: whether people reach the study by https.
    """

    def __init__(self, app: ASGIApp, rates: Rates, refuse: Callable[[Scope, int], ASGIApp], *, secure: bool) -> None:
        self._app, self._rates, self._refuse = app, rates, refuse
        self._headers = dict(HEADERS)
        if secure:
            self._headers["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        received, more = 0, True
        until = asyncio.get_running_loop().time() + BODY_SECONDS

        async def receive_some() -> Message:
            nonlocal received, more
            if not more:  # nothing is left but the word that the client has gone, which may take as long as it likes
                return await receive()
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError:
                raise Refused(408) from None
            received += len(message.get("body", b""))
            more = message["type"] == "http.request" and bool(message.get("more_body", False))
            if received > BODY_BYTES:
                raise Refused(413)
            return message

        try:
            self._check(scope)
            await self._app(scope, receive_some, send_with_headers)
        except Refused as refused:
            if begun:
                raise
            await self._refuse(scope, refused.status)(scope, receive, send_with_headers)

    def _check(self, scope: Scope) -> None:
        if not self._rates.address.take(client_of(scope)):
            raise Refused(429)
        if len(scope["raw_path"] or b"") + len(scope["query_string"]) > PATH_BYTES:
            raise Refused(414)
        for name, value in scope["headers"]:
            if name == b"content-length" and (not value.isdigit() or int(value) > BODY_BYTES):
                raise Refused(413)
