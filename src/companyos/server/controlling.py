"""The process of the controller: one at a time acts for a database, the others wait for their turn."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import sha256
from typing import Final

from companyos.core import access, durable
from companyos.core.artifacts import ArtifactStore
from companyos.core.clock import SystemClock, rfc3339
from companyos.core.errors import CompanyOSError, Unavailable
from companyos.core.home import Home
from companyos.core.keeper import Keeper
from companyos.core.leases import Lease, Leases
from companyos.core.settings import Settings
from companyos.core.structs import settle
from companyos.delivery.adapters.envoy import EnvoyTraffic
from companyos.delivery.adapters.local import LocalRuntime
from companyos.delivery.adapters.prober import HttpProber
from companyos.delivery.controller import CALLER, Adapters, Controller
from companyos.delivery.crashing import VARIABLE, crasher
from companyos.delivery.effects import Effects
from companyos.delivery.executing import Executor
from companyos.delivery.ports import Traffic
from companyos.ledger import Journal, open_journal
from companyos.operations import Operations
from companyos.policy.log import DecisionLog
from companyos.policy.service import Policies
from companyos.server import logs
from companyos.server.addresses import public_address
from companyos.server.governing import authorizer

LEASE: Final = "delivery.controller"
TTL_S: Final = 10.0
_RENEW_S: Final = 3.0
_STANDBY_S: Final = 0.5
_AGAIN_S: Final = 1.0
_ROUTER_S: Final = 15.0
_ROUTER_POLL_S: Final = 0.05

_log = logging.getLogger(__name__)


def run(settings: Settings) -> None:
    """Follow the releases of a home until SIGTERM or SIGINT.

    Raises Unavailable where there is no Envoy, no keeper, or another controller of this home.
    """
    logs.configure(settings.log_level)
    settle()
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    home = settings.folder.create()
    with ExitStack() as opened:
        opened.enter_context(_alone(home))
        journal = open_journal(settings)
        opened.callback(journal.close)
        keeper = Keeper(home.run, home.logs)
        keeper.ensure()
        log = DecisionLog(journal)
        opened.callback(log.close)
        access.bind(authorizer(journal, Policies(journal), log))
        artifacts = ArtifactStore(home.artifacts)
        adapters = Adapters(
            LocalRuntime(home, artifacts, keeper, journal.clock),
            EnvoyTraffic(home.path / "traffic", keeper, home.logs / "envoy.log", settings.traffic_port),
            HttpProber(artifacts, journal.clock),
        )
        for adapter in adapters:
            opened.callback(adapter.close)
        opened.enter_context(_noted(home, adapters.traffic, stopping))
        crash = crasher(os.environ.get(VARIABLE, ""))
        effects = Effects(journal, CALLER, lambda: public_address(settings))
        executor = Executor(journal, adapters.runtime, adapters.traffic, effects, crash=crash)
        controller = Controller(journal, adapters, Operations(journal), executor, crash=crash)
        _follow(controller, journal, Leases(journal.database, journal.clock), _holder(home), stopping)


def _follow(controller: Controller, journal: Journal, leases: Leases, holder: str, stopping: threading.Event) -> None:
    lease: Lease | None = None
    acts: bool | None = None
    renewed = 0.0
    while not stopping.is_set():
        now = journal.clock.monotonic()
        try:
            if lease is None or now - renewed >= _RENEW_S:
                lease = leases.acquire(LEASE, holder, TTL_S)
                renewed = now
                if acts != (lease is not None):
                    acts = lease is not None
                    _log.info("controller acts" if acts else "controller waits", extra={"holder": holder})
            if lease is None:
                controller.forget()
                wait_s = _STANDBY_S
            else:
                wait_s = controller.tick() - (journal.clock.monotonic() - now)
        except (CompanyOSError, OSError) as fault:
            _log.warning("tick failed", extra={"fault": str(fault), "kind": type(fault).__name__})
            controller.forget()
            wait_s = _AGAIN_S
        if wait_s > 0:
            stopping.wait(wait_s)
    if lease is not None:
        with suppress(CompanyOSError):
            leases.release(lease)
    _log.info("controller stopped", extra={"holder": holder})


def _holder(home: Home) -> str:
    """Return the same name for every controller of this home, so that a killed one is succeeded at once.

    Two of one home cannot be: the lock file sees to that. Two machines that share a database have different names.
    """
    place = sha256(f"{socket.gethostname()}\n{home.path}".encode()).hexdigest()[:16]
    return f"controller-{place}"


@contextmanager
def _alone(home: Home) -> Iterator[None]:
    descriptor = os.open(home.run / "controller.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as fault:
            raise Unavailable(
                "Another controller follows the releases of this home.", next_step="Leave it; one is enough."
            ) from fault
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _noted(home: Home, traffic: Traffic, stopping: threading.Event) -> Iterator[None]:
    """Say in a file that this process has everything that it needs, and where users reach the services."""
    deadline = time.monotonic() + _ROUTER_S
    while (address := traffic.address()) is None and time.monotonic() < deadline and not stopping.is_set():
        stopping.wait(_ROUTER_POLL_S)
    where = None if address is None else f"http://{address[0]}:{address[1]}"
    note = {"pid": os.getpid(), "started_at": rfc3339(SystemClock().now()), "traffic": where}
    durable.write(home.controller_file, json.dumps(note).encode())
    yield
    with suppress(OSError):
        home.controller_file.unlink()
