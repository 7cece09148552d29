"""What people ask of the Tower about policies: all bundles, one of them with its next step, and one decision.

Everything goes through the use cases of ``companyos.policy``, which ask for the permissions.
"""

from __future__ import annotations

from typing import Final

from companyos.core.access import Caller, ask, require
from companyos.core.errors import CompanyOSError, Denied, IntegrityFault, InvalidInput, NotFound
from companyos.core.ids import is_uuid
from companyos.core.paging import MAX_LIMIT
from companyos.ledger import Journal
from companyos.policy.explaining import Explainer
from companyos.policy.log import roots
from companyos.policy.log.record import DECISION, Decision
from companyos.policy.model import PLATFORM, STAGES, Promotion, Stage, StageStatus
from companyos.policy.promoting import Order
from companyos.policy.service import Policies
from companyos.tower.asking import check_reason
from companyos.tower.policy_decision import DecisionPage, Place, found_of
from companyos.tower.policy_list import PoliciesPage, policies_page
from companyos.tower.policy_page import Asking, BundlePage, Step, bundle_page, steps_of
from companyos.tower.policy_replay import Preview, Typed, no_preview, preview, refusal_of
from companyos.tower.policy_stages import cells

HISTORY_ROWS: Final = 20
_PUBLISHED: Final = 100
_ID_CHARACTERS: Final = 64


class PolicyPages:
    """The pages of policies over their use cases."""

    def __init__(self, journal: Journal, policies: Policies, explainer: Explainer) -> None:
        """Take the journal with the clock and the roots of segments, what knows bundles, and what knows decisions."""
        self._journal = journal
        self._policies = policies
        self._explainer = explainer

    def listing(self, caller: Caller) -> PoliciesPage:
        """Return all bundles. Raises Denied."""
        statuses = self._policies.list_stages(caller)
        published = self._policies.list_published(caller, limit=MAX_LIMIT).items
        return policies_page(statuses, published, self._journal.settings.policy_stage, self._journal.clock.now())

    def one(
        self,
        caller: Caller,
        bundle_id: str,
        *,
        to: Stage | None = None,
        cursor: str | None = None,
        done: str | None = None,
        refused: tuple[Typed, Promotion | str] | None = None,
    ) -> BundlePage:
        """Return the page of a bundle. Raises Denied, InvalidInput, NotFound.

        ``to`` is the stage whose next promotion is tried without making it; as its replay may take seconds, it happens
        when somebody asks for it. ``refused`` is a form that was not taken up, and what stood against it.
        """
        history = self._policies.history(caller, bundle_id, cursor=cursor, limit=HISTORY_ROWS)
        published = self._policies.list_published(caller, bundle_id=bundle_id, limit=_PUBLISHED)
        statuses = self._of(caller, bundle_id)
        if bundle_id != PLATFORM and not (published.items or statuses or history.items):
            raise NotFound(f"There is no bundle {bundle_id[:100]!r}.", next_step="See all of them at /policies.")
        shown: Preview | None = None
        may = False
        if refused is not None:
            typed, told = refused
            to = _stage(typed.stage)
            may = to is not None and self._may(caller, bundle_id, typed.version, to)
            shown = self._refused(caller, bundle_id, typed, told, may=may) if to is not None else None
        elif to is not None:
            step = _step_to(steps_of(bundle_id, cells(statuses), published.items, to), to)
            if step is not None:
                may = self._may(caller, bundle_id, step.version, to)
                shown = self._preview(caller, Typed(stage=to, version=step.version), bundle_id, may=may)
        return bundle_page(
            bundle_id,
            statuses,
            published,
            history,
            self._journal.clock.now(),
            stage=self._journal.settings.policy_stage,
            asking=Asking(to=to, preview=shown, done=done, may=may),
            paged=cursor is not None,
        )

    def promote(self, caller: Caller, bundle_id: str, typed: Typed) -> Promotion:
        """Promote what a form names. Raises whatever the use case does, and InvalidInput without a reason."""
        return self._policies.promote(caller, _order(bundle_id, typed, check_reason(typed.reason)))

    def decision(self, caller: Caller, audit_id: str) -> DecisionPage:
        """Return the page about a decision; without an id only the lookup. Raises Denied."""
        now, asked = self._journal.clock.now(), audit_id.strip()
        if not asked:
            require(caller, "decision.read", "decisions")
            return DecisionPage(now=now)
        try:
            records = self._explainer.decisions.find(caller, asked.lower())
            told = self._explainer.explain(caller, asked.lower()) if records[0].kind == DECISION else None
        except (NotFound, IntegrityFault) as fault:
            return DecisionPage(now=now, asked=asked[:_ID_CHARACTERS], fault=_unknown(asked, fault))
        return DecisionPage(
            now=now,
            asked=asked,
            found=found_of(records, told, self._place(records[0]), known=self._known(records[0].bundle.id)),
        )

    def _known(self, bundle_id: str) -> bool:
        """Tell whether there is a page about a bundle; services may report decisions of any."""
        return bundle_id == PLATFORM or any(status.bundle_id == bundle_id for status in self._policies.stages())

    def _of(self, caller: Caller, bundle_id: str) -> list[StageStatus]:
        return [status for status in self._policies.list_stages(caller) if status.bundle_id == bundle_id]

    def _preview(
        self, caller: Caller, typed: Typed, bundle_id: str, *, may: bool, again: bool = False, fault: str | None = None
    ) -> Preview:
        """Return what the promotion would change; ``again`` shows the form as it was sent."""
        try:
            told = self._policies.promote(caller, _order(bundle_id, typed, ""), dry_run=True)
        except Denied:
            raise
        except CompanyOSError as unknown:
            return no_preview(typed.version, _stage(typed.stage) or "dev", sentence(unknown), fault=fault)
        return preview(told, may=may, typed=typed if again else None, fault=fault)

    def _refused(self, caller: Caller, bundle_id: str, typed: Typed, told: Promotion | str, *, may: bool) -> Preview:
        if isinstance(told, str):
            return self._preview(caller, typed, bundle_id, may=may, again=True, fault=told)
        return preview(told, may=may, typed=typed, fault=refusal_of(told))

    @staticmethod
    def _may(caller: Caller, bundle_id: str, version: str, to: Stage) -> bool:
        action = "policy.publish" if to == "dev" else "policy.promote"
        return ask(caller, action, f"policy:{bundle_id}@{version[:40]}").allowed

    def _place(self, record: Decision) -> Place:
        with self._journal.read() as connection:
            root = roots.roots(connection).get((record.stream, record.segment))
        return Place(
            stream=record.stream,
            segment=record.segment,
            link=record.hash,
            records=root.records if root else 0,
            closed_at=root.closed_at if root else None,
            ledger_id=root.ledger_id if root else None,
        )


