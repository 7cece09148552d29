"""The ``Traffic`` of real Envoy: files that it watches, an access log that it writes, and a keeper that runs it."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from companyos.core import durable
from companyos.core.errors import CompanyOSError, InvalidInput, Unavailable
from companyos.core.keeper import Keeper
from companyos.delivery.adapters.envoy import access_log, config, process
from companyos.delivery.adapters.envoy.admin import Asker, VersionProbe
from companyos.delivery.adapters.envoy.counters import per_release
from companyos.delivery.adapters.envoy.watching import Watching, locked, until
from companyos.delivery.adapters.listening import HOST
from companyos.delivery.ports import Batch, Request, Route, Target

ROTATE_BYTES: Final = 32 * 1024 * 1024
START_S: Final = 10.0
EFFECT_S: Final = 5.0
_AGAIN_S: Final = 1.0
_FILE_LIMIT_BYTES: Final = 16 * 1024 * 1024
_READS: Final = 4
_PORT_LIMIT: Final = 65_535
_SERVICE = re.compile(r"[a-z][a-z0-9-]{1,38}", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


class EnvoyTraffic:
    """One Envoy, which is the keeper's child ``envoy``. An Envoy that runs already is adopted as it is."""

    def __init__(
        self,
        folder: Path,
        keeper: Keeper,
        log: Path,
        port: int = 0,
        *,
        rotate_bytes: int = ROTATE_BYTES,
    ) -> None:
        """Take the folder of its files, the keeper, the file for Envoy's own messages, and the users' port (0: any).

        Envoy is started when it does not run and the keeper does. Raises Unavailable where there is no Envoy, and
        OSError when the folder cannot be written.
        """
        self._binary = process.program()
        self._keeper = keeper
        self._files = process.settle(folder.absolute(), port, running=self._runs())
        self._spec = process.spec_of(self._binary, self._files, log.absolute())
        self._log = access_log.Files(self._files.folder / "access.log")
        self._lock = threading.Lock()
        self._probe = VersionProbe(self._files.probe)
        with locked(self._files.lock):
            self._prepare()
        # ``apply`` starts it otherwise, or says why it cannot.
        with contextlib.suppress(Unavailable):
            self._keeper.start(self._spec)
        self._watching = Watching(self._log, self._files.admin, self._files.lock, rotate_bytes)

    def apply(self, routes: Sequence[Route]) -> None:
        """Make Envoy do exactly this; see ``Traffic.apply``. Raises InvalidInput for routes that it cannot do."""
        wanted = tuple(sorted(routes, key=lambda route: route.service))
        _check(wanted)
        with self._lock, locked(self._files.lock):
            targets = config.targets_of(wanted)
            document = config.routes(wanted)
            started = self._start()
            before = _stored(self._files.cds)
            # Each file is written whatever happens, so that an Envoy that is started later does what was asked.
            united = config.clusters({**_targets_in(before), **targets})
            self._write(self._files.cds, united, before)
            if united != before:
                started = started and self._takes(self._files.cds, united, lambda: self._has(targets))
            self._write(self._files.rds, document, _stored(self._files.rds))
            version = document["version_info"]
            effective = started and self._takes(self._files.rds, document, lambda: self._probe.version() == version)
            # An Envoy that hangs would lose the targets of the routes that it still has.
            if effective or not self._runs():
                self._write(self._files.cds, config.clusters(targets), united)
            self._remember(wanted)
        if not effective:
            raise Unavailable(
                "Envoy does not do what it was told; its files are written, and it does once it runs.",
                next_step=f"Look into {self._spec.log}.",
            )

    def applied(self) -> tuple[Route, ...]:
        """Return what Envoy was last told. Raises Unavailable when that cannot be read."""
        if not self._files.applied.exists():
            return ()
        try:
            data = durable.read(self._files.applied, limit_bytes=_FILE_LIMIT_BYTES)
            return msgspec.json.decode(data, type=tuple[Route, ...])
        except (OSError, msgspec.MsgspecError, CompanyOSError) as fault:
            raise Unavailable(
                f"{self._files.applied} cannot be read: {fault}.",
                next_step="The next change of a route writes it again.",
            ) from fault

    def read(self, position: str | None) -> Batch:
        """Return the requests that ended since a position; see ``Traffic.read``."""
        lost: list[str] = []
        place = access_log.parse_position(position) if position is not None else None
        if place is None:
            place = self._log.end()
            if position is not None:
                lost.append("The position in the access log cannot be understood; reading goes on with what is new.")
        requests: tuple[Request, ...] = ()
        for _ in range(_READS):
            chunk = self._log.read(place)
            found, unreadable = access_log.decode(chunk.data)
            requests, place = requests + found, chunk.position
            if chunk.lost:
                lost.append(chunk.lost)
            if unreadable:
                lost.append(f"{unreadable} lines of the router's access log cannot be read.")
            if chunk.end or requests:
                break
        if reason := self._watching.lost():
            lost.append(reason)
        return Batch(
            requests=requests,
            position=place.text(),
            lost=lost[0] if lost else None,
            in_flight=self._watching.in_flight(),
        )

    def counters(self) -> Mapping[str, Any]:
        """Return Envoy's counters by release; empty when it cannot be asked."""
        asker = Asker(self._files.admin)
        try:
            return per_release(asker)
        except Unavailable:
            return {}
        finally:
            asker.close()

    def address(self) -> tuple[str, int] | None:
        """Return where users reach the services, None while Envoy does not run."""
        probe = VersionProbe(self._files.probe)
        try:
            return (HOST, self._files.place.port) if probe.version() is not None else None
        finally:
            probe.close()

    def close(self) -> None:
        """End the adapter's thread; Envoy goes on."""
        self._watching.close()
        self._probe.close()

    def _remember(self, wanted: tuple[Route, ...]) -> None:
        try:
            known = self.applied() == wanted and self._files.applied.exists()
        except Unavailable:
            known = False
        if not known:
            durable.write(self._files.applied, msgspec.json.encode(wanted))

    def _prepare(self) -> None:
        """Write the bootstrap for the next start of Envoy, and the watched files where there are none yet."""
        static = config.bootstrap(
            port=self._files.place.port,
            access_log=self._log.path,
            admin=self._files.admin,
            probe=self._files.probe,
            cds=self._files.cds,
            rds=self._files.rds,
        )
        self._write(self._files.bootstrap, static, _stored(self._files.bootstrap))
        for path, empty in ((self._files.cds, config.clusters({})), (self._files.rds, config.routes(()))):
            if not path.exists():
                self._write(path, empty, None)

    def _start(self) -> bool:
        """Have Envoy run, and return whether it answers."""
        if self._answers():
            return True
        try:
            self._keeper.start(self._spec)
        except Unavailable:
            return False
        return until(self._answers, START_S, every_s=0.02)

    def _takes(self, path: Path, document: Mapping[str, Any], condition: Callable[[], bool]) -> bool:
        """Return whether Envoy does what a file says before long; it is shown the file again now and then."""
        deadline = time.monotonic() + EFFECT_S
        while time.monotonic() < deadline:
            if until(condition, _AGAIN_S, every_s=0.0005):
                return True
            self._write(path, document, None)
        return False

    def _has(self, targets: Mapping[str, Target]) -> bool:
        asker = Asker(self._files.admin)
        try:
            lines = asker.ask("/clusters").decode("utf-8", "replace").splitlines()
        except Unavailable:
            return False
        finally:
            asker.close()
        shown = {line.rpartition("::cx_active::")[0] for line in lines if "::cx_active::" in line}
        return all(f"{name}::{_socket_text(arm)}" in shown for name, arm in targets.items())

    def _answers(self) -> bool:
        return self._probe.version() is not None

    def _runs(self) -> bool:
        try:
            return any(child.name == process.CHILD and child.pid is not None for child in self._keeper.children())
        except Unavailable:
            return False

    @staticmethod
    def _write(path: Path, document: Mapping[str, Any], before: Mapping[str, Any] | None) -> None:
        if document != before:
            durable.write(path, msgspec.json.encode(document))


