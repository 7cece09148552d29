"""`sprintf` and template strings, written as Go writes them."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any, Final

from companyos_sdk.rego.builtins.arguments import array, impossible, no_longer, string, too_long
from companyos_sdk.rego.builtins.registry import builtin
from companyos_sdk.rego.builtins.texts import Writer, number_text, quoted, shown
from companyos_sdk.rego.values import Set

Value = Any

_VERB: Final = re.compile(r"%([+\-# 0]*)(\*|[0-9]*)(?:(\.)(\*|[0-9]*))?(.?)", re.DOTALL)
_MAX_WIDTH: Final = 100_000
_MACHINE: Final = 2**63
_SHORTEST: Final = 6
"""The exponent from which on Go writes one when it writes as few digits as possible."""
_INTEGERS: Final = {"d": "d", "b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}


@builtin("sprintf")
def sprintf(template: Value, values: Value) -> str:
    """The template with a value for each verb such as ``%d``, ``%v``, ``%-10s`` or ``%.2f``."""
    return _Printer(array("sprintf", 2, values)).printed(string("sprintf", 1, template))


@builtin("internal.template_string")
def template_string(parts: Value) -> str:
    """The parts of a template string in one; a part is a string, a scalar, or a set with at most one value."""
    writer = Writer("template string")
    for part in array("template string", 1, parts):
        if type(part) is str:
            writer.add(part)
        elif type(part) is Set:
            found = list(part)
            if len(found) > 1:
                raise impossible("template string", "a part has several values")
            item = found[0] if found else "<undefined>"
            writer.add(item if type(item) is str else shown("template string", item))
        elif type(part) in (list, dict):
            raise impossible("template string", "a part is no set and no scalar")
        else:
            writer.add(shown("template string", part))
    return writer.text()


class _Flags:
    """What stands between the ``%`` and its verb."""

    def __init__(self, flags: str) -> None:
        self.plus, self.sharp, self.space = "+" in flags, "#" in flags, " " in flags
        self.minus = "-" in flags
        self.zero = "0" in flags and not self.minus
        self.width: int | None = None
        self.precision: int | None = None

    def padded(self, text: str) -> str:
        """The text, filled up with blanks on the side that the flags name."""
        if self.width is None or len(text) >= self.width:
            return text
        return text.ljust(self.width) if self.minus else text.rjust(self.width, "0" if self.zero else " ")

    def number(self, sign: str, text: str) -> str:
        """The digits with their sign, filled up with zeros after it where a flag asks for them."""
        if self.zero and self.width is not None:
            text = text.rjust(self.width - len(sign), "0")
        width = self.width or 0
        return (sign + text).ljust(width) if self.minus else (sign + text).rjust(width)


class _Printer:
    """One call: the arguments, and which one is next."""

    def __init__(self, values: list[Value]) -> None:
        self.values = values
        self.next = 0

    def printed(self, template: str) -> str:
        """The whole text."""
        writer = Writer("sprintf")
        place = 0
        while (percent := template.find("%", place)) >= 0:
            writer.add(template[place:percent])
            found = _VERB.match(template, percent)
            if found is None or template[percent + 1 : percent + 2] == "[" or found.group(5) == "[":
                raise impossible("sprintf", "a verb that names its argument, %[1]d, is not supported")
            place = found.end()
            writer.add(self._verb(found))
        writer.add(template[place:])
        if self.next < len(self.values):
            rest = ", ".join(f"{_kind(value)}={_shown(value)}" for value in map(_argument, self.values[self.next :]))
            writer.add(f"%!(EXTRA {rest})")
        return writer.text()

    def _verb(self, found: re.Match[str]) -> str:
        letters, width, dot, precision, verb = found.groups()
        flags = _Flags(letters)
        if "*" in (width, precision):
            raise impossible("sprintf", "a width or precision of * is not supported")
        if width:
            flags.width = _size(width)
        if dot:
            flags.precision = _size(precision or "0")
        if not verb:
            return "%!(NOVERB)"
        if verb == "%":
            return "%"
        if self.next >= len(self.values):
            return f"%!{verb}(MISSING)"
        value = _argument(self.values[self.next])
        self.next += 1
        return _formatted(flags, verb, value)


def _size(digits: str) -> int:
    if int(digits[:9]) > _MAX_WIDTH:
        raise too_long("sprintf")
    return int(digits[:9])


def _argument(value: Value) -> Value:
    """What Go gets: a number, or a string, which stands for everything else."""
    if type(value) is str or type(value) is int:
        return value
    if type(value) is float:
        number_text("sprintf", value)
        return value
    return shown("sprintf", value)


def _kind(value: Value) -> str:
    if type(value) is str:
        return "string"
    if type(value) is float:
        return "float64"
    return "int" if -_MACHINE <= value < _MACHINE else "*big.Int"


def _shown(value: Value) -> str:
    return value if isinstance(value, str) else _general(value) if isinstance(value, float) else str(value)


def _formatted(flags: _Flags, verb: str, value: Value) -> str:
    if verb == "T":
        return flags.padded(_kind(value))
    if verb == "v":
        if flags.sharp:
            raise impossible("sprintf", "%#v is not supported")
        verb = "s" if isinstance(value, str) else "g" if isinstance(value, float) else "d"
    if isinstance(value, str):
        return _string(flags, verb, value)
    if isinstance(value, float):
        return _float(flags, verb, value)
    return _integer(flags, verb, value)


def _bad(verb: str, value: Value) -> str:
    """What Go writes when a verb does not fit its value."""
    if isinstance(value, int) and not -_MACHINE <= value < _MACHINE:
        return f"%!{verb}(big.Int={value})"
    return f"%!{verb}({_kind(value)}={_shown(value)})"


def _string(flags: _Flags, verb: str, value: str) -> str:
    if flags.zero and flags.width:
        raise impossible("sprintf", "a string filled up with zeros is not supported")
    cut = value if flags.precision is None else value[: flags.precision]
    if verb == "s":
        return no_longer("sprintf", flags.padded(cut))
    if verb == "q":
        if flags.sharp and "`" not in cut and cut.isprintable():
            return flags.padded(f"`{cut}`")
        return flags.padded(_ascii(quoted(cut)) if flags.plus else quoted(cut))
    if verb in "xX":
        octets = value.encode(errors="replace")[: flags.precision]
        made = octets.hex(" ") if flags.space else octets.hex()
        if flags.sharp and made:
            made = " ".join("0x" + pair for pair in made.split(" "))
        return flags.padded(made if verb == "x" else made.upper())
    return _bad(verb, value)


def _ascii(text: str) -> str:
    return "".join(
        character
        if character.isascii()
        else f"\\u{ord(character):04x}"
        if ord(character) < 0x10000  # noqa: PLR2004 - what four digits hold
        else f"\\U{ord(character):08x}"
        for character in text
    )


def _integer(flags: _Flags, verb: str, value: int) -> str:
    big = not -_MACHINE <= value < _MACHINE
    sign = "-" if value < 0 else "+" if flags.plus else " " if flags.space else ""
    if big and verb == "s":
        verb = "d"
    if verb in _INTEGERS:
        number_text("sprintf", value)
        digits = format(abs(value), _INTEGERS[verb])
        if flags.precision is not None:
            digits = "" if flags.precision == 0 and not value else digits.rjust(flags.precision, "0")
            flags.zero = False
        if verb == "O" or (flags.sharp and verb in "box"):
            prefix = {"O": "0o", "b": "0b", "o": "" if digits.startswith("0") else "0", "x": "0x"}[verb]
            digits = prefix + digits
        elif flags.sharp and verb == "X":
            digits = "0X" + digits
        return no_longer("sprintf", flags.number(sign, digits))
    if verb in "cqU" and not big:
        return _character(flags, verb, value)
    return _bad(verb, value)


def _character(flags: _Flags, verb: str, value: int) -> str:
    character = chr(value) if 0 <= value <= 0x10FFFF and not 0xD800 <= value <= 0xDFFF else "\ufffd"  # noqa: PLR2004 - the characters of Unicode
    if verb == "c":
        return flags.padded(character)
    if verb == "U" and not flags.sharp and flags.precision is None and value >= 0:
        return flags.padded(f"U+{value:04X}")
    if verb == "q" and not flags.plus:
        inner = quoted(character)[1:-1].replace('\\"', '"').replace("'", "\\'")
        return flags.padded(f"'{inner}'")
    raise impossible("sprintf", f"%{verb} with these flags is not supported")


def _float(flags: _Flags, verb: str, value: float) -> str:
    if verb not in "eEfFgG":
        if verb in "bxX":
            raise impossible("sprintf", f"%{verb} of a number with a fraction is not supported")
        return _bad(verb, value)
    if flags.sharp:
        raise impossible("sprintf", f"%#{verb} is not supported")
    sign = "-" if math.copysign(1, value) < 0 else "+" if flags.plus else " " if flags.space else ""
    size = abs(value)
    precision = flags.precision
    if verb in "gG":
        text = _general(size) if precision is None else f"{size:.{precision or 1}g}"
    elif verb in "eE":
        text = f"{size:.{6 if precision is None else precision}e}"
    else:
        text = f"{size:.{6 if precision is None else precision}f}"
    return no_longer("sprintf", flags.number(sign, text.upper() if verb in "EG" else text))


def _general(value: float) -> str:
    """The shortest digits for a number, with an exponent below -4 and from 6 on."""
    sign = "-" if math.copysign(1, value) < 0 else ""
    found = Decimal(repr(abs(value))).as_tuple()
    digits = "".join(map(str, found.digits)).rstrip("0") or "0"
    exponent = len(found.digits) + int(found.exponent) - 1 if value else 0
    if -5 < exponent < _SHORTEST:  # noqa: PLR2004 - where Go starts to write an exponent
        whole = format(abs(Decimal(repr(value))), "f")
        return sign + (whole.rstrip("0").rstrip(".") if "." in whole else whole)
    fraction = f".{digits[1:]}" if digits[1:] else ""
    return f"{sign}{digits[0]}{fraction}e{exponent:+03d}"