def check_stage_shown(text: str | None) -> Stage | None:
    """Return the stage that an address names, None for none, or raise InvalidInput."""
    if text is None or (stage := _stage(text)) is not None:
        return None if text is None else stage
    raise InvalidInput(f"There is no stage {text[:20]!r}.", next_step=f"Use {', '.join(STAGES)}.", field="to")


def sentence(fault: CompanyOSError) -> str:
    """Return what a fault says, with what to do about it."""
    return f"{fault.detail} {fault.next_step or ''}".strip()


def _stage(text: str) -> Stage | None:
    return next((stage for stage in STAGES if stage == text), None)


def _step_to(steps: list[Step], to: Stage) -> Step | None:
    return next((step for step in steps if step.stage == to), None)


def _order(bundle_id: str, typed: Typed, reason: str) -> Order:
    return Order(
        bundle_id=bundle_id,
        version=typed.version,
        stage=typed.stage,  # type: ignore[arg-type] # the use case checks it, and says which there are
        reason=reason,
        acknowledged=typed.acknowledged,
        without_replay=typed.without_replay,
    )


def _unknown(asked: str, fault: CompanyOSError) -> str:
    if isinstance(fault, NotFound) and not is_uuid(asked.lower()):
        return (
            f"“{asked[:_ID_CHARACTERS]}” is no audit id: it has 36 characters, like "
            "01a220d4-3949-74b9-a64d-164714d5b1a4. Every answer of the decision point names its own as audit_id."
        )
    return sentence(fault)
