"""Where the story is told: on a platform of its own that is gone afterwards, or on the one that runs."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from companyos.cli.story.cast import PATH
from companyos.core.console import progress
from companyos.core.errors import CompanyOSError, Unavailable
from companyos.core.home import Home
from companyos.core.keeper import Keeper

if TYPE_CHECKING:
    from collections.abc import Iterator

    from companyos.cli.guard import Local
    from companyos.core.api import Client

FOLDER: Final = "demo"
"""The part of the home with the repositories of the story."""
_POLL_S: Final = 0.1
_LATE_S: Final = 1.0
_OK: Final = 200


class Place(NamedTuple):
    """A platform that runs, with its router."""

    home: Home
    keeper: Keeper
    url: str
    """Where people find the Control Tower."""
    traffic: tuple[str, int]
    """Where users reach the services."""
    sign_in: str | None = None
    """A one-time link into the Control Tower."""

    @property
    def folder(self) -> Path:
        """Where the repositories of the services are."""
        return self.home.path / FOLDER

    def client(self) -> Client:
        """Return a client for this platform; each thread takes one of its own."""
        from companyos.core.client import connect

        return connect({"COMPANYOS_HOME": str(self.home.path)})

    def answers(self, service: str) -> bool:
        """Return whether a service answers behind the router."""
        with contextlib.closing(http.client.HTTPConnection(*self.traffic, timeout=5)) as connection:
            try:
                connection.request("GET", PATH, headers={"host": service})
                return connection.getresponse().status == _OK
            except (OSError, http.client.HTTPException):
                return False


def running(home: Home, keeper: Keeper, url: str, traffic: str | None, sign_in: str | None = None) -> Place:
    """Return the place of a platform that runs. Raises Unavailable when users reach no service there."""
    parts = urlsplit(traffic or "")
    if parts.hostname is None or parts.port is None:
        raise Unavailable("The router does not run, so no service can be reached.", next_step="See: companyos status")
    return Place(home, keeper, url, (parts.hostname, parts.port), sign_in)


@contextlib.contextmanager
def own(local: Local, *, keep: bool) -> Iterator[Place]:
    """Give a platform in a temporary home on free ports.

    At the end everything of it is stopped and, unless it is to be kept, deleted. Raises Unavailable where it cannot be
    brought up.
    """
    from companyos.cli.steps import keeper_of
    from companyos.cli.up import bring_up
    from companyos.core.settings import load

    home = Home(Path(tempfile.mkdtemp(prefix="companyos-demo-")).resolve()).create()
    keeper = keeper_of(home)
    try:
        with _settings(home):
            its = local._replace(home=home, settings=load(home))
            found = bring_up(its, keeper, "127.0.0.1", 0)
            if found.controller is None:
                raise Unavailable("Releases cannot be followed here.", next_step="See what was said above.")
            link = None if found.sign_in is None else str(found.sign_in["url"])
            yield running(home, keeper, found.address.url, found.controller["traffic"], link)
    finally:
        with _uninterrupted():
            progress("ending…")
            end(keeper)
            if not keep:
                shutil.rmtree(home.path, ignore_errors=True)


def end(keeper: Keeper) -> None:
    """End every process of a home, however far its start came."""
    deadline = time.monotonic() + _LATE_S
    while not (keeper.runs() or keeper.left_behind()):
        # An interrupt may have come while the keeper itself was starting; it holds its lock a moment later.
        if keeper.log.exists() or time.monotonic() >= deadline:
            return
        time.sleep(_POLL_S)
    with contextlib.suppress(CompanyOSError):
        keeper.ensure()
        keeper.shutdown(grace_s=5.0)


@contextlib.contextmanager
def _settings(home: Home) -> Iterator[None]:
    """Let the processes that are started see this home, any free ports, and no other setting of the user."""
    before = {name: value for name, value in os.environ.items() if name.startswith("COMPANYOS_")}
    for name in before:
        del os.environ[name]
    os.environ |= {"COMPANYOS_HOME": str(home.path), "COMPANYOS_TRAFFIC_PORT": "0", "COMPANYOS_PORT": "0"}
    try:
        yield
    finally:
        for name in [name for name in os.environ if name.startswith("COMPANYOS_")]:
            del os.environ[name]
        os.environ |= before


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let no second Ctrl-C leave the ending half done."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
