"""Functions of addresses and networks, written in CIDR notation.

What Go's package net takes is an address here: no leading zeros, no zone (``%eth0``), and an IPv4 address written as
IPv6 (``::ffff:10.0.0.1``) is the IPv4 address.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final, NamedTuple

from companyos_sdk.rego.builtins.arguments import refuse, string, too_many
from companyos_sdk.rego.builtins.registry import builtin
from companyos_sdk.rego.errors import BuiltinError, LimitExceeded
from companyos_sdk.rego.limits import MAX_ITEMS, MAX_STEPS
from companyos_sdk.rego.values import Set, unkey

Value = Any

_MASK = re.compile("[0-9]{1,6}")
_LONGEST: Final = 64
"""Letters of an address with its mask; the longest has 49."""
_MAPPED: Final = 0xFFFF_0000_0000
"""Where IPv4 lies within IPv6."""
_BITS: Final = {4: 32, 6: 128}
_CLASSES: Final = ((0x8000_0000, 8), (0xC000_0000, 16), (0x1_0000_0000, 24))
"""Before which IPv4 address which mask is the usual one."""


class _Network(NamedTuple):
    family: int
    first: int
    last: int
    prefix: int
    as_ipv6: bool = False
    """Whether it was written as IPv6, although it is IPv4."""

    def holds(self, family: int, address: int) -> bool:
        return family == self.family and self.first <= address <= self.last


@builtin("net.cidr_contains")
def cidr_contains(network: Value, part: Value) -> bool:
    """Whether an address, or a whole other network, lies in the network."""
    outer = _network("net.cidr_contains", string("net.cidr_contains", 1, network))
    return _contains("net.cidr_contains", outer, string("net.cidr_contains", 2, part))


@builtin("net.cidr_contains_matches")
def cidr_contains_matches(networks: Value, parts: Value) -> Set:
    """The pairs of a network and an address or network in it, each named by its index, key or itself.

    Both arguments are a string, or an array, set or object of strings or of arrays that begin with one. Anything else
    holds no network, as in OPA.
    """
    name = "net.cidr_contains_matches"
    outer = _entries(name, 1, networks)
    inner = _entries(name, 2, parts) if outer else []
    if len(outer) * len(inner) > MAX_STEPS:
        raise LimitExceeded(f"{name}: more than {MAX_STEPS} pairs to compare.")
    matches = Set()
    for index, text in outer if inner else []:
        network = _network(name, string(name, 1, text))
        for other, part in inner:
            if _contains(name, network, string(name, 2, part)):
                matches.add([index, other])
                if len(matches) > MAX_ITEMS:
                    raise too_many(name)
    return matches


@builtin("net.cidr_intersects")
def cidr_intersects(left: Value, right: Value) -> bool:
    """Whether two networks share an address."""
    one = _network("net.cidr_intersects", string("net.cidr_intersects", 1, left))
    two = _network("net.cidr_intersects", string("net.cidr_intersects", 2, right))
    return one.holds(two.family, two.first) or two.holds(one.family, one.first)


@builtin("net.cidr_is_valid")
def cidr_is_valid(network: Value) -> bool:
    """Whether the argument is a network in CIDR notation."""
    return type(network) is str and _parsed(network) is not None


@builtin("net.cidr_expand")
def cidr_expand(network: Value) -> Set:
    """All addresses of a network, the first and the last included."""
    found = _network("net.cidr_expand", string("net.cidr_expand", 1, network))
    if found.last - found.first >= MAX_ITEMS:
        raise too_many("net.cidr_expand")
    return Set(_text(found.family, address) for address in range(found.first, found.last + 1))


@builtin("net.cidr_merge")
def cidr_merge(networks: Value) -> Set:
    """The fewest networks with the same addresses. A bare IPv4 address counts with the mask of its class, as in OPA."""
    name = "net.cidr_merge"
    if type(networks) is not list and type(networks) is not Set:
        refuse(name, 1, networks, "an array or a set of strings")
    if len(networks) > MAX_ITEMS:
        raise too_many(name)
    found = [_merged_range(string(name, 1, text)) for text in networks]
    ranges = sorted(found, key=lambda item: (item.last, item.first))
    merged: list[_Range] = []
    for item in reversed(ranges):
        above = merged[-1] if merged else None
        if above is not None and _before(above.first) <= item.last:
            merged[-1] = _Range(min(above.first, item.first), above.last, None)
        else:
            merged.append(item)
    return Set(text for item in merged for text in ([item.text] if item.text else _covering(item)))


class _Range(NamedTuple):
    first: int
    last: int
    """Both as IPv6, where IPv4 has its own place."""
    text: str | None
    """As it is printed while it is merged with nothing."""


def _entries(name: str, position: int, value: Value) -> list[tuple[Value, Value]]:
    if type(value) is str:
        return [(value, value)]
    if type(value) is list:
        return [(index, _entry(name, position, item)) for index, item in enumerate(value)]
    if type(value) is Set:
        return [(item, _entry(name, position, item)) for item in value]
    if type(value) is dict:
        return [(unkey(made), _entry(name, position, item)) for made, item in value.items()]
    return []


def _entry(name: str, position: int, value: Value) -> Value:
    if type(value) is list and value:
        return value[0]
    return string(name, position, value)


def _contains(name: str, outer: _Network, text: str) -> bool:
    alone = _address(text)
    if alone is not None:
        return outer.holds(*alone)
    inner = _network(name, text)
    return outer.holds(inner.family, inner.first) and outer.holds(inner.family, inner.last)


def _network(name: str, text: str) -> _Network:
    found = _parsed(text)
    if found is None:
        raise BuiltinError(f"{name}: {text[:_LONGEST]!r} is no network in CIDR notation, like 10.0.0.0/8.")
    return found


def _parsed(text: str) -> _Network | None:
    return _read(text) if len(text) <= _LONGEST else None


@lru_cache(maxsize=1024)
def _read(text: str) -> _Network | None:
    before, slash, mask = text.partition("/")
    written = _written(before)
    if not slash or written is None or _MASK.fullmatch(mask) is None or int(mask) > _BITS[written[0]]:
        return None
    family, address = written
    prefix = int(mask)
    hosts = (1 << (_BITS[family] - prefix)) - 1
    first = address & ~hosts
    if family == 6 and first >> 32 == _MAPPED >> 32:  # noqa: PLR2004 - IPv6
        first &= 0xFFFF_FFFF
        return _Network(4, first, first | hosts, prefix - 96, as_ipv6=True)
    return _Network(family, first, first | hosts, prefix)


def _address(text: str) -> tuple[int, int] | None:
    """The family and the number of an address; one that is IPv4 within IPv6 is IPv4."""
    written = _written(text) if len(text) <= _LONGEST else None
    if written is not None and written[0] == 6 and written[1] >> 32 == _MAPPED >> 32:  # noqa: PLR2004 - IPv6
        return 4, written[1] & 0xFFFF_FFFF
    return written


@lru_cache(maxsize=1024)
def _written(text: str) -> tuple[int, int] | None:
    if "%" in text or not text.isascii():
        return None
    try:
        return (6, int(IPv6Address(text))) if ":" in text else (4, int(IPv4Address(text)))
    except ValueError:
        return None


def _text(family: int, address: int) -> str:
    return str(IPv4Address(address)) if family == 4 else str(IPv6Address(address))  # noqa: PLR2004 - IPv4


def _merged_range(text: str) -> _Range:
    alone = _address(text)
    if alone is not None:
        family, address = alone
        if family != 4:  # noqa: PLR2004 - IPv4
            raise BuiltinError(f"net.cidr_merge: the IPv6 address {text!r} needs a prefix length.")
        prefix = next(prefix for first, prefix in _CLASSES if address < first)
        hosts = (1 << (32 - prefix)) - 1
        return _Range(_MAPPED | address & ~hosts, _MAPPED | address | hosts, f"{_text(4, address)}/{prefix}")
    found = _network("net.cidr_merge", text)
    if found.as_ipv6:
        raise BuiltinError(f"net.cidr_merge: write {text!r} as IPv4.")
    moved = _MAPPED if found.family == 4 else 0  # noqa: PLR2004 - IPv4
    return _Range(moved | found.first, moved | found.last, f"{_text(found.family, found.first)}/{found.prefix}")


def _is_ipv4(address: int) -> bool:
    return address >> 32 == _MAPPED >> 32


def _before(address: int) -> int:
    return address if address in {0, _MAPPED} else address - 1


def _covering(item: _Range) -> list[str]:
    """The networks that make up a range."""
    if _is_ipv4(item.first) != _is_ipv4(item.last):
        raise BuiltinError("net.cidr_merge: IPv4 and IPv6 networks touch; merge them apart from each other.")
    if _is_ipv4(item.first):
        return [
            f"{_text(4, first & 0xFFFF_FFFF)}/{32 - bits}"
            for first, bits in _blocks(item.first & 0xFFFF_FFFF, item.last & 0xFFFF_FFFF)
        ]
    made = _blocks(item.first, item.last)
    if any(_is_ipv4(first) for first, _ in made):
        raise BuiltinError("net.cidr_merge: IPv4 and IPv6 networks touch; merge them apart from each other.")
    return [f"{_text(6, first)}/{128 - bits}" for first, bits in made]


def _blocks(first: int, last: int) -> list[tuple[int, int]]:
    """The fewest aligned blocks from first to last, each as its first address and the bits that vary in it."""
    made: list[tuple[int, int]] = []
    while first <= last:
        bits = (last - first + 1).bit_length() - 1
        if first:
            bits = min(bits, (first & -first).bit_length() - 1)
        made.append((first, bits))
        first += 1 << bits
    return made
