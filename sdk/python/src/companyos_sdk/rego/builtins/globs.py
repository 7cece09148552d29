"""Patterns for file names and dotted names: `glob.match`, with `*`, `**`, `?`, `[a-z]`, `[!abc]` and `{one,two}`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from companyos_sdk.rego.builtins import regexes
from companyos_sdk.rego.builtins.arguments import no_longer, refuse, string
from companyos_sdk.rego.builtins.registry import builtin
from companyos_sdk.rego.errors import BuiltinError, LimitExceeded
from companyos_sdk.rego.limits import MAX_DEPTH

Value = Any

_MAX_PATTERN: Final = 2_000
_MAX_DELIMITERS: Final = 100
_SPECIAL: Final = re.compile(r"[*?\\\[\]{}]")
_ANY: Final = "(?s:.)"


@builtin("glob.match")
def match(pattern: Value, delimiters: Value, text: Value) -> bool:
    """Whether the whole text matches; `*` and `?` stop at delimiters, of which a `.` is the default and null none."""
    glob, found = string("glob.match", 1, pattern), string("glob.match", 3, text)
    return regexes.found(_compiled(glob, _separators(delimiters)), found)


@builtin("glob.quote_meta")
def quote_meta(pattern: Value) -> str:
    """The pattern that matches only this text."""
    found = string("glob.quote_meta", 1, pattern)
    return no_longer("glob.quote_meta", _SPECIAL.sub(lambda special: "\\" + special.group(), found))


def _separators(value: Value) -> str:
    if value is None:
        return ""
    if type(value) is not list:
        refuse("glob.match", 2, value, "null or an array of single characters")
    for item in value:
        if type(item) is not str or len(item) != 1:
            raise BuiltinError("glob.match: a delimiter must be a string of one character.")
    if len(value) > _MAX_DELIMITERS:
        raise LimitExceeded(f"glob.match: there are more than {_MAX_DELIMITERS} delimiters.")
    return "".join(value) or "."


@lru_cache(maxsize=512)
def _compiled(pattern: str, separators: str) -> Any:  # noqa: ANN401 - the package has no types
    if len(pattern) > _MAX_PATTERN:
        raise LimitExceeded(f"glob.match: the pattern is longer than {_MAX_PATTERN} characters.")
    return regexes.compiled("glob.match", _Translation(pattern, separators).whole())


class _Translation:
    """One pattern on its way into a regular expression."""

    def __init__(self, pattern: str, separators: str) -> None:
        self.pattern = pattern
        self.place = 0
        self.single = f"[^{''.join(map(_literal, separators))}]" if separators else _ANY
        """One character that is no delimiter."""

    def whole(self) -> str:
        """The expression for the whole pattern. Braces that nobody closes end with it."""
        return rf"\A(?:{self._sequence(0)})\z"

    def _sequence(self, depth: int) -> str:
        if depth > MAX_DEPTH // 2:
            raise LimitExceeded("glob.match: the braces of the pattern are nested too deeply.")
        parts: list[str] = []
        while self.place < len(self.pattern):
            character = self.pattern[self.place]
            self.place += 1
            if depth and character in ",}":
                if character == "}":
                    return "".join(parts)
                parts.append("|")
            elif character == "*":
                parts.append(self._star())
            elif character == "?":
                parts.append(self.single)
            elif character == "[":
                parts.append(self._range())
            elif character == "{":
                parts.append(f"(?:{self._sequence(depth + 1)})")
            elif character == "\\":
                parts.append(self._escaped())
            else:
                parts.append(_literal(character))
        return "".join(parts)

    def _star(self) -> str:
        if self.pattern[self.place : self.place + 1] == "*":
            self.place += 1
            return f"{_ANY}*"
        return f"{self.single}*"

    def _escaped(self) -> str:
        """The next character as it is; nothing at the end of the pattern."""
        escaped = self.pattern[self.place : self.place + 1]
        self.place += 1
        return _literal(escaped) if escaped else ""

    def _range(self) -> str:
        """``[a-z]`` or ``[abc]``, each with ``!`` for all other characters; delimiters among them."""
        denied = "^" if self.pattern[self.place : self.place + 1] == "!" else ""
        self.place += len(denied)
        if self.pattern[self.place + 1 : self.place + 2] == "-":
            low, high = self.pattern[self.place], self.pattern[self.place + 2 : self.place + 3]
            self.place += 4
            if not high or high < low or self.pattern[self.place - 1 : self.place] != "]":
                raise BuiltinError("glob.match: a range of the pattern is not of the form [a-z].")
            return f"[{denied}{_literal(low)}-{_literal(high)}]"
        members: list[str] = []
        while (character := self.pattern[self.place : self.place + 1]) not in ("", "]"):
            self.place += 1
            members.append(self._escaped() if character == "\\" else _literal(character))
        self.place += 1
        if not any(members) or character != "]":
            raise BuiltinError("glob.match: a list of characters in the pattern is empty or not closed.")
        return f"[{denied}{''.join(members)}]"


def _literal(character: str) -> str:
    """A character as a regular expression, inside or outside of brackets."""
    return rf"\x{{{ord(character):x}}}"
