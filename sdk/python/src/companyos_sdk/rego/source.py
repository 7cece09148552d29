"""Rego source before regopy sees it: what it takes that OPA refuses, and what it would silently leave out.

regopy 1.5.2 drops a `with` whose value is a reference (`with input.a as input.b`), but keeps one whose value is a call.
So such a value is written as one, in the same row: `object.get({"v": input.b}, "v", null)`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise
from typing import Final, NamedTuple

from companyos_sdk.rego.builtins import OUTSIDE, TABLE
from companyos_sdk.rego.errors import CompileError

_TOKEN: Final = re.compile(
    r"""(?P<blank>[ \t\r]+|\#[^\n]*)|(?P<line>\n)|(?P<text>"(?:\\.|[^"\\\n])*"|`[^`]*`)"""
    r"""|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<other>:=|==|!=|<=|>=|[^\s])"""
)
_CONSTANTS: Final = frozenset({"true", "false", "null"})
_FUNCTION: Final = re.compile(r"(?:default\s+)?([A-Za-z_][\w.]*)\(")
_RULE: Final = re.compile(r"(?:default\s+)?([A-Za-z_]\w*)\b(?!\()")
_IMPORT: Final = re.compile(r"import\s.*?(\w+)\s*(?:#.*)?$")
_ROOTS: Final = frozenset({"input", "data"})
_ENDS: Final = frozenset({"", "\n", ";", "}", "]", ")", ",", "with", "else"})
_CLOSING: Final = {"(": ")", "[": "]", "{": "}"}


class Token(NamedTuple):
    """A word or sign with its place; line ends are tokens, blanks and comments are not."""

    kind: str
    text: str
    start: int
    end: int


def prepared(modules: Mapping[str, str]) -> dict[str, str]:
    """The modules as regopy shall see them; raises CompileError for syntax that only regopy takes."""
    lines = [line for source in modules.values() for line in source.split("\n")]
    functions = {found[1].rpartition(".")[2] for line in lines if (found := _FUNCTION.match(line)) is not None}
    rules = {found[1] for line in lines if (found := _RULE.match(line)) is not None}
    rules |= {found[1] for line in lines if (found := _IMPORT.match(line)) is not None}
    return {name: _prepared(name, source, functions, rules) for name, source in modules.items()}


def tokens(source: str) -> list[Token]:
    """The tokens of a module; what is no token, such as an unfinished string, is one of one character."""
    made: list[Token] = []
    at = 0
    while at < len(source):
        if source.startswith(('$"', "$`"), at):
            end = _end_of_template(source, at + 1)
            made.append(Token("text", source[at:end], at, end))
            at = end
            continue
        found = _TOKEN.match(source, at)
        if found is None:  # no character is left out of the pattern, but blanks that Rego does not know
            at += 1
            continue
        if found.lastgroup != "blank":
            made.append(Token(found.lastgroup or "", found[0], found.start(), found.end()))
        at = found.end()
    return made


def _end_of_template(source: str, at: int) -> int:
    """Behind the string with expressions that begins at this quotation mark; strings in expressions may be such too."""
    quotes: list[str] = [source[at]]
    at += 1
    while at < len(source) and quotes:
        sign = source[at]
        if quotes[-1] == "{":
            if sign in '"`{':
                quotes.append(sign)
            elif sign == "}":
                quotes.pop()
        elif sign == "\\" and (quotes[-1] == '"' or source[at + 1 : at + 2] == "{"):
            at += 1
        elif sign == quotes[-1]:
            quotes.pop()
        elif sign == "{":
            quotes.append(sign)
        at += 1
    return at


