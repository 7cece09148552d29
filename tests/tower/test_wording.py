from typing import Any

import pytest

from companyos.ledger import Record
from companyos.tower.wording import sentence
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
