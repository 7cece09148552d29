"""``python -m companyos.server.controller``: follow the releases of the home that is found, until told to stop."""

from __future__ import annotations

import sys

from companyos.core.errors import CompanyOSError
from companyos.core.home import find_home
from companyos.core.settings import load


def main() -> int:
    """Return the exit code: 0 after a clean stop, otherwise that of the fault that is named on standard error."""
    try:
        settings = load(find_home())
        from companyos.server.controlling import run

        run(settings)
    except CompanyOSError as fault:
        sys.stderr.write(f"Error: {fault}\n")
        if fault.next_step:
            sys.stderr.write(f"Next: {fault.next_step}\n")
        return fault.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
