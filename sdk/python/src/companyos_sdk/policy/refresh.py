"""Bundles by polling: the newest one that holds replaces the present one as a whole; whatever is wrong changes nothing.

The last good bundle is kept on disk as it was received, so that a restart without a network decides. It is verified
again when it is read: the disk is trusted no more than the network is.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import quote

import msgspec

from companyos_sdk.policy.clock import Clock, Freshness
from companyos_sdk.policy.decider import Decider
from companyos_sdk.policy.status import BundleState, Outcome
from companyos_sdk.policy.transport import Endpoint, Unreachable

if TYPE_CHECKING:
    from companyos_sdk.bundle import Active, Bundle, Stage, TrustRoots

INTERVAL_S: Final = 10.0
MAX_BUNDLE_BYTES: Final = 8 * 1024 * 1024

_NS: Final = 1_000_000_000
_REWRITE_S: Final = 60.0
_MAX_NOTE: Final = 4096
_OK, _NOT_MODIFIED = 200, 304
_log: Final = logging.getLogger(__name__)


class Loaded(msgspec.Struct, frozen=True):
    """A decider, and what matters of its bundle for what may come after it."""

    decider: Decider
    active: Active


class Loader(Protocol):
    """Makes a decider of a bundle's bytes, or raises with a sentence that says why not."""

    def __call__(self, data: bytes, active: Active | None) -> Loaded:
        """Verify and load what may take the place of ``active``."""
        ...


class _Note(msgspec.Struct, frozen=True):
    """What is known about the bundle on disk."""

    digest: str
    etag: str
    confirmed_ns: int
    """When the platform last said that it is the one; nanoseconds since 1970."""