def _prepared(file: str, source: str, functions: Collection[str], rules: Collection[str]) -> str:
    found = tokens(source)
    _check_heads(file, source, found)
    for before, word, sign in zip([Token("line", "\n", 0, 0), *found], found, found[1:], strict=False):
        if sign.text == ":=" and word.text in _ROOTS and before.text != ".":
            raise _error(file, source, word, f"{word.text} is given; a variable needs another name.")
    parts: list[str] = []
    done = 0
    for target, begin, end in _references(found):
        first, last = found[begin], found[end - 1]
        name = "".join(each.text for each in found[begin:end])
        if name in TABLE or name in OUTSIDE or last.text in functions or name in _CONSTANTS:
            continue  # another function, or nothing that is looked up
        if end == begin + 1 and name not in rules and name not in _ROOTS:
            continue  # a variable, which regopy keeps
        if target.text not in _ROOTS:
            if {each.text for each in found[begin:end]} & _ROOTS:
                raise _error(file, source, first, "Give the value of this `with` a name in the line above.")
            continue
        start, stop = first.start, last.end
        parts += [source[done:start], 'object.get({"v": ', source[start:stop], '}, "v", null)']
        done = stop
    return "".join([*parts, source[done:]])


def _references(found: list[Token]) -> Iterator[tuple[Token, int, int]]:
    """The first word behind each `with`, and where its value begins and ends, if that is a reference."""
    for at, token in enumerate(found):
        if token.text != "as" or token.kind != "name" or (target := _behind_with(found, at)) is None:
            continue
        begin = _next(found, at + 1)
        end = _end_of_reference(found, begin)
        following = found[end].text if end < len(found) else ""
        if end != begin and following in _ENDS:
            yield target, begin, end


def _behind_with(found: list[Token], at: int) -> Token | None:
    """The first word behind the `with` that an `as` belongs to, or None where that is an import."""
    at -= 1
    while at > 0 and found[at].text not in {"with", "import", ";", "{", "}"}:
        at -= 1
    return found[at + 1] if at > 0 and found[at].text == "with" and found[at - 1].text != "." else None


def is_call(found: list[Token]) -> bool:
    """Whether these tokens begin with a call that is an expression of its own."""
    at = _end_of_reference(found, 0)
    if at == 0 or at >= len(found) or found[at].text != "(":
        return False
    at = _balanced(found, at)
    return at >= len(found) or found[at].text in _ENDS


def _next(found: list[Token], at: int) -> int:
    while at < len(found) and found[at].kind == "line":
        at += 1
    return at


def _end_of_reference(found: list[Token], at: int) -> int:
    """Behind a reference, or something in parentheses, that begins here; here itself where there is none."""
    if at >= len(found):
        return at
    if found[at].text == "(":
        return _balanced(found, at)
    if found[at].kind != "name":
        return at
    at += 1
    while at < len(found) and found[at - 1].end == found[at].start:
        if found[at].text == "." and at + 1 < len(found) and found[at + 1].kind == "name":
            at += 2
        elif found[at].text == "[":
            at = _balanced(found, at)
        else:
            break
    return at


def _balanced(found: list[Token], at: int) -> int:
    """Behind the bracket that closes the one here."""
    open_brackets: list[str] = []
    while at < len(found):
        text = found[at].text
        if found[at].kind == "other" and text in _CLOSING:
            open_brackets.append(_CLOSING[text])
        elif open_brackets and text == open_brackets[-1]:
            open_brackets.pop()
            if not open_brackets:
                return at + 1
        at += 1
    return at


def _check_heads(file: str, source: str, found: list[Token]) -> None:
    """Refuse bodies without `if`: Rego before OPA 1.0, which a stock OPA does not take."""
    depth = 0
    for before, token in pairwise([Token("line", "\n", 0, 0), *found]):
        if token.kind != "other":
            continue
        if token.text == "{" and depth == 0 and before.kind != "line" and before.text not in _BEFORE_BRACES:
            raise _error(file, source, token, "The body of a rule needs `if` in front of it.")
        if token.text in _CLOSING:
            depth += 1
        elif token.text in {")", "]", "}"}:
            depth -= 1


_BEFORE_BRACES: Final = frozenset({"if", "contains", "in", ":=", "=", "==", "!=", "<", ">", "<=", ">=", *"|&-+*/%,:"})
"""What a brace outside of brackets may follow that begins an object, a set or a body."""


def _error(file: str, source: str, token: Token, message: str) -> CompileError:
    before = source[: token.start]
    return CompileError(message, file=file, row=before.count("\n") + 1, col=len(before) - before.rfind("\n"))
