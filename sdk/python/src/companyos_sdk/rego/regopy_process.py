"""The process in which regopy compiles: a script that imports nothing of ours.

regopy and google-re2 define the same C++ classes and end the process that loads both, and some modules end regopy.
Requests and answers are JSON behind four bytes of length: ``{"modules": [[name, source], …], "entries": ["a/b", …]}``
is answered by ``{"plan": "<plan.json>"}`` or ``{"error": "…"}``. The process ends with its input, or when it is idle.
"""

from __future__ import annotations

import json
import os
import select
import struct
import sys
import tempfile
from pathlib import Path
from typing import Any

IDLE_SECONDS = 120
_FOLDER_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it


def answer(request: dict[str, Any]) -> dict[str, str]:
    """The plan, or what regopy has against the modules."""
    import regopy  # type: ignore[import-untyped,unused-ignore] # it has no types

    interpreter = regopy.Interpreter()
    interpreter.log_level = regopy.LogLevel.NONE
    bundle = None
    try:
        for name, source in request["modules"]:
            interpreter.add_module(name, source)
        bundle = interpreter.build(None, request["entries"])
        with tempfile.TemporaryDirectory(
            prefix="rego-", dir=_FOLDER_IN_MEMORY if os.access(_FOLDER_IN_MEMORY, os.W_OK) else None
        ) as made:
            target = Path(made) / "bundle"
            interpreter.save_bundle(str(target), bundle)
            return {"plan": (target / "plan.json").read_text("utf-8")}
    except (regopy.RegoError, UnicodeError) as fault:
        fault.__traceback__ = None  # its frames hold the bundle, which must be freed before the interpreter
        return {"error": str(fault)}
    finally:
        del bundle


def main() -> int:
    """Answer until the input ends."""
    source, target = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):  # regopy writes to standard output, which carries the answers
        os.dup2(nowhere, standard)
    with os.fdopen(source, "rb") as requests, os.fdopen(target, "wb") as answers:
        while select.select([source], [], [], IDLE_SECONDS)[0]:
            head = requests.read(4)
            if len(head) < len("size"):
                break
            request = json.loads(requests.read(struct.unpack(">I", head)[0]))
            found = json.dumps(answer(request)).encode()
            answers.write(struct.pack(">I", len(found)) + found)
            answers.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
