"""``python -m companyos.core.keeper RUN_FOLDER LOG_FOLDER`` starts the keeper of a home; ``Keeper.ensure`` calls it."""

from __future__ import annotations

import sys
from pathlib import Path

from companyos.core.keeper.daemon import detach
from companyos.core.keeper.place import Place


def main(arguments: list[str]) -> int:
    """Return 0 once a keeper listens, 3 when it could not start, 2 for wrong arguments."""
    if len(arguments) != 2:  # noqa: PLR2004 - the two folders
        sys.stderr.write("usage: python -m companyos.core.keeper RUN_FOLDER LOG_FOLDER\n")
        return 2
    run, logs = (Path(argument) for argument in arguments)
    if not run.is_absolute() or not logs.is_absolute():
        sys.stderr.write("The folders must be absolute paths.\n")
        return 2
    return detach(Place(run, logs))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
