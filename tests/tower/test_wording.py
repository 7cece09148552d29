from typing import Any

import pytest

from companyos.ledger import Record
from companyos.tower.wording import sentence
from tests.tower.releases import DIGEST
from tests.tower.rows import NOW


def record(verb: str, target: str, **values: Any) -> Record:
    """A record of the ledger."""
    given: dict[str, Any] = dict.fromkeys(("policy", "ip", "device", "service", "release", "request_id"))
    given |= {"decision": "allow", "obligations": (), "details": {}, "personal": {}, "erased": ()} | values
    return Record(index=0, id="i", time=NOW, actor="user:ana", verb=verb, target=target, **given)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (record("service.create", "service:checkout"), "created service checkout"),
        (record("subject.create", "user:ana"), "created user ana"),
        (record("hold.place", "service:checkout"), "placed a hold on checkout"),
        (record("incident.open", "fleet"), "opened an incident of fleet"),
        (record("login_code.issue", "user:ana"), "issued a login code for ana"),
        (
            record("deployment.start", "service:checkout", release="checkout@1.4.2"),
            "started a deployment of checkout, release checkout@1.4.2",
        ),
        (
            record("release.deploy", "service:checkout", release="checkout@2.4.0"),
            "accepted release checkout@2.4.0",
        ),
        (
            record(
                "release.advance",
                "service:checkout",
                release="checkout@2.4.0",
                details={"percent": 10, "sentence": "OK."},
            ),
            "advanced release checkout@2.4.0 to 10 %: OK.",
        ),
        (
            record("release.hold", "service:checkout", release="checkout@2.4.0", details={"percent": 10}),
            "held release checkout@2.4.0",
        ),
        (
            record("release.rolled_back", "service:checkout", release="checkout@2.4.0"),
            "rolled back release checkout@2.4.0",
        ),
        (
            record(
                "release.ask_abort", "service:checkout", release="checkout@2.4.0", details={"reason": "p95 doubled"}
            ),
            "asked to abort release checkout@2.4.0: p95 doubled",
        ),
        (record("release.refuse", "service:checkout"), "refused release checkout"),
        (
            record("release.deploy", "service:checkout", decision="deny"),
            "was refused: release.deploy on service:checkout",
        ),
        (record("artifact.store", f"artifact:{DIGEST}"), "stored artifact sha256:4f1c4f1c4f1c…"),
        (record("artifact.sign", f"artifact:{DIGEST}"), "signed artifact sha256:4f1c4f1c4f1c…"),
        (record("artifact.deny", f"artifact:{DIGEST}"), "denied artifact sha256:4f1c4f1c4f1c… for later deploys"),
        (record("artifact.allow", f"artifact:{DIGEST}"), "allowed artifact sha256:4f1c4f1c4f1c… again"),
        (record("flag.define", "flag:new-tax"), "defined flag new-tax"),
        (record("flag.turn_on", "flag:new-tax"), "turned on flag new-tax"),
        (record("flag.turn_back", "flag:new-tax"), "turned back flag new-tax"),
        (record("flag.set", "flag:new-tax"), "set flag new-tax"),
        (record("attestation.sign", "service:checkout"), "signed an attestation of checkout"),
        (record("notification.queue", "service:checkout"), "queued a notification about checkout"),
        (record("notification.deliver", "service:checkout"), "delivered a notification about checkout"),
        (record("notification.give_up", "service:checkout"), "gave up a notification about checkout"),
        (record("alert.fire", "service:checkout"), "was told that an alert of checkout fires"),
        (record("alert.resolve", "service:checkout"), "was told that an alert of checkout has ended"),
        (record("policy.promote", "policy:shop/orders@1.1.0"), "promoted policy shop/orders@1.1.0"),
        (
            record("policy.rollback", "policy:shop/orders@1.0.0", details={"reason": "cancelled too much"}),
            "went back to policy shop/orders@1.0.0: cancelled too much",
        ),
        (record("role.unbind", "user:pat"), "unbound a role of pat"),
        (record("deployment.reweigh", "service:checkout"), "changed the weight of a deployment of checkout"),
        (record("service.remove", "service:x", decision="deny"), "was refused: service.remove on service:x"),
        (record("quantum.entangle", "qubit:7"), "quantum.entangle on qubit:7"),
        (record("restart", "host:a"), "restart on host:a"),
        (record("x.create", "y:"), "created a x of y"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_record_is_a_sentence(said: Record, expected: str) -> None:
    """A person reads what happened; a verb that is unknown here is shown as it stands in the ledger."""
    assert sentence(said) == expected
