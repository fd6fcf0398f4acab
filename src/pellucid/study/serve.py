"""The web server: uvicorn, in this process."""

import asyncio
import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import SplitResult, urlsplit

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from pellucid.core.errors import InputError

__all__ = ["running", "serve"]

HEAD_SECONDS = 20.0
"""Time in which a request must have begun, from its connection or the answer before it to the end of its head."""


class Protocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # uvicorn's own, of whichever parser is here
    """uvicorn's side of a connection, which does not wait for ever for the head of a request."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._since = self.loop.time()
        self._waiting = self.loop.call_later(HEAD_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._waiting.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        self._since = self.loop.time()
        super().on_response_complete()

    def _look(self) -> None:
        """Close the connection if no request has begun for long enough; otherwise look again later."""
        asked = self.cycle is not None and not self.cycle.response_complete
        left = HEAD_SECONDS if asked else self._since + HEAD_SECONDS - self.loop.time()
        if left <= 0:
            self.transport.close()
        else:
            self._waiting = self.loop.call_later(left, self._look)


def _config(app: ASGIApp) -> uvicorn.Config:
    # Without an access log: addresses and private links belong in no file. Without headers of a proxy: whoever reaches
    # this server could write them, and would be counted as somebody else.
    return uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=5, lifespan="off",
        http=Protocol, ws="none", proxy_headers=False,
    )  # fmt: skip


def is_loopback(host: str) -> bool:
    """Whether a name or address means this machine alone.

    >>> [is_loopback(host) for host in ("localhost", "127.0.0.2", "::1", "0.0.0.0", "localhost.example.org")]
    [True, True, True, False, False]
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound already, so that a port in use is a sentence before anything starts.

    Raises:
        InputError: the address cannot be used.
    """
    if not 0 <= port <= 65535:
        raise InputError(f"--port must be from 0 to 65535, got {port}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen(2048)
    except OSError as error:
        bound.close()
        raise InputError(f"cannot listen at {host}, port {port}: {error.strerror}; choose another --port") from None
    return bound


def address_of(bound: socket.socket) -> str:
    """The address that a browser on this machine takes."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def check_url(url: str | None, host: str) -> None:
    """Refuse to serve people over plain http.

    Args:
        url: the address that participants use, None for that of this server.
        host: the address at which this server listens.

    Raises:
        InputError: an address that is none, or one by which answers and passwords would cross a network without https.
    """
    parts = _parts(url) if url is not None else None
    if parts is not None and parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise InputError(
            f"--url must begin with https://, as answers and the password cross the network, got {url!r}; http is for "
            "this machine alone, such as http://localhost:8000"
        )
    if not is_loopback(host) and (parts is None or parts.scheme != "https"):
        raise InputError(
            f"--host {host} opens the study to the network, where answers must go by https; put a web server with a "
            "certificate before it and give --url https://..."
        )


def _parts(url: str) -> SplitResult:
    """The parts of an address that participants use."""
    try:
        parts = urlsplit(url)
        whole = bool(parts.hostname) and parts.path in ("", "/") and not (parts.query or parts.fragment)
        ours = whole and parts.scheme in ("http", "https") and parts.username is None and parts.port != 0
    except ValueError:  # a port that is no number, brackets that do not close
        ours = False
    if not ours:
        raise InputError(f"--url is the address that participants use, such as https://study.example.org, got {url!r}")
    return parts


def serve(app: ASGIApp, bound: socket.socket) -> None:
    """Serve until the process is interrupted."""
    uvicorn.Server(_config(app)).run(sockets=[bound])


@contextmanager
def running(app: ASGIApp) -> Iterator[str]:
    """A server on a free port of this machine in another thread; yields its address."""
    bound = listen("127.0.0.1", 0)
    server = uvicorn.Server(_config(app))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        yield address_of(bound)
    finally:
        server.should_exit = True
        thread.join()
        bound.close()
