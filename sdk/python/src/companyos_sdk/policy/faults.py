"""What a decider says when a request, a policy or the log is at fault."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from companyos_sdk.policy import decision as reasons
from companyos_sdk.policy.decision import MAX_TEXT, Verdict
from companyos_sdk.policy.record import MAX_RECORD_BYTES
from companyos_sdk.rego.errors import LimitExceeded
from companyos_sdk.rego.values import UNDEFINED, Value

TOO_LARGE: Final = f"What the policy reads of this request is more than {MAX_RECORD_BYTES} bytes."
NO_ACTION: Final = f"The action is no printable text of 1 to {MAX_TEXT} characters."
_MAX_SAID: Final = 300


def failure(fault: Exception) -> Verdict:
    """The denial for something that went wrong while the policy was evaluated."""
    if isinstance(fault, (LimitExceeded, RecursionError, MemoryError)):
        return False, reasons.LIMIT, (), said(fault)
    return False, reasons.FAILED, (), said(fault)


def said(fault: Exception) -> str:
    """What an error says, as a short printable sentence."""
    text = f"{type(fault).__name__}: {fault}" if str(fault) else type(fault).__name__
    return clean(text[:_MAX_SAID]) or ""


def clean(value: Value) -> str | None:
    """A text made short and printable, None for anything else."""
    if type(value) is not str:
        return None
    shown = "".join(letter if letter.isprintable() else "\ufffd" for letter in value[:MAX_TEXT])
    return shown or None


def read(input: Value, paths: Iterable[tuple[str, ...]]) -> tuple[Any, ...]:
    """What is at each path, for a decision whose program did not come to tell."""
    found = []
    for path in paths:
        value = input
        for part in path:
            value = value.get(part, UNDEFINED) if type(value) is dict else UNDEFINED
        found.append(value)
    return tuple(found)


def wrong_type(subject: Value, action: Value, resource: Value, environment: Value, context: Value) -> TypeError:
    """The error for the first argument of ``authorize`` that has not its type."""
    if type(action) is not str:
        return TypeError(f"action must be a str, not {type(action).__name__}.")
    given = {"subject": subject, "resource": resource, "environment": environment, "context": context}
    name = next(name for name, value in given.items() if type(value) is not dict)
    return TypeError(f"{name} must be a dict, not {type(given[name]).__name__}.")
