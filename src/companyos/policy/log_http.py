"""The HTTP face of the decision log as a whole: verified, and what it knows of a subject erased."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta

from companyos.core.access import Caller
from companyos.core.fields import Sentence
from companyos.policy.explaining import Explainer
from companyos.policy.log.verifying import Report

SubjectType = Annotated[str, Meta(min_length=1, max_length=200, description="As decisions were asked, like `user`.")]
SubjectId = Annotated[str, Meta(min_length=1, max_length=2000, description="As decisions were asked.")]


class NewDecisionErasure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose values shall be unreadable, and why."""

    subject_type: SubjectType = "user"
    subject_id: SubjectId
    reason: Sentence


class DecisionErasure(msgspec.Struct, frozen=True, kw_only=True):
    """What was erased."""

    key: str
    """The id of the deleted key; the ledger row `decision.erase` names it, and never the subject."""


@get("/log/verification", sync_to_thread=True)
def verify_decisions(caller: NamedDependency[Caller], explainer: NamedDependency[Explainer]) -> Report:
    """Verify every recorded decision: its link, the root of its segment in the ledger, and what is sealed."""
    return explainer.decisions.verify(caller)


@post("/log/erasures", sync_to_thread=True)
def erase_decisions(
    caller: NamedDependency[Caller], explainer: NamedDependency[Explainer], data: JSONBody[NewDecisionErasure]
) -> DecisionErasure:
    """Erase for good what the decisions about a subject looked at. The log still verifies."""
    return DecisionErasure(key=explainer.decisions.erase(caller, data.subject_type, data.subject_id, data.reason))
