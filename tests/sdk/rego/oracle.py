"""regopy's own machine as a second opinion, in a process of its own: it cannot live in one with google-re2.

As a module, `Oracle().ask(…)`; as a script, the process behind it: JSON lines in, JSON lines out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

UNDEFINED: Final = {"undefined": True}


class Oracle:
    """One process, to be closed with ``close``; regopy ends it now and then, and it is started again."""

    def __init__(self) -> None:
        self._process = self._started()

    def ask(
        self, modules: Mapping[str, str], data: Any, entry: str, inputs: Sequence[Any]
    ) -> list[dict[str, Any]] | None:
        """For each input `{"value": …}`, `{"undefined": true}` or `{"error": …}`, or None if regopy ended.

        ``entry`` is like `data.a.b`.
        """
        request = {"modules": list(modules.items()), "data": data, "entry": entry, "inputs": list(inputs)}
        line = b""
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(request).encode() + b"\n")  # type: ignore[union-attr] # a pipe
            self._process.stdin.flush()  # type: ignore[union-attr] # a pipe
            line = self._process.stdout.readline()  # type: ignore[union-attr] # a pipe
        if line:
            found: list[dict[str, Any]] = json.loads(line)
            return found
        self.close()
        self._process = self._started()
        return None

    def close(self) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(BrokenPipeError):
                pipe.close()  # type: ignore[union-attr] # both are pipes
        self._process.wait(10)

    @staticmethod
    def _started() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )


def _answers(request: dict[str, Any]) -> list[dict[str, Any]]:
    import regopy  # type: ignore[import-untyped,unused-ignore] # it has no types

    entry = "/".join(request["entry"].split(".")[1:])
    builder = regopy.Interpreter()
    builder.log_level = regopy.LogLevel.NONE
    bundle = None
    found: list[dict[str, Any]] = []
    try:
        builder.add_data(request["data"])
        for name, source in request["modules"]:
            builder.add_module(name, source)
        bundle = builder.build(None, [entry])
        found += [_answer(regopy, bundle, entry, value) for value in request["inputs"]]
    except regopy.RegoError as fault:
        fault.__traceback__ = None
        return [{"error": str(fault)}] * len(request["inputs"])
    finally:
        del bundle
    return found


def _answer(regopy: Any, bundle: Any, entry: str, value: Any) -> dict[str, Any]:
    runner = regopy.Interpreter()
    runner.log_level = regopy.LogLevel.NONE
    runner.set_input_term(json.dumps(value))
    try:
        text = str(runner.query_bundle_entrypoint(bundle, entry))
        answer = json.loads(text)
    except (regopy.RegoError, ValueError) as fault:
        fault.__traceback__ = None
        return {"error": str(fault)}
    expressions = answer.get("expressions") if isinstance(answer, dict) else None
    return {"value": expressions[0]} if expressions else dict(UNDEFINED)


def _main() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for line in sys.stdin:
        answers.write(json.dumps(_answers(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    _main()
