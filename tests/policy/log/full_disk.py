"""A process whose disk takes no more than some bytes a file; it takes the home and that number."""

from __future__ import annotations

import json
import resource
import signal
import sys

from companyos.core.errors import Unavailable
from companyos.core.settings import Settings
from companyos.ledger import open_journal
from companyos.policy.log import DecisionLog, Limits
from companyos_sdk.policy.decider import Decider
from companyos_sdk.rego.values import UNDEFINED
from tests.policy.log.lines import BUNDLE, PATHS


class Allows:
    """A policy that allows everything."""

    input_paths = PATHS

    def observe(self, input: object) -> tuple[object, tuple[object, ...]]:
        """Return the same for everybody."""
        del input
        return {"decision": "allow", "reason": "r", "obligations": []}, (UNDEFINED,) * len(PATHS)


def main(home: str, limit_bytes: int) -> None:
    """Decide until the disk is full, say what a decision is then, and again once there is room."""
    journal = open_journal(Settings(home=home))
    log = DecisionLog(journal, limits=Limits(linger_s=0))
    decider = Decider(Allows(), BUNDLE, log)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    decider.authorize({"id": "ana", "type": "user"}, "read", {}, {})
    log.flush()
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, resource.RLIM_INFINITY))
    taken = []
    while (decision := decider.authorize({"id": "ana", "type": "user"}, "read", {}, {})).allow:
        taken.append(decision.audit_id)
        try:
            log.flush(0.3)
        except Unavailable:
            continue
    said = {"reason": decision.reason, "error": decision.error, "audit_id": decision.audit_id}
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    log.flush(20)
    after = decider.authorize({"id": "ana", "type": "user"}, "read", {}, {})
    log.close()
    sys.stdout.write(json.dumps({**said, "taken": taken, "after": after.allow}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
