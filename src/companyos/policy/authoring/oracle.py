"""The second opinion: what regopy, an engine that is not ours, says about the tests of a policy."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

SECONDS: Final = 60
"""How long it may think."""
_SCRIPT: Final = Path(__file__).with_name("regopy_oracle.py")


class Opinion(msgspec.Struct, frozen=True):
    """What it said, or why it said nothing."""

    value: Any = None
    """The value of the entry point; None for undefined."""
    error: str | None = None
    """One sentence when there is no opinion."""


def opinion(modules: Mapping[str, str], data: Mapping[str, Any], entry: str, functions: Sequence[str] = ()) -> Opinion:
    """The value of ``data.a.b``. ``functions`` are the built-in ones in use: where regopy lacks one it is not asked."""
    question = {"modules": dict(modules), "data": data, "entry": "/".join(entry.split(".")[1:]), "functions": functions}
    try:
        done = subprocess.run(  # noqa: S603 - our own script, in our own interpreter
            [sys.executable, "-P", str(_SCRIPT)],
            input=json.dumps(question).encode(),
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
        return msgspec.json.decode(done.stdout, type=Opinion)
    except subprocess.TimeoutExpired:
        return Opinion(error=f"regopy took more than {SECONDS} seconds.")
    except msgspec.DecodeError:
        return Opinion(error="regopy ended without an answer.")
