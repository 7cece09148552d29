"""What tests of the policy pages have in common: a server whose bundles, decisions and tests are made up."""

from __future__ import annotations

import html
import re
from typing import Any

from companyos.core.access import Caller
from companyos.policy.model import Activation, Checked, Published, StageStatus
from companyos.server.app import Application
from tests.policy.bundles import ALLOW, BUNDLE_ID, deny, owing
from tests.policy.people import Decided, publish
from tests.server.web import ORIGIN, Web
from tests.tower.rows import NOW

ANN = Caller(subject="user:ann", subject_id="01a202e7-0000-7000-8000-000000000001", roles=frozenset({"sre_lead"}))
BOB = Caller(
    subject="user:bob", subject_id="01a202e7-0000-7000-8000-000000000002", roles=frozenset({"security_approver"})
)
ADMIN = Caller(subject="user:ana", roles=frozenset({"admin"}))
PAGE = {"accept": "text/html"}
FORM = {"content-type": "application/x-www-form-urlencoded", "origin": ORIGIN, "sec-fetch-site": "same-origin", **PAGE}
HERE = f"/policies/{BUNDLE_ID}"
CLOSED = {"read": owing("log_event"), "transfer": deny("residency.eu"), "export": ALLOW}
OPENED = {"read": ALLOW, "transfer": ALLOW, "export": ALLOW}
DIGEST = "sha256:" + "4f1c" * 16


def record_decisions(decided: Decided) -> None:
    """Let prod have decided something that the opened rules decide otherwise."""
    decided.add("prod", "read", owing("log_event"), 3)
    decided.add("prod", "transfer", deny("residency.eu"), 2)
    decided.add("prod", "export", ALLOW, 5)


def bring_up(app: Application, decided: Decided) -> None:
    """Bring 1.0.0 to prod, let it decide, and bring 1.1.0, which opens two things, to staging."""
    publish(app.policies, ANN, CLOSED, "1.0.0")
    for stage in ("dev", "staging", "prod"):
        promote(app, BOB if stage == "prod" else ANN, "1.0.0", stage, reason="The first of it.")
    record_decisions(decided)
    publish(app.policies, ANN, OPENED, "1.1.0")
    for stage in ("dev", "staging"):
        promote(app, ANN, "1.1.0", stage, reason="Opens the transfer.")


def promote(app: Application, caller: Caller, version: str, stage: Any, *, reason: str) -> None:
    """Promote a version, whatever the replay says."""
    from companyos.policy.promoting import Order

    order = Order(bundle_id=BUNDLE_ID, version=version, stage=stage, reason=reason, without_replay=True)
    told = app.policies.promote(caller, order)
    assert told.outcome == "promoted", told


def signed_in(app: Application, name: str, *roles: str) -> Web:
    """Somebody with a browser session."""
    token = app.identity.issue_token(ADMIN, name, roles=list(roles), type="user").secret
    visitor = Web(app)
    assert visitor("POST", "/sign-in", data={"token": token}, headers=FORM).status_code == 303
    return visitor


def token_on(page: str) -> str:
    """The form token that a page carries."""
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found is not None
    return found[1]


def text_of(answer: Any) -> str:
    """The text of a page in one line, with a space between its elements."""
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", answer.text)).split())


def published(bundle_id: str = BUNDLE_ID, version: str = "1.0.0", **more: Any) -> Published:
    """A published version."""
    values: dict[str, Any] = {
        "id": f"id-{version}",
        "digest": DIGEST,
        "content_digest": DIGEST,
        "entrypoint": "data.companyos.documents.decision",
        "obligations": ("log_event",),
        "tests": Checked(passed=3, failed=0, coverage_ratio=1.0, at=NOW),
        "published_by": "user:ann",
        "published_at": NOW,
    }
    return Published(bundle_id=bundle_id, version=version, **values | more)


def activation(version: str, stage: Any, bundle_id: str = BUNDLE_ID, **more: Any) -> Activation:
    """An activation."""
    values: dict[str, Any] = {
        "id": f"{stage}-{version}",
        "published_id": f"id-{version}",
        "digest": DIGEST,
        "content_digest": DIGEST,
        "kind": "promote",
        "reason": "It is time.",
        "by": "user:ann",
        "at": NOW,
    }
    return Activation(bundle_id=bundle_id, stage=stage, version=version, **values | more)


def status(stage: Any, version: str | None = None, bundle_id: str = BUNDLE_ID, **more: Any) -> StageStatus:
    """What is active in a stage."""
    active = activation(version, stage, bundle_id) if version is not None else None
    return StageStatus(bundle_id=bundle_id, stage=stage, active=active, **more)


def refused(stage: Any, version: str | None, failed: str, why: str, bundle_id: str = BUNDLE_ID) -> StageStatus:
    """A stage in which the newest attempt failed."""
    return status(stage, version, bundle_id, failed_at=NOW, failed_version=failed, failure=why)
