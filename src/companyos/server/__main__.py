"""``python -m companyos.server [--host HOST] [--port PORT]``: serve the home that is found, until told to stop."""

from __future__ import annotations

import argparse
import sys

from companyos.core.errors import CompanyOSError
from companyos.core.home import find_home
from companyos.core.settings import load


def main(arguments: list[str] | None = None) -> int:
    """Return the exit code: 0 after a clean stop, otherwise that of the fault that is named on standard error."""
    parser = argparse.ArgumentParser(prog="python -m companyos.server", description="Serve CompanyOS over HTTP.")
    parser.add_argument("--host", help="address to bind; the setting host without it")
    parser.add_argument("--port", type=_port, help="port to bind, 0 for a free one; the setting port without it")
    options = parser.parse_args(arguments)
    try:
        # Imported here, so that a wrong option or setting is told at once.
        settings = load(find_home())
        from companyos.server.run import run

        run(settings, options.host, options.port)
    except CompanyOSError as fault:
        sys.stderr.write(f"Error: {fault}\n")
        if fault.next_step:
            sys.stderr.write(f"Next: {fault.next_step}\n")
        return fault.exit_code
    return 0


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 <= int(text) <= 65535:  # noqa: PLR2004 - ports are 16 bits wide
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
