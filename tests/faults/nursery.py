"""Starts controllers quickly: it has imported everything and forks one for each line that it reads.

A line is a JSON object of environment variables; the answers are the process id, and at its end the status of
``os.waitpid``. What runs in the child is ``python -m companyos.server.controller`` from its first line on.
"""

from __future__ import annotations

import json
import os
import sys


def main() -> None:
    """Fork until standard input ends."""
    import httpx  # noqa: F401 - so that no child has to

    from companyos.delivery.adapters.envoy.process import program
    from companyos.server import controller, controlling  # noqa: F401 - so that no child has to

    program()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            os.environ.update(json.loads(line))
            log = os.open(os.environ["CONTROLLER_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            null = os.open(os.devnull, os.O_RDONLY)
            os.dup2(null, 0)
            os.dup2(log, 1)
            os.dup2(log, 2)
            code = 1
            try:
                code = controller.main()
            finally:
                sys.stderr.flush()
                os._exit(code)
        print(pid, flush=True)  # noqa: T201 - the protocol
        print(os.waitpid(pid, 0)[1], flush=True)  # noqa: T201 - the protocol


if __name__ == "__main__":
    main()
