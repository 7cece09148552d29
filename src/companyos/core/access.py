"""Who asks, and whether they may: the one guard that every use case calls.

``server`` and ``cli`` bind an ``Authorizer`` at start (the policy fabric; the role table alone in tests), so no pillar
imports policy to guard itself. While nothing is bound, everything is denied.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol

import msgspec

from companyos.core.errors import Denied


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """An authenticated asker, with what the ledger records of the request."""

    subject: str
    """``user:<name>``, ``service:<name>``, ``os:<user>`` at the files, ``system:<loop>`` for our own loops."""
    roles: frozenset[str] = frozenset()
    subject_id: str | None = None
    """The id of the row in ``subjects``, so that a second token of one person is seen as the same person."""
    ip: str | None = None
    device: str | None = None
    """What the caller claims to be (User-Agent), or None; never trusted."""
    request_id: str | None = None


ANONYMOUS = Caller(subject="anonymous")
"""Whoever came without a credential."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of an authorizer."""

    allowed: bool
    policy: str
    """The id of the rule that decided, for example ``roles:operator``."""
    reason: str
    """One sentence for a person."""
    obligations: tuple[str, ...] = ()
    audit_id: str | None = None
    """The record of this decision in the log of decisions; None from an authorizer that keeps none."""


NO_FACTS: Final[Mapping[str, Any]] = MappingProxyType({})


class Authorizer(Protocol):
    """What decides whether a caller may act on a resource; it must be quick, and raise nothing."""

    def decide(self, caller: Caller, action: str, resource: str, facts: Mapping[str, Any] = NO_FACTS) -> Verdict:
        """Return the verdict for ``action`` (``service.write``) on ``resource`` (``service:checkout``).

        ``facts`` is what is known of the resource, as JSON, for rules that look beyond its name.
        """
        ...


class DenyAll:
    """What is bound before anything else is: nothing is allowed."""

    def decide(self, caller: Caller, action: str, resource: str, facts: Mapping[str, Any] = NO_FACTS) -> Verdict:
        """Return a denial that says that no rules are loaded."""
        del caller, action, resource, facts
        return Verdict(allowed=False, policy="default:deny", reason="No access rules are loaded.")


class _Binding:
    """The authorizer of this process."""

    authorizer: Authorizer = DenyAll()


def bind(authorizer: Authorizer) -> Authorizer:
    """Make the given authorizer decide from now on in this process, and return the one that did until now."""
    before, _Binding.authorizer = _Binding.authorizer, authorizer
    return before


def unbind(authorizer: Authorizer, before: Authorizer) -> None:
    """Let ``before`` decide again, unless another one than ``authorizer`` was bound meanwhile."""
    if _Binding.authorizer is authorizer:
        _Binding.authorizer = before


def ask(caller: Caller, action: str, resource: str, facts: Mapping[str, Any] = NO_FACTS) -> Verdict:
    """Return the verdict, whatever it is; for loops, which hold what is denied instead of failing."""
    return _Binding.authorizer.decide(caller, action, resource, facts)


def require(caller: Caller, action: str, resource: str, facts: Mapping[str, Any] = NO_FACTS) -> Verdict:
    """Return the verdict that allows the action, or raise Denied with the rule that said no."""
    verdict = ask(caller, action, resource, facts)
    if not verdict.allowed:
        raise Denied(
            f"{caller.subject} may not {action} on {resource}: {verdict.reason}",
            next_step="Ask an admin for a role that allows this.",
            action=action,
            resource=resource,
            policy=verdict.policy,
        )
    return verdict
