"""Regular expressions in the syntax of RE2, which is the one of OPA, in linear time.

They need the package google-re2 (`companyos-sdk[regex]`); where it is missing, a policy that uses them is refused.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from companyos_sdk.rego.builtins.arguments import machine, string, too_long, too_many
from companyos_sdk.rego.builtins.registry import builtin
from companyos_sdk.rego.builtins.texts import octets
from companyos_sdk.rego.errors import BuiltinError, LimitExceeded
from companyos_sdk.rego.limits import MAX_ITEMS, MAX_TEXT

Value = Any

NAMES: Final = frozenset(
    f"regex.{name}"
    for name in ("match", "is_valid", "split", "find_n", "find_all_string_submatch_n", "replace", "template_match")
) | {"glob.match", "re_match"}
"""The functions that need the package."""
MISSING: Final = 'it needs the package google-re2; install "companyos-sdk[regex]"'
"""Why they are refused without it."""

_MAX_PATTERN: Final = 10_000
"""Characters of a pattern."""
_MAX_WORK: Final = 400_000_000
"""Instructions of a pattern times octets of a text that one call may look at."""
_CACHED: Final = 512
"""Compiled patterns that are kept."""
_NAME: Final = re.compile(r"\w+")


def available() -> bool:
    """Whether the package is there, so that `NAMES` can be called."""
    return importlib.util.find_spec("re2") is not None


@builtin("regex.match")
def match(pattern: Value, text: Value) -> bool:
    """Whether the pattern is found anywhere in the text."""
    return found(compiled("regex.match", string("regex.match", 1, pattern)), string("regex.match", 2, text))


@builtin("re_match")
def re_match(pattern: Value, text: Value) -> bool:
    """The old name of `regex.match`."""
    return match(pattern, text)


@builtin("regex.is_valid")
def is_valid(pattern: Value) -> bool:
    """Whether the value is a string that is a pattern."""
    if type(pattern) is not str:
        return False
    try:
        compiled("regex.is_valid", pattern)
    except BuiltinError:
        return False
    return True


@builtin("regex.split")
def split(pattern: Value, text: Value) -> list[str]:
    """The parts of the text between the places where the pattern is found."""
    made = compiled("regex.split", string("regex.split", 1, pattern))
    source = octets("regex.split", string("regex.split", 2, text))
    if not source and pattern:
        return [""]
    parts: list[bytes] = []
    begin = end = 0
    for spans in _all("regex.split", made, source, -1):
        end = spans[0][0]
        if spans[0][1]:
            parts.append(source[begin:end])
        begin = spans[0][1]
    if end != len(source):
        parts.append(source[begin:])
    return [part.decode() for part in parts]


@builtin("regex.find_n")
def find_n(pattern: Value, text: Value, count: Value) -> list[str]:
    """The first so many places of the text where the pattern is found; all if the number is negative."""
    made = compiled("regex.find_n", string("regex.find_n", 1, pattern))
    source = octets("regex.find_n", string("regex.find_n", 2, text))
    most = machine("regex.find_n", 3, count)
    return [source[begin:end].decode() for (begin, end), *_ in _all("regex.find_n", made, source, most)]


@builtin("regex.find_all_string_submatch_n")
def find_all_string_submatch_n(pattern: Value, text: Value, count: Value) -> list[list[str]]:
    """As `regex.find_n`, each place with what its groups found; a group that found nothing is empty."""
    name = "regex.find_all_string_submatch_n"
    made = compiled(name, string(name, 1, pattern))
    source = octets(name, string(name, 2, text))
    return [
        [source[begin:end].decode() if begin >= 0 else "" for begin, end in spans]
        for spans in _all(name, made, source, machine(name, 3, count))
    ]


@builtin("regex.replace")
def replace(text: Value, pattern: Value, value: Value) -> str:
    """The text with each place where the pattern is found replaced; ``$1`` and ``${name}`` stand for groups."""
    name = "regex.replace"
    source = octets(name, string(name, 1, text))
    made = compiled(name, string(name, 2, pattern))
    template = list(_template(string(name, 3, value), made))
    parts: list[bytes] = []
    size = last = 0
    for spans in _all(name, made, source, -1):
        begin, end = spans[0]
        parts.append(source[last:begin])
        for piece in template:
            if isinstance(piece, bytes):
                parts.append(piece)
            elif spans[piece][0] >= 0:
                parts.append(source[slice(*spans[piece])])
            size += len(parts[-1])
        if size > MAX_TEXT:
            raise too_long(name)
        last = end
    return b"".join([*parts, source[last:]]).decode()


@builtin("regex.template_match")
def template_match(template: Value, text: Value, start: Value, end: Value) -> bool:
    """Whether the whole text matches a template, in which patterns stand between two delimiters."""
    name = "regex.template_match"
    whole, found_in = string(name, 1, template), string(name, 2, text)
    opening, closing = string(name, 3, start), string(name, 4, end)
    if len(opening.encode(errors="replace")) != 1 or len(closing.encode(errors="replace")) != 1:
        raise BuiltinError(f"{name}: a delimiter must be one ASCII character.")
    return found(compiled(name, _from_template(whole, opening, closing)), found_in)


@lru_cache(maxsize=_CACHED)
def _compiled(pattern: str) -> Any:  # noqa: ANN401 - the package has no types
    try:
        import re2  # type: ignore[import-untyped,unused-ignore] # it has no types
    except ImportError:
        raise BuiltinError(f"A regular expression cannot be used: {MISSING}.") from None
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError) as fault:
        raise BuiltinError(f"The regular expression is invalid: {fault}.") from None


def compiled(name: str, pattern: str) -> Any:  # noqa: ANN401 - the package has no types
    """The compiled pattern; BuiltinError if it is none."""
    if len(pattern) > _MAX_PATTERN:
        raise LimitExceeded(f"{name}: the pattern is longer than {_MAX_PATTERN} characters.")
    if r"\C" in pattern and re.search(r"(?<!\\)(?:\\\\)*\\C", pattern):
        raise BuiltinError(f"{name}: the pattern matches single octets (\\C), which is not possible here.")
    return _compiled(pattern)


def found(made: Any, text: str) -> bool:  # noqa: ANN401 - the package has no types
    """Whether a compiled pattern is found in the text."""
    source = octets("regex", text)
    _bounded("regex", made, len(source))
    return made.search(source) is not None


def _bounded(name: str, made: Any, size: int) -> int:  # noqa: ANN401 - the package has no types
    work = int(made.programsize) * size
    if work > _MAX_WORK:
        raise LimitExceeded(f"{name}: the pattern is too large for a text of this length.")
    return work


def _all(
    name: str,
    made: Any,  # noqa: ANN401 - the package has no types
    source: bytes,
    most: int,
) -> Iterator[tuple[tuple[int, int], ...]]:
    """The spans of each match and its groups, as Go finds them: no empty match right after another match."""
    place, last, done, work = 0, -1, 0, 0
    while place <= len(source) and done != most:
        work += _bounded(name, made, len(source) - place)
        if work > _MAX_WORK:
            raise LimitExceeded(f"{name}: the pattern is found too often in a text of this length.")
        hit = made.search(source, place)
        if hit is None:
            return
        begin, end = hit.span()
        accepted = not (end == place and begin == last)
        place = _after(source, place) if end == place else end
        last = end
        if accepted:
            done += 1
            if done > MAX_ITEMS:
                raise too_many(name)
            yield ((begin, end), *(hit.span(group) for group in range(1, made.groups + 1)))


def _after(source: bytes, place: int) -> int:
    """The place of the next character."""
    place += 1
    while place < len(source) and source[place] & 0xC0 == 0x80:  # noqa: PLR2004 - the marks of a further octet in UTF-8
        place += 1
    return place


def _template(text: str, made: Any) -> Iterator[bytes | int]:  # noqa: ANN401 - the package has no types
    """The pieces of a replacement: octets, and numbers of groups."""
    before, dollar, rest = text.partition("$")
    yield before.encode(errors="replace")
    while dollar:
        if rest.startswith("$"):
            yield b"$"
            rest = rest[1:]
        else:
            braced = rest.startswith("{")
            named = _NAME.match(rest, int(braced))
            if named is None or (braced and rest[named.end() : named.end() + 1] != "}"):
                yield b"$"
            else:
                yield from _group(named.group(), made)
                rest = rest[named.end() + int(braced) :]
        before, dollar, rest = rest.partition("$")
        yield before.encode(errors="replace")


def _group(name: str, made: Any) -> Iterator[int]:  # noqa: ANN401 - the package has no types
    if name.isascii() and name.isdecimal() and (name == "0" or name[0] != "0"):
        if len(name) < 9 and int(name) <= made.groups:  # noqa: PLR2004 - what Go reads as a number
            yield int(name)
    elif name in made.groupindex:
        yield made.groupindex[name]


def _from_template(template: str, opening: str, closing: str) -> str:
    import re2

    parts, level, begin, done = ["^"], 0, 0, 0
    for place, character in enumerate(template):
        if character == opening:
            level += 1
            begin = place if level == 1 else begin
        elif character == closing:
            level -= 1
            if level == 0:
                inner = template[begin + 1 : place]
                compiled("regex.template_match", f"^{inner}$")
                parts += [re2.escape(template[done:begin]), "(", inner, ")"]
                done = place + 1
        if level < 0:
            break
    if level:
        raise BuiltinError("regex.template_match: the delimiters of the template are not balanced.")
    return "".join([*parts, re2.escape(template[done:]), "$"])
