"""A process of its own in which regopy runs tests of a policy: a second opinion about every one of them.

It reads one JSON document ``{"modules": {name: source}, "data": {…}, "entry": "a/b", "functions": […]}`` and writes
``{"value": …}``, with ``null`` for undefined, or ``{"error": "…"}``. regopy may end the process without an answer.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any


def main() -> None:
    """Answer the one question."""
    regopy: Any = importlib.import_module("regopy")  # it has no types

    asked = json.load(sys.stdin)
    interpreter = regopy.Interpreter()
    interpreter.log_level = regopy.LogLevel.NONE
    try:
        absent = [name for name in asked["functions"] if not interpreter.is_builtin(name)]
        if absent:
            answer = {"error": f"regopy has no {', '.join(absent)}"}
        else:
            interpreter.add_data(asked["data"])
            for name, source in asked["modules"].items():
                interpreter.add_module(name, source)
            bundle = interpreter.build(None, [asked["entry"]])
            found = interpreter.query_bundle_entrypoint(bundle, asked["entry"])
            results = json.loads(str(found)) if str(found).startswith("{") else {}
            answer = {"value": (results.get("expressions") or [None])[0]}
    except (regopy.RegoError, ValueError) as fault:
        answer = {"error": str(fault)[:2000]}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
