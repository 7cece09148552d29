"""What people and programs hand in to delivery: the bodies of its HTTP face, and policy files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta

from companyos.core import canonical, documents, durable
from companyos.core.errors import IntegrityFault, InvalidInput, NotFound, TooLarge
from companyos.core.fields import END, Name, Sentence, ServiceName
from companyos.core.paging import MAX_LIMIT
from companyos.delivery.model import CommandKind, FlagChange
from companyos.delivery.policy import ReleasePolicy, read_policy

SNAPSHOT_BYTES: Final = 65_536
SNAPSHOT_DEPTH: Final = 8
_POLICY_LIMITS: Final = documents.Limits(bytes=65_536, depth=8, nodes=1_000, documents=1)
_SECTION: Final = "release"

Digest: TypeAlias = Annotated[
    str, Meta(pattern=r"^sha256:[0-9a-f]{64}" + END, description="sha256: and 64 lower-case hexadecimal digits.")
]
DeploymentId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=36, description="The id of a release.")]
Snapshot: TypeAlias = Annotated[
    dict[str, Any],
    Meta(
        max_length=500,
        description=f"What the caller saw: any JSON object, up to {SNAPSHOT_BYTES} bytes and {SNAPSHOT_DEPTH} levels.",
    ),
]


class NewDeployment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall be deployed; service and version are those of the artifact."""

    digest: Digest
    environment: Name = "production"
    flags: Annotated[list[FlagChange], Meta(max_length=64, description="Flags to set while the release runs.")] = []
    policy: ReleasePolicy | None = None
    """Instead of the policy in the manifest of the service."""


class NewCommand(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked of a release, and why."""

    kind: CommandKind
    reason: Sentence


class NewReplay(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The policy under which recorded releases are decided again."""

    policy: ReleasePolicy
    service: ServiceName | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT, description="How many of the newest releases.")] = 200


class RollbackRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The playbook's request to bring a release back."""

    deployment_id: DeploymentId
    reason: Sentence
    metrics_snapshot: Snapshot = {}


def check_snapshot(value: dict[str, Any]) -> dict[str, Any]:
    """Return the snapshot, or raise TooLarge or InvalidInput when it is more than is kept with a release."""
    field = "metrics_snapshot"
    try:
        data = canonical.dumps(value, max_depth=SNAPSHOT_DEPTH)
    except InvalidInput as fault:
        raise InvalidInput(f"The metrics_snapshot: {fault}", next_step=fault.next_step, field=field) from fault
    if len(data) > SNAPSHOT_BYTES:
        raise TooLarge(
            f"The metrics_snapshot has {len(data)} bytes; at most {SNAPSHOT_BYTES} are kept.",
            next_step="Send the measures that matter.",
            field=field,
        )
    if _holds_nul(value):
        raise InvalidInput("The metrics_snapshot holds a NUL character.", next_step="Remove it.", field=field)
    return value


def policy_from_file(path: Path) -> ReleasePolicy:
    """Return the policy in a YAML or JSON file: its fields as such, or under ``release``; defaults are filled in.

    Raises InvalidInput that names the file or the field, TooLarge beyond the limits.
    """
    where = str(path)
    try:
        data = durable.read(path, limit_bytes=_POLICY_LIMITS.bytes)
    except (NotFound, FileNotFoundError) as fault:
        raise InvalidInput(f"There is no {where}.", next_step="Name a policy file that exists.") from fault
    except (IntegrityFault, OSError, ValueError) as fault:
        reason = getattr(fault, "strerror", None) or "it is no file"
        raise InvalidInput(f"{where} cannot be read: {reason}.", next_step="Name another file.") from fault
    if path.suffix == ".json":
        value = documents.parse_json(data, where=where, limits=_POLICY_LIMITS)
    else:
        found = documents.parse_yaml_documents(data, where=where, limits=_POLICY_LIMITS)
        value = found[0] if found else None
    if isinstance(value, dict) and set(value) == {_SECTION}:
        value = value[_SECTION]
    return read_policy(value, where=where)


def _holds_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_holds_nul(key) or _holds_nul(child) for key, child in value.items())
    return isinstance(value, list) and any(_holds_nul(child) for child in value)
