"""Whether the server lives, whether what it depends on does, and the public keys that check its signatures."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from msgspec import Meta

from companyos.core.access import ANONYMOUS, Caller
from companyos.core.clock import Clock
from companyos.core.keys import ALGORITHM_OF, KeyStore
from companyos.server.build import Build, build
from companyos.server.checks import Checks, Finding
from companyos.server.loops import State

HEALTH: Final = "/health"
STATUS: Final = "/status"
KEYS: Final = "/.well-known/companyos-keys.json"


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The server answers, so it is up."""

    status: str
    build: Build
    uptime_s: Annotated[float, Meta(ge=0)]


class Liveness:
    """What ``/health`` answers from: the build of this process and its clock."""

    def __init__(self, clock: Clock) -> None:
        """Begin to count the uptime."""
        self._clock = clock
        self._build = build(clock.now())

    def now(self) -> Health:
        """Return that the process lives."""
        uptime_s = max(0.0, (self._clock.now() - self._build.started_at).total_seconds())
        return Health(status="up", build=self._build, uptime_s=uptime_s)


class Component(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that the server depends on."""

    name: str
    state: State
    detail: str | None = None
    """One sentence, only for callers who are signed in."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the whole and of its parts: the worst of them."""

    status: State
    components: list[Component]


class PublishedKeyView(msgspec.Struct, frozen=True, kw_only=True):
    """A public key and the time in which its signatures count."""

    key_id: str
    purpose: str
    algorithm: str
    public_key_pem: str
    not_before: datetime
    not_after: datetime | None
    """None while the key is the one that signs."""


class PublishedKeys(msgspec.Struct, frozen=True, kw_only=True):
    """Every key that ever signed, oldest first within a purpose."""

    keys: list[PublishedKeyView]


def overall(findings: list[Finding]) -> State:
    """Return ``down`` when any part is, else ``unknown`` when any part is, else ``up``."""
    states = {finding.state for finding in findings}
    return "down" if "down" in states else "unknown" if "unknown" in states else "up"


@get(HEALTH, tags=["server"])
async def health(liveness: NamedDependency[Liveness]) -> Health:
    """Say that the server answers, and which build it is. The database is not asked."""
    return liveness.now()


@get(
    STATUS,
    tags=["server"],
    responses={503: ResponseSpec(data_container=Status, description="Something is down, or could not be asked.")},
)
async def status(caller: NamedDependency[Caller], checks: NamedDependency[Checks]) -> Response[Status]:
    """Say of each dependency whether it is up, down or unknown; the reasons are for callers who are signed in."""
    findings = await checks.findings()
    known = caller != ANONYMOUS
    components = [
        Component(name=finding.name, state=finding.state, detail=finding.detail if known else None)
        for finding in findings
    ]
    found = overall(findings)
    return Response(Status(status=found, components=components), status_code=200 if found == "up" else 503)


@get(KEYS, tags=["server"], sync_to_thread=True)
def published_keys(keys: NamedDependency[KeyStore]) -> PublishedKeys:
    """Return the public keys, so that anybody can check checkpoints, attestations and bundles."""
    return PublishedKeys(
        keys=[
            PublishedKeyView(
                key_id=key.key_id,
                purpose=key.purpose,
                algorithm=key.public_key.algorithm,
                public_key_pem=key.public_key.pem,
                not_before=key.not_before,
                not_after=key.not_after,
            )
            for purpose in ALGORITHM_OF
            for key in keys.public_keys(purpose)
        ]
    )


routes: Final = (health, status, published_keys)
