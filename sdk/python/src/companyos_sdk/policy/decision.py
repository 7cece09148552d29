"""What a policy decided, normalised in one place: whatever is no well-formed answer is a denial that says so."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import msgspec

from companyos_sdk.rego.values import Value

UNDEFINED_RESULT: Final = "policy.undefined"
"""The policy says nothing about this request."""
INVALID_RESULT: Final = "policy.invalid"
"""The policy's answer has not the shape of a decision."""
FAILED: Final = "policy.error"
"""The policy could not be evaluated."""
LIMIT: Final = "policy.limit"
"""The request or the policy needed more steps, depth or bytes than a decision may."""
BAD_INPUT: Final = "policy.input"
"""The request holds something that cannot be written down, so its decision could not be explained later."""
UNLOGGED: Final = "policy.unlogged"
"""The decision log takes no more records, and no access is granted without one."""
STALE: Final = "policy.stale"
"""The bundle could not be confirmed for longer than allowed, and the service is set to deny then."""
NO_BUNDLE: Final = "policy.none"
"""No bundle is active, so nothing is allowed."""
STALE_ATTRIBUTE: Final = "attribute.stale"
"""An attribute of the subject that the policy reads has expired."""
STALE_PREFIX: Final = "stale:"
"""Stands before the reason of a decision by a bundle that could not be confirmed in time."""

MAX_OBLIGATIONS: Final = 64
MAX_TEXT: Final = 400
"""Characters of a reason, of an obligation's id or of its type; all must be printable."""


class BundleIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """Which bundle decided."""

    id: str = ""
    """``<domain>/<service>``."""
    version: str = ""
    stage: str = ""
    digest: str = ""
    """``sha256:<hex>`` of the bundle's bytes."""
    data_digest: str = ""
    """``sha256:<hex>`` of its data document."""


class Obligation(msgspec.Struct, frozen=True, gc=False):
    """Something that whoever enforces the decision must do; the decision does not hold without it."""

    id: str
    type: str
    properties: dict[str, Any]


class Decision(msgspec.Struct, frozen=True, gc=False):
    """The answer to one request. It is a value: enforcing it is what ``with_obligations`` does."""

    allow: bool
    obligations: tuple[Obligation, ...]
    reason: str
    """The policy's own reason, ``stale:`` and that, or one of the constants of this module."""
    audit_id: str
    """UUIDv7; the decision log knows the decision by it."""
    bundle: BundleIdentity = BundleIdentity()
    stale: bool = False
    """Whether the bundle could not be confirmed for longer than allowed."""
    policy_reason: str | None = None
    """What the policy said, where ``reason`` is another one."""
    error: str | None = None
    """One sentence, where the decision is a denial because something went wrong."""
    stale_attributes: tuple[str, ...] = ()
    """The attributes of the subject that have expired, where ``reason`` is ``attribute.stale``."""


Verdict: TypeAlias = tuple[bool, str, tuple[Obligation, ...], str | None]
"""Allowed, reason, obligations, and the sentence of what is wrong with the answer if anything is."""


def normalised(value: Value, undefined: object) -> Verdict:  # noqa: PLR0911 - one return for each kind of answer
    """What a policy's answer means. ``undefined`` is the engine's own value for no answer.

    An obligation without a ``type`` has its ``id`` as type, and keys besides ``id``, ``type`` and ``properties`` count
    as properties. The parts of properties are the policy's own objects, not copies.
    """
    if value is undefined:
        return False, UNDEFINED_RESULT, (), "The policy gives no decision for this request."
    if type(value) is not dict:
        return _invalid("The decision is no object.")
    decided, reason, listed = value.get("decision"), value.get("reason"), value.get("obligations")
    allowed = decided == "allow"
    if not allowed and decided != "deny":
        return _invalid("The decision is neither allow nor deny.")
    # A policy has few reasons and types, so that what was good once need not be looked at again.
    if type(reason) is not str or (reason not in known_labels and not is_label(reason)):
        return _invalid(f"The reason is no printable text of 1 to {MAX_TEXT} characters.")
    if type(listed) is not list:
        return _invalid("The obligations are no list.")
    if not listed:
        return allowed, reason, (), None
    try:
        return allowed, reason, _obligations(listed), None
    except _NotOne as fault:
        return _invalid(str(fault))


def is_label(value: object) -> bool:
    """Whether this can be a reason or the name of something: a short printable text that is not empty."""
    if type(value) is not str or not 0 < len(value) <= MAX_TEXT or not value.isprintable():
        return False
    if len(known_labels) < _MAX_KNOWN:
        known_labels.add(value)
    return True


class _NotOne(Exception):
    """The policy's answer has an obligation that is none."""


def _obligations(listed: list[Value]) -> tuple[Obligation, ...]:
    if len(listed) > MAX_OBLIGATIONS:
        raise _NotOne(f"There are more than {MAX_OBLIGATIONS} obligations.")
    made: list[Obligation] = []
    for item in listed:
        if type(item) is not dict:
            raise _NotOne(f"Obligation {len(made)} is no object.")
        rest = item.copy()
        name = rest.pop("id", None)
        kind = rest.pop("type", name)
        if not (type(name) is type(kind) is str and (name in known_labels or is_label(name))) or not (
            kind in known_labels or is_label(kind)
        ):
            raise _NotOne(f"Obligation {len(made)} has an id or a type that is no short printable text.")
        if rest and "properties" in rest:
            properties = rest.pop("properties")
            if type(properties) is not dict:
                raise _NotOne(f"Obligation {len(made)} has properties that are no object.")
            rest.update(properties)
        made.append(Obligation(name, kind, rest))
    return tuple(made)


def _invalid(sentence: str) -> Verdict:
    return False, INVALID_RESULT, (), sentence


_MAX_KNOWN: Final = 1024
known_labels: Final[set[str]] = set()
"""Labels that were found good; never more than that many."""
