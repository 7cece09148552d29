"""What an observation of something that runs changes in what is known to run."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from companyos.catalog.facts import CONFIRM_AFTER
from companyos.catalog.fields import Digest, Ratio, Version
from companyos.catalog.model import Arm, Deployment
from companyos.core.clock import in_utc
from companyos.core.errors import Conflict, InvalidInput
from companyos.core.fields import Name

Change: TypeAlias = Literal["start", "replace", "reweigh", "confirm", "nothing"]


class Observed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was seen to run in one arm of one environment."""

    environment: Name
    arm: Arm = "stable"
    digest: Digest
    version: Version
    weight_ratio: Ratio | None = None
    since: datetime | None = None
    """When it began; now when left out."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What to write: the deployment as it is now, and what sort of change that is."""

    change: Change
    deployment: Deployment


def observe(known: Deployment | None, seen: Observed, *, service: str, source: str, id: str, now: datetime) -> Step:
    """Return the step from what runs in this arm (None: nothing) to what was seen; ``id`` is for a new one.

    The same artifact and version again is a confirmation, which is worth writing down an hour after the last one.
    Raises InvalidInput for a start in the future, and Conflict for an artifact that began before the one that
    it would replace.
    """
    since = in_utc(seen.since, field="since") if seen.since is not None else now
    if since > now:
        raise InvalidInput("A deployment cannot begin in the future.", next_step="Leave since out.", field="since")
    if known is None or (known.digest, known.version) != (seen.digest, seen.version):
        if known is not None and since < known.since:
            raise Conflict(
                f"{service} {known.version} replaced this in {seen.environment} already.",
                next_step="Record deployments in the order in which they began.",
            )
        started = Deployment(
            id=id,
            service=service,
            environment=seen.environment,
            arm=seen.arm,
            digest=seen.digest,
            version=seen.version,
            release=f"{service}@{seen.version}",
            weight_ratio=seen.weight_ratio,
            since=since,
            source=source,
            observed_at=now,
        )
        return Step(change="start" if known is None else "replace", deployment=started)
    fresh = msgspec.structs.replace(known, source=source, observed_at=now)
    if seen.weight_ratio is not None and seen.weight_ratio != known.weight_ratio:
        return Step(change="reweigh", deployment=msgspec.structs.replace(fresh, weight_ratio=seen.weight_ratio))
    if now - known.observed_at >= CONFIRM_AFTER:
        return Step(change="confirm", deployment=fresh)
    return Step(change="nothing", deployment=known)
