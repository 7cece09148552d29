"""Functions of strings. A position counts characters (code points), as in OPA."""

from __future__ import annotations

import re
from typing import Any, Final

from companyos_sdk.rego.builtins.arguments import (
    impossible,
    machine,
    mapping,
    refuse,
    string,
    strings,
    too_long,
    too_many,
)
from companyos_sdk.rego.builtins.registry import builtin
from companyos_sdk.rego.errors import BuiltinError, LimitExceeded
from companyos_sdk.rego.limits import MAX_ITEMS, MAX_TEXT
from companyos_sdk.rego.values import Set

Value = Any

_SPACE: Final = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
"""What Unicode calls white space; Python's own `strip` takes four control characters more."""
_MAX_COMPARISONS: Final = 50_000_000
"""Characters compared while one function looks for many places or many words."""


@builtin("concat")
def concat(separator: Value, parts: Value) -> str:
    """The strings of an array or a set in one, with the separator between them."""
    between = string("concat", 1, separator)
    found = strings("concat", 2, parts)
    if sum(map(len, found)) + len(between) * len(found) > MAX_TEXT:
        raise too_long("concat")
    return between.join(found)


@builtin("contains")
def contains(text: Value, part: Value) -> bool:
    """Whether the second string occurs in the first."""
    if type(text) is str and type(part) is str:
        return part in text
    return string("contains", 2, part) in string("contains", 1, text)


@builtin("startswith")
def startswith(text: Value, part: Value) -> bool:
    """Whether the first string begins with the second."""
    if type(text) is str and type(part) is str:
        return text.startswith(part)
    return string("startswith", 1, text).startswith(string("startswith", 2, part))


@builtin("endswith")
def endswith(text: Value, part: Value) -> bool:
    """Whether the first string ends with the second."""
    if type(text) is str and type(part) is str:
        return text.endswith(part)
    return string("endswith", 1, text).endswith(string("endswith", 2, part))


@builtin("indexof")
def indexof(text: Value, part: Value) -> int:
    """Where the second string first occurs in the first; -1 if nowhere."""
    return string("indexof", 1, text).find(_sought("indexof", part))


@builtin("indexof_n")
def indexof_n(text: Value, part: Value) -> list[int]:
    """All places where the second string occurs in the first, which may overlap."""
    whole, sought = string("indexof_n", 1, text), _sought("indexof_n", part)
    found: list[int] = []
    place = whole.find(sought)
    while place >= 0:
        found.append(place)
        if len(found) > MAX_ITEMS or len(found) * len(sought) > _MAX_COMPARISONS:
            raise too_many("indexof_n")
        place = whole.find(sought, place + 1)
    return found


@builtin("lower")
def lower(text: Value) -> str:
    """The string in lower case, character by character."""
    found = string("lower", 1, text)
    return found.lower() if found.isascii() else "".join(map(_lower, found))


@builtin("upper")
def upper(text: Value) -> str:
    """The string in upper case, character by character."""
    found = string("upper", 1, text)
    return found.upper() if found.isascii() else "".join(map(_upper, found))


@builtin("replace")
def replace(text: Value, old: Value, new: Value) -> str:
    """The first string with each occurrence of the second replaced by the third."""
    found, sought = string("replace", 1, text), string("replace", 2, old)
    instead = string("replace", 3, new)
    if not sought and not found.isascii():
        raise impossible("replace", "an empty string cannot be replaced in a text that is not ASCII")
    if len(instead) > len(sought) and len(found) + found.count(sought) * len(instead) > MAX_TEXT:
        raise too_long("replace")
    return found.replace(sought, instead)


@builtin("strings.replace_n")
def replace_n(patterns: Value, text: Value) -> str:
    """The string with each occurrence of a key of the object replaced by its value, smaller keys first."""
    pairs = mapping("strings.replace_n", 1, patterns)
    found = string("strings.replace_n", 2, text)
    for old, new in pairs.items():
        if type(old) is not str or type(new) is not str:
            raise BuiltinError("strings.replace_n: keys and values of argument 1 must be strings.")
    if "" in pairs:
        raise impossible("strings.replace_n", "an empty string cannot be replaced")
    if not pairs:
        return found
    if len(found) * len(pairs) > _MAX_COMPARISONS or sum(map(len, pairs)) > MAX_TEXT:
        raise LimitExceeded("strings.replace_n: too many patterns for a text of this length.")
    made = re.compile("|".join(map(re.escape, sorted(pairs))))
    grown = sum(len(pairs[match.group()]) for match in made.finditer(found))
    if grown > MAX_TEXT:
        raise too_long("strings.replace_n")
    return made.sub(lambda match: pairs[match.group()], found)


