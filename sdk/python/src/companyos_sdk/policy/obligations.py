"""Types of obligations: what their properties must look like, and what this service does about them.

A registry is immutable: ``with_handler`` gives another one. What is not in it is unknown, and unknown means denied.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from companyos_sdk.policy.decision import Obligation, is_label
from companyos_sdk.policy.masking import MAX_FIELDS, MAX_PATH, masked, parsed
from companyos_sdk.rego.values import Value

Facts: TypeAlias = Mapping[str, Any]
"""What the service has verified about the request itself: ``acr``, ``amr``, ``auth_time`` (seconds since 1970), ``now``
(likewise) and ``approvals``. Never what the caller merely claims."""

SchemaType: TypeAlias = type[msgspec.Struct]

When: TypeAlias = Literal["before", "after"]

Before: TypeAlias = "Callable[[Any, Facts], Unmet | Awaitable[Unmet | None] | None]"
"""Does what must be done before the access; gives ``Unmet`` when the subject has to do something first."""
After: TypeAlias = Callable[[Any, Any], Any]
"""Takes the properties and the handler's result, gives the result that may be handed out."""

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=400)]
_Path = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_PATH)]


class UncoveredObligations(Exception):
    """The bundle can emit obligations that this service has no handler for; it must not start like that."""

    def __init__(self, types: Collection[str]) -> None:
        self.types: Final = tuple(sorted(types))
        """The types without a handler."""
        super().__init__(
            f"The bundle can demand {', '.join(self.types)}, and no handler is registered for that. "
            "Register one with Obligations.with_handler, or take a bundle that does not demand it."
        )


class Unmet(msgspec.Struct, frozen=True):
    """What the subject has to do before the access can be granted."""

    what: str
    """One sentence for a person."""
    challenge: Mapping[str, Any] = MappingProxyType({})
    """The same for a program, for example ``{"acr_values": ["urn:mfa"]}``."""


class MaskFields(msgspec.Struct, frozen=True):
    """Fields to replace in whatever is handed out. See ``masking`` for the form of a path."""

    fields: Annotated[tuple[_Path, ...], msgspec.Meta(min_length=1, max_length=MAX_FIELDS)]
    replacement: str | int | float | bool | None = "***"

    def __post_init__(self) -> None:
        for field in self.fields:
            parsed(field)


class RequireMfa(msgspec.Struct, frozen=True):
    """The session must have been raised to a stronger authentication."""

    acr_values: tuple[_Text, ...] = ()
    """One of these classes (OpenID Connect ``acr``); without any, any method beyond one factor."""
    max_age_s: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """How long ago the authentication may be, in seconds."""


class RequireApproval(msgspec.Struct, frozen=True):
    """Somebody must have approved this before."""

    kind: _Text = "approval"
    """Which approval, as the policy calls it."""


class LogEvent(msgspec.Struct, frozen=True):
    """An event to write down before the access; further properties are written with it."""

    event: _Text


class Kind(msgspec.Struct, frozen=True):
    """One type of obligation in this service."""

    type: str
    schema: SchemaType
    when: When
    handle: Callable[[Any, Any], Any]
    logs: bool = False
    """Whether the properties are written into the receipt, which then is the log entry."""

    def properties(self, obligation: Obligation) -> msgspec.Struct:
        """The obligation's properties in the type's own shape. Raises msgspec.ValidationError or ValueError."""
        return msgspec.convert(obligation.properties, self.schema)


class Obligations:
    """The types of obligations that a service can fulfil."""

    def __init__(self, kinds: Collection[Kind] = ()) -> None:
        self._kinds: Final = {kind.type: kind for kind in kinds}

    @property
    def types(self) -> frozenset[str]:
        """The names of all types."""
        return frozenset(self._kinds)

    def get(self, type: str) -> Kind | None:
        """How the type is handled, or None when it is unknown here."""
        return self._kinds.get(type)

    def with_handler(
        self, type: str, schema: SchemaType, handle: Callable[[Any, Any], Any], *, when: When
    ) -> Obligations:
        """This registry with one more type, or with another handler for a known one.

        ``before``: ``handle(properties, facts)`` gives None when it is done, or ``Unmet``. ``after``:
        ``handle(properties, result)`` gives what may be handed out. Both may be coroutine functions where the service
        uses them from asynchronous code. Raises TypeError or ValueError.
        """
        if not is_label(type):
            raise ValueError("The type of an obligation is a short printable text.")
        if not (isinstance(schema, _STRUCT_TYPE) and callable(handle)) or when not in ("before", "after"):
            raise TypeError("An obligation needs a msgspec Struct as schema, a callable, and when='before' or 'after'.")
        return Obligations([*self._kinds.values(), Kind(type, schema, when, handle)])

    def check_covers(self, types: Collection[str]) -> None:
        """Raise UncoveredObligations when one of the types has no handler here."""
        if missing := set(types) - self._kinds.keys():
            raise UncoveredObligations(missing)


def mfa_by_facts(wanted: RequireMfa, facts: Facts) -> Unmet | None:
    """Whether the verified facts about the session show a strong and recent enough authentication; unsure means no."""
    challenge: dict[str, Any] = {"error": "insufficient_user_authentication"}  # RFC 9470
    if wanted.acr_values:
        challenge["acr_values"] = list(wanted.acr_values)
    if wanted.max_age_s is not None:
        challenge["max_age"] = wanted.max_age_s
    if wanted.acr_values:
        strong = facts.get("acr") in wanted.acr_values
    else:
        methods = facts.get("amr")
        strong = isinstance(methods, (list, tuple, set, frozenset)) and "mfa" in methods
    if not strong:
        return Unmet("Sign in again with a second factor.", challenge)
    if wanted.max_age_s is not None:
        at, now = _moment(facts.get("auth_time")), _moment(facts.get("now"))
        if at is None or now is None or not 0 <= now - at <= wanted.max_age_s:
            return Unmet(f"Sign in again: it must be at most {wanted.max_age_s:g} s ago.", challenge)
    return None


def approval_by_facts(wanted: RequireApproval, facts: Facts) -> Unmet | None:
    """Whether the kind is among the approvals that the service has verified for this request."""
    given = facts.get("approvals")
    if isinstance(given, (list, tuple, set, frozenset)) and wanted.kind in given:
        return None
    return Unmet(f"This needs an approval ({wanted.kind}). Ask for one and try again.", {"approval": wanted.kind})


def _logged(_wanted: LogEvent, _facts: Facts) -> None:
    """Nothing but the receipt, which holds the event."""


def _masked(wanted: MaskFields, result: Value) -> Value:
    return masked(result, wanted.fields, wanted.replacement)


def _moment(value: object) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


_STRUCT_TYPE: Final = type(msgspec.Struct)

STANDARD: Final = Obligations(
    [
        Kind("mask_fields", MaskFields, "after", _masked),
        Kind("require_mfa", RequireMfa, "before", mfa_by_facts),
        Kind("require_approval", RequireApproval, "before", approval_by_facts),
        Kind("log_event", LogEvent, "before", _logged, logs=True),
    ]
)
"""The four types of the platform. MFA and approvals are judged by the facts that the service passes, and without facts
they are unmet; give them handlers of your own to ask somebody."""
