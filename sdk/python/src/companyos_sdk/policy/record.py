"""The record of a decision: one line of JSON, made on the path of the request, and where such lines go.

The values are what the policy read, by dotted path; a path that the request does not have is left out. Receipts of
fulfilled obligations are lines of the kind ``fulfilment`` with the audit id of their decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import msgspec

from companyos_sdk.policy.decision import BundleIdentity, Obligation, is_label, known_labels
from companyos_sdk.rego.values import Value

MAX_RECORD_BYTES: Final = 256 * 1024
"""How long one record may be. A decision that read more is a denial."""

encode: Final = msgspec.json.Encoder().encode
"""JSON in bytes. Raises TypeError, ValueError or RecursionError for what is no JSON."""


class LogFull(Exception):
    """The log takes no more records now; whoever asked must treat the decision as a denial, or wait."""


class Recorder(Protocol):
    """Where records go."""

    def record(self, line: bytes) -> None:
        """Take one record, a JSON object without a line feed, or raise LogFull. Called by many threads."""
        ...


class MemoryRecorder:
    """A log in memory, for tests and trials; full after ``limit`` records."""

    def __init__(self, limit: int | None = None) -> None:
        self.lines: list[bytes] = []
        """All records, oldest first."""
        self.limit = limit

    def record(self, line: bytes) -> None:
        """Keep the line, or raise LogFull."""
        if self.limit is not None and len(self.lines) >= self.limit:
            raise LogFull(f"The log holds {self.limit} records, which is its limit.")
        self.lines.append(line)

    def decoded(self) -> list[dict[str, Any]]:
        """The records as objects."""
        return [msgspec.json.decode(line) for line in self.lines]


class Discard:
    """A log that keeps nothing. Only for dry runs, whose decisions give nobody access."""

    def record(self, line: bytes) -> None:
        """Take the line and forget it."""


class Party(msgspec.Struct, frozen=True, gc=False):
    """Who or what, as far as a record names it."""

    id: str | None
    type: str | None


class Line(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The record of a decision."""

    audit_id: str
    at: str
    bundle: msgspec.Raw
    data_digest: str
    subject: Party
    action: str
    resource: Party
    inputs: Value
    decision: str
    reason: str
    obligations: tuple[Obligation, ...]
    latency_us: float
    stale: bool = False
    error: str | None = None
    policy_reason: str | None = None
    stale_attributes: tuple[str, ...] = ()


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one obligation."""

    id: str
    type: str
    outcome: str
    """``done``; ``unmet``: something is missing on the side of the subject; ``unknown``: there is no handler;
    ``malformed``; ``failed``; ``skipped``: there was nothing to do it on."""
    detail: str | None = None
    """One sentence, where it is not done."""
    properties: dict[str, Any] | None = None
    """What was logged, of obligations that are done by logging."""


class _Receipt(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="fulfilment"):
    audit_id: str
    at: str
    receipt_id: str
    phase: str
    granted: bool
    bundle: dict[str, str]
    outcomes: tuple[Outcome, ...]


class Write(Protocol):
    """Makes the record of a decision; the arguments are the fields of a record, given by place."""

    def __call__(  # noqa: PLR0913, PLR0917 - given by place because this is called for each decision
        self,
        audit_id: str,
        at: str,
        input: dict[str, Any],
        seen: tuple[Any, ...],
        decision: str,
        reason: str,
        obligations: tuple[Obligation, ...],
        latency_us: float,
        stale: bool = False,  # noqa: FBT001, FBT002 - as above
        error: str | None = None,
        policy_reason: str | None = None,
        stale_attributes: tuple[str, ...] = (),
        /,
    ) -> bytes:
        """The record. Raises TypeError, ValueError or RecursionError when something in it is no JSON."""
        ...


class Form:
    """What the records of one bundle have in common. Immutable."""

    def __init__(self, bundle: BundleIdentity, input_paths: Sequence[tuple[str, ...]]) -> None:
        """Take the paths in the order in which the program gives what it read."""
        # A struct with a field per path is made and written in a third of the time that a dict takes.
        names = {f"p{number}": dotted(path) for number, path in enumerate(input_paths)}
        about = {"id": bundle.id, "version": bundle.version, "stage": bundle.stage, "digest": bundle.digest}
        self.inputs: Final = msgspec.defstruct(
            "_Inputs", [(name, Any, msgspec.UNSET) for name in names], rename=names, frozen=True, gc=False
        )
        self.bundle: Final = msgspec.Raw(encode(about))
        self.data_digest: Final = bundle.data_digest


def lines(form: Form, undefined: object) -> Write:
    """What makes the records of one bundle, for many threads at once; ``undefined`` stands for what is missing."""
    inputs, bundle, data_digest = form.inputs, form.bundle, form.data_digest

    def line(  # noqa: PLR0913, PLR0917 - see Write
        audit_id: str,
        at: str,
        input: dict[str, Any],
        seen: tuple[Any, ...],
        decision: str,
        reason: str,
        obligations: tuple[Obligation, ...],
        latency_us: float,
        stale: bool = False,  # noqa: FBT001, FBT002 - see Write
        error: str | None = None,
        policy_reason: str | None = None,
        stale_attributes: tuple[str, ...] = (),
        /,
    ) -> bytes:
        return encode(
            Line(
                audit_id,
                at,
                bundle,
                data_digest,
                party(input.get("subject")),
                input["action"],
                party(input.get("resource")),
                inputs(*[msgspec.UNSET if value is undefined else value for value in seen]),
                decision,
                reason,
                obligations,
                latency_us,
                stale,
                error,
                policy_reason,
                stale_attributes,
            )
        )

    return line


def receipt(
    stamped: tuple[str, str],
    audit_id: str,
    bundle: BundleIdentity,
    phase: str,
    outcomes: tuple[Outcome, ...],
    *,
    granted: bool,
) -> bytes:
    """The line that says what became of a decision's obligations in a phase, ``before`` or ``after`` the handler.

    Raises as ``Records.line`` does.
    """
    return encode(
        _Receipt(
            audit_id=audit_id,
            at=stamped[1],
            receipt_id=stamped[0],
            phase=phase,
            granted=granted,
            bundle={"id": bundle.id, "version": bundle.version, "stage": bundle.stage, "digest": bundle.digest},
            outcomes=outcomes,
        )
    )


def party(value: Value) -> Party:
    """Who or what it is, as far as a record names it: a text as id, a label as type."""
    if type(value) is not dict:
        return Party(None, None)
    name, kind = value.get("id"), value.get("type")
    if type(name) is not str:
        name = None
    if type(kind) is not str or (kind not in known_labels and not is_label(kind)):
        kind = None
    return Party(name, kind)


def dotted(path: Sequence[str]) -> str:
    r"""A path of the input as a record has it: parts joined by dots, with ``\`` before a ``.`` or ``\`` in one."""
    return ".".join([part.replace("\\", "\\\\").replace(".", "\\.") for part in path])


def undotted(name: str) -> tuple[str, ...]:
    """The path that ``dotted`` was given; the empty one for the empty text."""
    if "\\" not in name:
        return tuple(name.split(".")) if name else ()
    parts = [""]
    letters = iter(name)
    for letter in letters:
        if letter == ".":
            parts.append("")
        else:
            parts[-1] += next(letters, "") if letter == "\\" else letter
    return tuple(parts)
