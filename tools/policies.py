"""The compiled form of the policies that the platform ships: `make policies`.

`python -m tools.policies --check` writes nothing and ends with 1 when a plan is behind its source. Only this needs the
compiler; the platform decides with what is written here.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from companyos.policy.enforcing import ENTRYPOINT, FOLDER


def made() -> bytes:
    """The plan of the platform's own policy."""
    from companyos_sdk import rego

    source = (FOLDER / "policy.rego").read_text(encoding="utf-8")
    return rego.plan({"policy.rego": source}, [ENTRYPOINT]).to_bytes() + b"\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the plan, or say whether it is behind."""
    parser = argparse.ArgumentParser(prog="python -m tools.policies", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 when a plan is behind")
    options = parser.parse_args(arguments)
    plan = made()
    path: Path = FOLDER / "plan.json"
    if options.check:
        behind = not path.exists() or path.read_bytes() != plan
        print(f"{path.name} is behind; run make policies." if behind else f"{path.name} is as its source says.")
        return int(behind)
    path.write_bytes(plan)
    print(f"wrote {path.name}: {len(plan)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
