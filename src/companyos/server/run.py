"""A server process: a socket, the log, the file that tells commands where it listens, and an end within two seconds."""

from __future__ import annotations

import ipaddress
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn, TextIO

import uvicorn

from companyos.core import durable
from companyos.core.clock import SystemClock, rfc3339
from companyos.core.errors import InvalidInput, Unavailable
from companyos.core.settings import Settings
from companyos.core.sse import Streams
from companyos.server import logs
from companyos.server.app import Application, create_app
from companyos.server.first_start import greet
from companyos.server.protocol import BoundedHttpProtocol

CONNECTIONS_LIMIT: Final = 1000
BACKLOG: Final = 256
DRAIN_S: Final = 1
"""How long open requests may take to end once the server is told to stop."""

_log = logging.getLogger(__name__)


def run(settings: Settings, host: str | None = None, port: int | None = None, *, out: TextIO | None = None) -> None:
    """Serve until SIGTERM or SIGINT, which end it with SystemExit(0).

    ``host`` and ``port`` go before the settings; port 0 takes a free one. The address, and the link that signs in, are
    written to ``out``, standard output when it is None. Raises Unavailable or InvalidInput when it cannot begin.
    """
    logs.configure(settings.log_level)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    with _listening(host or settings.host, settings.port if port is None else port) as listener:
        url = _url(listener)
        app = create_app(settings)
        try:
            _say_where(app, settings, url, out or sys.stdout)
            with _noted(settings.folder.server_file, url):
                _server(app, settings).run(sockets=[listener])
        finally:
            app.close()


def _end(_number: int, _frame: object) -> NoReturn:
    """End in order. uvicorn sends itself the signal again when it is done, and this is what it meets then."""
    raise SystemExit(0)


class _Server(uvicorn.Server):
    """uvicorn, which waits for its connections at the end; so event streams, which never end, are ended first."""

    def __init__(self, config: uvicorn.Config, streams: Streams) -> None:
        super().__init__(config)
        self._streams = streams

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        _log.info("server stopping", extra={"open_streams": len(self._streams)})
        self._streams.close_all()
        await super().shutdown(sockets)


def _server(app: Application, settings: Settings) -> _Server:
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=BoundedHttpProtocol,
        ws="none",
        lifespan="on",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        # Only a proxy on this machine may say for whom it asks, and only when there is said to be one.
        proxy_headers=bool(settings.public_url),
        forwarded_allow_ips="127.0.0.1",
        limit_concurrency=CONNECTIONS_LIMIT,
        backlog=BACKLOG,
        timeout_graceful_shutdown=DRAIN_S,
    )
    return _Server(config, app.streams)


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """Give a listening socket, taken before anything else so that a busy port changes nothing."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as fault:
        raise InvalidInput(f"The host {host!r} is not known.", next_step="Give an address, like 127.0.0.1.") from fault
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(BACKLOG)
        except OSError as fault:
            raise Unavailable(
                f"Nothing can listen on {host}:{port}: {fault.strerror}.", next_step="Choose another --port."
            ) from fault
        yield listener
    finally:
        listener.close()


def _url(listener: socket.socket) -> str:
    """Return the address under which a process of this machine reaches the socket."""
    host, port = listener.getsockname()[:2]
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")  # noqa: PLR2004 - IPv4
    return f"http://[{address}]:{port}" if address.version == 6 else f"http://{address}:{port}"  # noqa: PLR2004 - IPv6


def _say_where(app: Application, settings: Settings, url: str, out: TextIO) -> None:
    """Print the address, and on the first start or on a terminal the link that signs in; the log never has it."""
    public = settings.public_url.rstrip("/") or url
    link = greet(app.identity, public, always=out.isatty())
    out.write(f"CompanyOS listens on {url}\n")
    if link is not None:
        out.write(f"Sign in once with: {link}\n")
    out.flush()
    _log.info("server starting", extra={"url": url, "home": settings.home, "pid": os.getpid()})


@contextmanager
def _noted(path: Path, url: str) -> Iterator[None]:
    """Keep the address in a file while the server runs; a later server's file is left alone."""
    note = json.dumps({"url": url, "pid": os.getpid(), "started_at": rfc3339(SystemClock().now())}).encode()
    durable.write(path, note)
    try:
        yield
    finally:
        try:
            if path.read_bytes() == note:
                path.unlink()
        except OSError as fault:
            _log.warning("server file not removed", extra={"cause": fault.strerror})