class Refresher:
    """Keeps ``decider`` up to date. One thread refreshes; any number read ``decider``, which is replaced as a whole."""

    def __init__(  # noqa: PLR0913 - what it asks, whom, how often, and where it puts the answer
        self,
        endpoint: Endpoint,
        bundle_id: str,
        stage: str,
        load: Loader,
        without: Decider,
        freshness: Freshness,
        *,
        folder: Path | None = None,
        interval_s: float = INTERVAL_S,
        clock: Clock | None = None,
    ) -> None:
        """Poll for ``<domain>/<service>``; ``without`` decides, and denies, as long as there is no bundle at all."""
        self.decider: Decider = without
        """What decides now."""
        self._endpoint, self._load, self._freshness = endpoint, load, freshness
        self._path = f"/v1/bundles/{quote(bundle_id)}?stage={quote(stage, safe='')}"
        self._folder, self._interval_s, self._clock = folder, interval_s, clock or Clock()
        name = f"{bundle_id.replace('/', '-')}.{stage}"
        self._cached = folder / f"{name}.tar.gz" if folder is not None else None
        self._noted = folder / f"{name}.json" if folder is not None else None
        self._active: Active | None = None
        self._digest, self._etag = "", ""
        self._written_ns = 0
        self._outcome: Outcome | None = None
        self._fault: str | None = None
        self.error: Exception | None = None
        """Why the bundle was refused at the last attempt, if it was."""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Poll from now on in a thread of its own, also in a child after a fork."""
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="bundle-refresh", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End after the request that is under way."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def state(self) -> BundleState:
        """How refreshing is now."""
        return BundleState(version=self._version(), digest=self._digest, outcome=self._outcome, fault=self._fault)

    def open_cached(self) -> bool:
        """Whether the bundle on disk decides now.

        Raises what the loader raises for a good bundle that this service cannot use.
        """
        if self._cached is None or self._noted is None:
            return False
        try:
            data = self._cached.read_bytes()
            note = msgspec.json.decode(self._noted.read_bytes()[:_MAX_NOTE], type=_Note)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return False
        if _digest(data) != note.digest:
            _log.error("The bundle in %s is not the one that was written there; it is not used", self._cached)
            return False
        try:
            loaded = self._load(data, None)
        except Exception as fault:
            if not is_refusal(fault):
                raise
            _log.error("The bundle in %s is not used: %s", self._cached, fault)
            return False
        age_s = (self._clock.wall_ns() - note.confirmed_ns) / _NS
        limit = self._freshness.max_stale_s
        # A time in the future is no confirmation: the clock was wrong then or is wrong now.
        self._freshness.confirm(age_s if age_s >= 0 or limit is None else limit)
        self._take(loaded, note.digest, note.etag)
        return True

    def refresh(self) -> Outcome:
        """Ask once. ``refused`` and ``unreachable`` leave everything as it was, and ``state().fault`` says why."""
        with self._lock:
            self.error = None
            try:
                outcome, fault = self._asked()
            except Unreachable as error:
                outcome, fault = "unreachable", str(error)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with a new bundle, the last good one stays
                outcome, fault, self.error = "refused", f"{type(error).__name__}: {error}", error
            if fault is not None and fault != self._fault:
                _log.error("The bundle could not be refreshed, %s stays: %s", self._version() or "no bundle", fault)
            self._outcome, self._fault = outcome, fault
            return outcome

    def _asked(self) -> tuple[Outcome, str | None]:
        headers = {"if-none-match": self._etag} if self._etag else {}
        reply = self._endpoint.request("GET", self._path, headers=headers, max_bytes=MAX_BUNDLE_BYTES)
        if reply.status == _NOT_MODIFIED and self._etag:
            self._confirmed()
            return "unchanged", None
        if reply.status != _OK:
            said = reply.body[:200].decode(errors="replace")
            return "unreachable", f"The platform answered {reply.status}: {said}"
        digest = _digest(reply.body)
        etag = reply.headers.get("etag", "")
        if digest == self._digest:
            self._etag = etag
            self._confirmed()
            return "unchanged", None
        loaded = self._load(reply.body, self._active)
        self._freshness.confirm()
        self._take(loaded, digest, etag)
        self._keep(reply.body)
        return "changed", None

    def _version(self) -> str:
        return self._active.version if self._active is not None else ""

    def _take(self, loaded: Loaded, digest: str, etag: str) -> None:
        self._active, self._digest, self._etag = loaded.active, digest, etag
        self.decider = loaded.decider

    def _confirmed(self) -> None:
        self._freshness.confirm()
        if (self._clock.wall_ns() - self._written_ns) / _NS >= _REWRITE_S:
            self._write_note()

    def _keep(self, data: bytes) -> None:
        """Put the bundle on disk; without it the next start needs the network, which is no reason to stop now."""
        if self._cached is None:
            return
        try:
            self._cached.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _replace(self._cached, data)
        except OSError as fault:
            _log.warning("The bundle could not be kept in %s: %s", self._cached, fault)
            return
        self._write_note()

    def _write_note(self) -> None:
        if self._noted is None or not self._digest:
            return
        now = self._clock.wall_ns()
        with contextlib.suppress(OSError):
            _replace(self._noted, msgspec.json.encode(_Note(self._digest, self._etag, now)))
            self._written_ns = now

    def _run(self) -> None:
        # Spread, so that a fleet that was started at once does not ask at once.
        while not self._stop.wait(self._interval_s * random.uniform(0.8, 1.2)):  # noqa: S311 - spreads polls
            self.refresh()


def is_refusal(fault: Exception) -> bool:
    """Whether the fault lies in the bundle, and not in the service that should use it."""
    from companyos_sdk.bundle.errors import BundleError
    from companyos_sdk.rego.errors import RegoError

    return isinstance(fault, (BundleError, RegoError))


def loader(trust: TrustRoots, bundle_id: str, stage: Stage, make: Callable[[Bundle], Decider], clock: Clock) -> Loader:
    """A loader that trusts these roots for one stage of one bundle.

    ``make`` gets the bundle with its compiled program. The bundle package is imported with the first bundle, because it
    brings the cryptography along.
    """

    def load(data: bytes, active: Active | None) -> Loaded:
        from datetime import UTC, datetime

        from companyos_sdk.bundle import Active, open_bundle

        now = datetime.fromtimestamp(clock.wall_ns() / _NS, UTC)
        bundle = open_bundle(data, trust, stage, now=now, active_version=active, bundle_id=bundle_id)
        about = bundle.metadata
        return Loaded(make(bundle), Active(version=about.version, checksum=about.checksum, signed_at=bundle.signed_at))

    return load


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _replace(path: Path, data: bytes) -> None:
    """Put a file in place as a whole. Raises OSError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
