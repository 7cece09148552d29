"""Tests that replace the input, in a form that the compiler of policies takes.

regopy ends its process over ``with input as …`` where the rule under test uses another rule, which is what most tests
do. It has no trouble with ``with data.… as …``. For a test run every ``input`` of the sources is therefore read from a
document of its own below ``data``, and means the same: nobody else has something there, and without a ``with`` it is
undefined, as the input is when tests run. Rows stay what they are.
"""

from __future__ import annotations

import re
from typing import Final

STAND_IN: Final = "input_under_test"
"""The document below ``data`` that stands for the input."""

_TOKEN: Final = re.compile(
    r"""
      \#[^\n]*                      # a comment
    | "(?:[^"\\\n]|\\.)*"           # a text
    | `[^`]*`                       # a raw text
    | [A-Za-z_][A-Za-z0-9_]*        # a name
    | \s+
    | .
    """,
    re.VERBOSE | re.DOTALL,
)


def with_stand_in(source: str) -> str:
    """The same Rego, with ``data.input_under_test`` for ``input``."""
    parts: list[str] = []
    before = ""
    for token in _TOKEN.findall(source):
        parts.append(f"data.{STAND_IN}" if token == "input" and before != "." else token)  # noqa: S105 - a name of Rego
        if not token.isspace() and not token.startswith("#"):
            before = token
    return "".join(parts)
