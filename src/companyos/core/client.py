"""Finding the platform: what every command does before it asks.

The order: ``COMPANYOS_URL`` with ``COMPANYOS_TOKEN``; otherwise the home (``COMPANYOS_HOME``, the nearest
``.companyos/`` upward, the per-user state folder), whose server is asked when one answers; otherwise the same
application is called in this process as ``os:<user>`` with the roles of the setting ``local_roles``. ``cli`` binds that
application, because nothing on this floor knows the server.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

import companyos
from companyos.core import durable
from companyos.core.access import Caller
from companyos.core.api import Client
from companyos.core.errors import (
    CompanyOSError,
    IntegrityFault,
    InvalidInput,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from companyos.core.home import Home, find_home
from companyos.core.ids import uuid7
from companyos.core.settings import Settings, load
from companyos.core.transport import HttpTransport, is_loopback

if TYPE_CHECKING:
    from companyos.core.in_process import AsgiApp

_FILE_LIMIT_BYTES: Final = 4096
_TOKEN_CHARACTERS: Final = frozenset(range(0x21, 0x7F))


class ServerAddress(msgspec.Struct, frozen=True):
    """What a running server says about itself in ``run/server.json``."""

    url: str
    pid: int
    started_at: str = ""


Factory = Callable[[Settings], "AsgiApp"]


class _Binding:
    """What makes the application of this process, once ``cli`` has said so."""

    factory: Factory | None = None


def bind_in_process(factory: Factory | None) -> None:
    """Make ``connect`` call the application that ``factory(settings)`` returns when no server answers; None unbinds."""
    _Binding.factory = factory


def connect(environment: Mapping[str, str] | None = None) -> Client:
    """Return a client for the platform that is found; raises when none is, or when it must not be used."""
    environment = os.environ if environment is None else environment
    if url := environment.get("COMPANYOS_URL"):
        return _remote(url, environment.get("COMPANYOS_TOKEN", ""))
    home = find_home(environment)
    server = running_server(home)
    if server is not None:
        token = environment.get("COMPANYOS_TOKEN") or admin_token(home)
        return Client(HttpTransport(check_url(server.url), check_token(token)), server.url)
    settings = load(home, environment)
    if _Binding.factory is None:
        raise Unavailable(f"No server runs for {home.path}.", next_step="Start it with: companyos up")
    from companyos.core.in_process import InProcessTransport  # asyncio takes 70 ms, and a server needs none of it

    home.create()
    return Client(InProcessTransport(_Binding.factory(settings), local_caller(settings)), str(home.path))


def local_caller(settings: Settings) -> Caller:
    """Return the person at this machine, with the roles that the setting ``local_roles`` gives."""
    return Caller(
        subject=f"os:{user_name()}",
        roles=frozenset(settings.local_roles),
        device=f"companyos/{companyos.__version__}",
        request_id=uuid7(),
    )


def user_name() -> str:
    """Return the name of the user this process runs as, from the system and not from the environment."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def running_server(home: Home) -> ServerAddress | None:
    """Return the address of the home's server when its process lives and answers, otherwise None.

    The process is looked at first: a port that a dead server left may belong to somebody else by now.
    """
    address = noted_server(home)
    if address is None or not _lives(address.pid):
        return None
    anonymous = Client(HttpTransport(address.url, ""), address.url)
    try:
        anonymous.get("/health")
    except Unavailable:
        return None
    return address


def noted_server(home: Home) -> ServerAddress | None:
    """Return what the home says about its server, running or not; None when it says nothing that can be used."""
    try:
        data = durable.read(home.server_file, limit_bytes=_FILE_LIMIT_BYTES)
        address = msgspec.json.decode(data, type=ServerAddress)
        check_url(address.url)
    except (CompanyOSError, OSError, msgspec.MsgspecError):
        return None
    return address


class ControllerNote(msgspec.Struct, frozen=True):
    """What a controller says about itself."""

    pid: int
    started_at: datetime
    traffic: str | None = None
    """Where users reach the services; None while the router does not run."""


def noted_controller(home: Home) -> ControllerNote | None:
    """Return what the home says about its controller, running or not; None when it says nothing that can be used."""
    try:
        return msgspec.json.decode(
            durable.read(home.controller_file, limit_bytes=_FILE_LIMIT_BYTES), type=ControllerNote
        )
    except (CompanyOSError, OSError, msgspec.MsgspecError):
        return None


def admin_token(home: Home) -> str:
    """Return the token that the first start left in the home.

    Raises Unauthenticated when there is none, IntegrityFault when others could have read or written it.
    """
    path = home.admin_token_file
    try:
        status = path.lstat()
        token = durable.read(path, limit_bytes=_FILE_LIMIT_BYTES).decode("ascii", "replace").strip()
    except (NotFound, FileNotFoundError) as fault:
        raise Unauthenticated(
            f"A server runs for {home.path}, and no token is there to ask it with.", next_step="Set COMPANYOS_TOKEN."
        ) from fault
    except OSError as fault:
        raise Unauthenticated(f"{path} cannot be read: {fault.strerror}.", next_step="Set COMPANYOS_TOKEN.") from fault
    if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid != os.geteuid():
        raise IntegrityFault(
            f"{path} is open to other users.", next_step="Revoke that token, then: chmod 600 and issue a new one."
        )
    return token


def check_url(url: str) -> str:
    """Return the address without a trailing slash, or raise InvalidInput when no token may be sent there."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        parts, usable = urlsplit(""), False
    if not usable or parts.query or parts.fragment:
        raise InvalidInput(
            "The address of the platform is no http or https address.",
            next_step="Set COMPANYOS_URL=https://host[:port].",
        )
    if parts.username is not None or parts.password is not None:
        raise InvalidInput(
            "The address of the platform holds a user name.", next_step="Give the token in COMPANYOS_TOKEN instead."
        )
    if parts.scheme == "http" and not is_loopback(url):
        raise InvalidInput(
            f"The token would cross the network to {parts.hostname} without encryption.",
            next_step="Use https, or a tunnel that ends on this machine.",
        )
    return url.rstrip("/")


def check_token(token: str) -> str:
    """Return the token, or raise InvalidInput when it is no text that fits into a header."""
    if not token or not set(token.encode()) <= _TOKEN_CHARACTERS:
        raise InvalidInput("The token is not one line of plain characters.", next_step="Copy it again, whole.")
    return token


def _remote(url: str, token: str) -> Client:
    url = check_url(url)
    if not token:
        raise Unauthenticated("COMPANYOS_URL is set without a token.", next_step="Set COMPANYOS_TOKEN too.")
    return Client(HttpTransport(url, check_token(token)), url)


def _lives(pid: int) -> bool:
    if pid <= 1:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
