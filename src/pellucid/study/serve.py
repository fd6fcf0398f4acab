"""The web server: uvicorn, in this process."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import uvicorn
from starlette.types import ASGIApp

from pellucid.core.errors import InputError

__all__ = ["running", "serve"]

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def _config(app: ASGIApp) -> uvicorn.Config:
    # Without an access log: addresses and private links belong in no file.
    return uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=5, lifespan="off"
    )


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

    Raises:
        InputError: an address that is none, or a server open to the network without https.
    """
    parts = urlsplit(url or "")
    if url is not None and (parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/")):
        raise InputError(f"--url is the address that participants use, such as https://study.example.org, got {url!r}")
    if host not in LOOPBACK and parts.scheme != "https":
        raise InputError(
            f"--host {host} opens the study to the network, where answers must go by https; put a web server with a "
            "certificate before it and give --url https://..."
        )


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
