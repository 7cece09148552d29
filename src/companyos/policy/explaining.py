"""Why a decision came out as it did: its bundle decides the recorded input again, and says which rules took part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from companyos.core.errors import CompanyOSError
from companyos.policy.replay import input_of
from companyos.policy.store import activation_by_digest

if TYPE_CHECKING:
    from companyos.core.access import Caller
    from companyos.ledger import Journal
    from companyos.policy.log.decisions import Decisions
    from companyos.policy.log.record import Decision
    from companyos.policy.service import Policies

MAX_RULES: Final = 200


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A place in a policy."""

    rule: str
    file: str
    row: int


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why a decision came out as it did."""

    audit_id: str
    at: str
    bundle: str
    """For example ``companyos/documents@1.4.0``."""
    stage: str
    action: str
    decision: str
    reason: str
    sentence: str
    """The answer in one sentence, or why there is none."""
    fired: tuple[Rule, ...] = ()
    """The rules that took part, in their order."""
    failed: Rule | None = None
    """The first expression that did not hold."""
    inputs: dict[str, Any] | None = None
    """What the policy read, by dotted path; None when it was erased."""
    same: bool | None = None
    """Whether deciding again gave the same; None when it could not be decided again."""


class Explainer:
    """Explains decisions that are in the log."""

    def __init__(self, journal: Journal, policies: Policies, decisions: Decisions) -> None:
        """Take the journal, what opens bundles, and what finds records."""
        self._journal = journal
        self._policies = policies
        self.decisions = decisions

    def explain(self, caller: Caller, audit_id: str) -> Explanation:
        """Return why. Raises Denied, NotFound, and IntegrityFault when the record was changed."""
        found = self.decisions.find(caller, audit_id)[0]
        about = Explanation(
            audit_id=found.audit_id,
            at=found.at,
            bundle=f"{found.bundle.id}@{found.bundle.version}" if found.bundle.id else "",
            stage=found.bundle.stage,
            action=found.action,
            decision=found.decision,
            reason=found.reason,
            sentence=_said(found),
            inputs=found.inputs,
        )
        if found.inputs is None or found.error is not None:
            return about
        program = self._program(found.bundle.digest)
        return about if program is None else _traced(about, program)

    def _program(self, digest: str) -> Any:  # noqa: ANN401 - a Program of the SDK
        from companyos.policy import enforcing

        shipped, identity = enforcing.shipped()
        if identity.digest == digest:
            return shipped
        with self._journal.read() as connection:
            activation = activation_by_digest(connection, digest)
        try:
            return self._policies.opened(activation).program if activation is not None else None
        except CompanyOSError:
            return None


def _traced(about: Explanation, program: Any) -> Explanation:  # noqa: ANN401 - a Program of the SDK
    from companyos.policy.log.reading import taken_apart
    from companyos_sdk.policy.decision import normalised
    from companyos_sdk.rego.values import UNDEFINED

    inputs = about.inputs or {}
    document = input_of(tuple(taken_apart(name) for name in inputs), tuple(inputs.values()))
    trace = program.explain(document)
    allowed, reason, _, _ = normalised(trace.value, UNDEFINED)
    same = ("allow" if allowed else "deny") == about.decision
    fired = tuple(_rule(one) for one in trace.fired[:MAX_RULES])
    last = f" {fired[-1].rule} at {fired[-1].file}:{fired[-1].row} decided it." if fired else ""
    again = "" if same else f" Decided again it comes out otherwise: {reason}."
    return msgspec.structs.replace(
        about,
        sentence=f"{about.sentence}{last}{again}",
        fired=fired,
        failed=_rule(trace.failed) if trace.failed is not None else None,
        same=same,
    )


def _rule(place: Any) -> Rule:  # noqa: ANN401 - a Location of the SDK
    return Rule(rule=place.rule, file=place.file, row=place.row)


def _said(found: Decision) -> str:
    what = "allowed" if found.decision == "allow" else "denied"
    by = f" by {found.bundle.id}@{found.bundle.version} in {found.bundle.stage}" if found.bundle.id else ""
    sentence = f"{found.action} was {what}{by}: {found.reason}."
    if found.erased:
        return f"{sentence} What it looked at was erased."
    return f"{sentence} {found.error}" if found.error else sentence
