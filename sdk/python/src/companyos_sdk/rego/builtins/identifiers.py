"""Functions of identifiers."""

from __future__ import annotations

import re
from typing import Any, Final

from companyos_sdk.rego.builtins.arguments import string
from companyos_sdk.rego.builtins.registry import builtin
from companyos_sdk.rego.values import UNDEFINED

Value = Any

_HEX: Final = "[0-9A-Fa-f]"
_DASHED: Final = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
_FORMS = re.compile(f"(?:[uU][rR][nN]:[uU][uU][iI][dD]:)?({_DASHED})|.({_DASHED}).|({_HEX}{{32}})", re.DOTALL)
_SINCE_1582: Final = 122_192_928_000_000_000
"""Steps of 100 ns from the beginning of the Gregorian calendar, which UUIDs count from, to 1970."""
_DOMAINS: Final = ("Person", "Group", "Org")
_WITH_TIME: Final = (1, 2)
_OF_DCE: Final = 2


@builtin("uuid.parse")
def parse(text: Value) -> Value:
    """What a UUID says about itself: ``version`` and ``variant``, and for 1 and 2 when and where it was made.

    Undefined for what is no UUID. Like OPA it takes the usual form, ``urn:uuid:``, braces and 32 digits.
    """
    name = string("uuid.parse", 1, text)
    found = _FORMS.fullmatch(name)
    if found is None or (found[2] and not _in_ascii(name)):
        return UNDEFINED
    raw = bytes.fromhex((found[1] or found[2] or found[3]).replace("-", ""))
    version = raw[6] >> 4
    made: dict[Value, Value] = {"version": version, "variant": _variant(raw[8])}
    if version in _WITH_TIME:
        made["time"] = _time(raw)
        made["nodeid"] = raw[10:].hex("-")
        made["macvariables"] = ("local:" if raw[10] & 2 else "global:") + ("multicast" if raw[10] & 1 else "unicast")
        made["clocksequence"] = int.from_bytes(raw[8:10], "big") & 0x3FFF
    if version == _OF_DCE:
        made["id"] = int.from_bytes(raw[:4], "big")
        made["domain"] = _DOMAINS[raw[9]] if raw[9] < len(_DOMAINS) else f"Domain{raw[9]}"
    return made


def _in_ascii(name: str) -> bool:
    return name.isascii()


def _variant(byte: int) -> str:
    if byte & 0xC0 == 0x80:  # noqa: PLR2004 - bits of RFC 4122, as below
        return "RFC4122"
    if byte & 0xE0 == 0xC0:  # noqa: PLR2004 - see above
        return "Microsoft"
    return "Future" if byte & 0xE0 == 0xE0 else "Reserved"  # noqa: PLR2004 - see above


def _time(raw: bytes) -> int:
    steps = int.from_bytes(raw[:4], "big") | int.from_bytes(raw[4:6], "big") << 32
    steps |= (int.from_bytes(raw[6:8], "big") & 0xFFF) << 48
    # OPA counts in 64 bits, which run over for times far from now.
    return ((steps - _SINCE_1582) * 100 + 2**63) % 2**64 - 2**63
