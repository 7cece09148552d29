"""`regex.globs_match`: whether two patterns of characters, `.`, `[sets]`, `+` and `*` can match the same string."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from companyos_sdk.rego.builtins.arguments import impossible, string
from companyos_sdk.rego.builtins.registry import builtin
from companyos_sdk.rego.errors import BuiltinError, LimitExceeded

Value = Any

_MAX_PATTERN: Final = 1_000
"""Characters of a pattern; the work grows with the product of both."""


class _Token(NamedTuple):
    """Characters that stand at one place, any number of times from `least` on if it repeats."""

    ranges: tuple[tuple[str, str], ...] | None
    """First and last characters; None for all characters."""
    least: int
    repeats: bool


@builtin("regex.globs_match")
def globs_match(left: Value, right: Value) -> bool:
    """Whether some string that is not empty matches both patterns as a whole."""
    one = _tokens(string("regex.globs_match", 1, left))
    two = _tokens(string("regex.globs_match", 2, right))
    if not one and not two:
        raise impossible("regex.globs_match", "both patterns are empty")
    waiting = [(0, 0)]
    seen = {(0, 0)}
    while waiting:
        first, second = waiting.pop()
        for here, after in _next(one, first):
            for there, then in _next(two, second):
                if not _meet(one[here].ranges, two[there].ranges):
                    continue
                if _finished(one, after) and _finished(two, then):
                    return True
                if (after, then) not in seen:
                    seen.add((after, then))
                    waiting.append((after, then))
    return False


def _next(tokens: list[_Token], state: int) -> list[tuple[int, int]]:
    """The tokens that may take the next character, each with the state after it.

    State 2n is before token n, state 2n + 1 is in it: one character has been taken.
    """
    place, inside = divmod(state, 2)
    found: list[tuple[int, int]] = []
    if inside and tokens[place].repeats:
        found.append((place, state))
    place += inside
    while place < len(tokens):
        found.append((place, 2 * place + 1))
        if tokens[place].least:
            break
        place += 1
    return found


def _finished(tokens: list[_Token], state: int) -> bool:
    """Whether the pattern may end in this state."""
    place, inside = divmod(state, 2)
    return all(not token.least for token in tokens[place + inside :])


def _meet(one: tuple[tuple[str, str], ...] | None, two: tuple[tuple[str, str], ...] | None) -> bool:
    """Whether a character is in both."""
    if one is None or two is None:
        return one != () and two != ()
    return any(low <= last and first <= high for low, high in one for first, last in two)


def _tokens(pattern: str) -> list[_Token]:
    if len(pattern) > _MAX_PATTERN:
        raise LimitExceeded(f"regex.globs_match: a pattern is longer than {_MAX_PATTERN} characters.")
    made: list[_Token] = []
    place = 0
    while place < len(pattern):
        character = pattern[place]
        place += 1
        ranges: tuple[tuple[str, str], ...] | None
        if character in "]+*":
            raise _invalid(f"{character} without what it belongs to")
        if character == "[":
            ranges, place = _set(pattern, place)
        elif character == ".":
            ranges = None
        else:
            if character == "\\":
                character, place = _escaped(pattern, place)
            ranges = ((character, character),)
        flag = pattern[place : place + 1]
        place += flag in ("+", "*")
        made.append(_Token(ranges, int(flag != "*"), flag in ("+", "*")))
    return made


def _set(pattern: str, place: int) -> tuple[tuple[tuple[str, str], ...], int]:
    """The ranges of a set, and the place after it."""
    ranges: list[tuple[str, str]] = []
    before: str | None = None
    while place < len(pattern):
        character = pattern[place]
        place += 1
        if character == "]":
            return tuple(ranges), place
        if character == "-":
            if before is None or pattern[place : place + 1] in ("", "]", "-"):
                raise _invalid("a range without its first or last character")
            last, place = _escaped(pattern, place + 1) if pattern[place] == "\\" else (pattern[place], place + 1)
            if last < before:
                raise _invalid("a range that is not in order")
            ranges.append((before, last))
            before = None
            continue
        if character == "\\":
            character, place = _escaped(pattern, place)
        ranges.append((character, character))
        before = character
    raise _invalid("a [ without its ]")


def _escaped(pattern: str, place: int) -> tuple[str, int]:
    if place >= len(pattern):
        raise _invalid("a \\ at its end")
    return pattern[place], place + 1


def _invalid(what: str) -> BuiltinError:
    return BuiltinError(f"regex.globs_match: a pattern has {what}.")