@builtin("split")
def split(text: Value, separator: Value) -> list[str]:
    """The parts of the string between the separators; its characters if the separator is empty."""
    found, between = string("split", 1, text), string("split", 2, separator)
    made = found.split(between, MAX_ITEMS) if between else list(found)
    if len(made) > MAX_ITEMS:
        raise too_many("split")
    return made


@builtin("substring")
def substring(text: Value, offset: Value, length: Value) -> str:
    """At most `length` characters from the offset on; all of them if the length is negative."""
    found = string("substring", 1, text)
    start, size = machine("substring", 2, offset), machine("substring", 3, length)
    if start < 0:
        raise BuiltinError("substring: argument 2, the offset, is negative.")
    return found[start:] if size < 0 else found[start : start + size]


@builtin("strings.count")
def count(text: Value, part: Value) -> int:
    """How often the second string occurs in the first without overlapping."""
    return string("strings.count", 1, text).count(string("strings.count", 2, part))


@builtin("strings.reverse")
def reverse(text: Value) -> str:
    """The characters from the last to the first."""
    return string("strings.reverse", 1, text)[::-1]


@builtin("strings.any_prefix_match")
def any_prefix_match(texts: Value, prefixes: Value) -> bool:
    """Whether one of the strings begins with one of the others."""
    ends = tuple(_one_or_more("strings.any_prefix_match", 2, prefixes))
    return any(text.startswith(ends) for text in _one_or_more("strings.any_prefix_match", 1, texts))


@builtin("strings.any_suffix_match")
def any_suffix_match(texts: Value, suffixes: Value) -> bool:
    """Whether one of the strings ends with one of the others."""
    ends = tuple(_one_or_more("strings.any_suffix_match", 2, suffixes))
    return any(text.endswith(ends) for text in _one_or_more("strings.any_suffix_match", 1, texts))


@builtin("trim")
def trim(text: Value, characters: Value) -> str:
    """The string without these characters at both ends."""
    return string("trim", 1, text).strip(string("trim", 2, characters))


@builtin("trim_left")
def trim_left(text: Value, characters: Value) -> str:
    """The string without these characters at its beginning."""
    return string("trim_left", 1, text).lstrip(string("trim_left", 2, characters))


@builtin("trim_right")
def trim_right(text: Value, characters: Value) -> str:
    """The string without these characters at its end."""
    return string("trim_right", 1, text).rstrip(string("trim_right", 2, characters))


@builtin("trim_prefix")
def trim_prefix(text: Value, part: Value) -> str:
    """The string without the second one at its beginning."""
    return string("trim_prefix", 1, text).removeprefix(string("trim_prefix", 2, part))


@builtin("trim_suffix")
def trim_suffix(text: Value, part: Value) -> str:
    """The string without the second one at its end."""
    return string("trim_suffix", 1, text).removesuffix(string("trim_suffix", 2, part))


@builtin("trim_space")
def trim_space(text: Value) -> str:
    """The string without white space at both ends."""
    return string("trim_space", 1, text).strip(_SPACE)


def _sought(name: str, part: Value) -> str:
    if not (found := string(name, 2, part)):
        raise BuiltinError(f"{name}: argument 2 is empty.")
    return found


def _one_or_more(name: str, position: int, value: Value) -> list[str]:
    if type(value) is str:
        return [value]
    if type(value) is not list and type(value) is not Set:
        refuse(name, position, value, "a string, or an array or a set of strings")
    return strings(name, position, value)


def _lower(character: str) -> str:
    made = character.lower()
    return made if len(made) == 1 else made[0]


def _upper(character: str) -> str:
    """The one character that Unicode maps it to; where the full mapping is longer, the title case often has it."""
    for made in (character.upper(), character.title()):
        if len(made) == 1:
            return made
    return character