def _stored(path: Path) -> Mapping[str, Any] | None:
    """Return the document of a file, None when there is none that can be understood."""
    try:
        found = msgspec.json.decode(durable.read(path, limit_bytes=_FILE_LIMIT_BYTES))
    except (CompanyOSError, OSError, msgspec.MsgspecError):
        return None
    return found if isinstance(found, dict) else None


def _targets_in(clusters: Mapping[str, Any] | None) -> dict[str, Target]:
    """Return the targets of a cluster file that ``config.clusters`` wrote."""
    result: dict[str, Target] = {}
    for cluster in (clusters or {}).get("resources", ()):
        endpoint = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
        where = endpoint["address"]["socket_address"]
        name = cluster["name"]
        result[name] = Target(release_id=name, host=where["address"], port=where["port_value"])
    return result


def _socket_text(target: Target) -> str:
    address = ipaddress.ip_address(target.host)
    return f"[{address}]:{target.port}" if address.version == 6 else f"{address}:{target.port}"  # noqa: PLR2004 - IPv6


def _check(routes: Sequence[Route]) -> None:
    seen: dict[str, Target] = {}
    for route in routes:
        if not _SERVICE.fullmatch(route.service) or not _ID.fullmatch(route.rollout) or route.number < 0:
            raise InvalidInput(f"The route of {route.service!r:.80} has a name that no service has.", field="service")
        if not 0 <= route.canary_ratio <= 1 or not 0 < route.timeout_s <= 3600:  # noqa: PLR2004 - one hour, as in the policy
            raise InvalidInput(
                f"The route of {route.service} has a weight or a timeout out of range.", field="canary_ratio"
            )
        for arm in (route.stable, route.canary):
            if arm is not None and seen.setdefault(arm.release_id, arm) != arm:
                raise InvalidInput(f"Release {arm.release_id!r:.80} is named with two addresses.", field="stable")
    if len({route.service for route in routes}) != len(routes):
        raise InvalidInput("A service has two routes.", field="service")
    for arm in seen.values():
        _check_target(arm)


def _check_target(target: Target) -> None:
    try:
        ipaddress.ip_address(target.host)
    except ValueError as fault:
        raise InvalidInput(f"{target.host!r:.80} is no IP address.", field="host") from fault
    if not _ID.fullmatch(target.release_id) or not 0 < target.port <= _PORT_LIMIT:
        raise InvalidInput(f"{target.release_id!r:.80} is no target.", field="release_id")
