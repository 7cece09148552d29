"""A process that logs decisions until it is killed, and says which ones are on the disk; it takes the home."""

from __future__ import annotations

import sys

from companyos.core.settings import Settings
from companyos.ledger import open_journal
from companyos.policy.log import DecisionLog, Limits
from tests.policy.log.lines import decision, id_of


def main(home: str) -> None:
    """Record batches of decisions for ever; the ids of each are printed once it is flushed."""
    journal = open_journal(Settings(home=home))
    log = DecisionLog(journal, limits=Limits(linger_s=0, segment_records=200))
    number = 0
    while True:
        lines = [decision(f"s{(number + place) % 7}") for place in range(20)]
        number += 20
        for line in lines:
            log.record(line)
        log.flush()
        sys.stdout.write("".join(f"{id_of(line)}\n" for line in lines))
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
