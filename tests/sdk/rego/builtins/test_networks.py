"""`net.*`: every expected value is OPA's own."""

from __future__ import annotations

from ipaddress import IPv4Network, collapse_addresses, ip_network
from typing import Any, Final, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos_sdk.rego.builtins import TABLE
from companyos_sdk.rego.errors import BuiltinError, LimitExceeded
from companyos_sdk.rego.values import Set, to_json


def call(name: str, *arguments: Any) -> Any:
    """What the function gives for these values."""
    return to_json(TABLE[name].function(*arguments))


VALUES: Final[list[tuple[str, tuple[Any, ...], Any]]] = [
    ("net.cidr_contains", ("10.0.0.0/8", "10.1.0.0/24"), True),
    ("net.cidr_contains", ("10.0.0.0/8", "10.1.2.3"), True),
    ("net.cidr_contains", ("10.0.0.0/8", "11.1.2.3"), False),
    ("net.cidr_contains", ("172.17.0.0/24", "172.17.0.0/16"), False),
    ("net.cidr_contains", ("10.255.255.255/8", "10.0.0.0"), True),
    ("net.cidr_contains", ("10.0.0.0/8", "::ffff:10.1.1.1"), True),
    ("net.cidr_contains", ("::ffff:10.0.0.0/104", "10.1.1.1"), True),
    ("net.cidr_contains", ("::/0", "10.1.1.1"), False),
    ("net.cidr_contains", ("0.0.0.0/0", "::1"), False),
    ("net.cidr_contains", ("10.0.0.0/08", "10.1.1.1"), True),
    ("net.cidr_contains", ("2001:4860:4860::8888/32", "2001:4860:4860:1234::8888/40"), True),
    ("net.cidr_contains", ("2001:4860::/96", "2001:4860::/32"), False),
    ("net.cidr_intersects", ("192.168.1.0/25", "192.168.1.64/25"), True),
    ("net.cidr_intersects", ("192.168.1.64/26", "192.168.0.0/16"), True),
    ("net.cidr_intersects", ("192.168.1.0/24", "192.168.2.0/24"), False),
    ("net.cidr_intersects", ("::/0", "0.0.0.0/0"), False),
    ("net.cidr_is_valid", ("10.0.0.0/8",), True),
    ("net.cidr_is_valid", ("10.0.0.0",), False),
    ("net.cidr_is_valid", ("10.0.0.0/33",), False),
    ("net.cidr_is_valid", ("010.0.0.0/8",), False),
    ("net.cidr_is_valid", ("fe80::1%eth0/64",), False),
    ("net.cidr_is_valid", ("10.0.0.0/+8",), False),
    ("net.cidr_is_valid", ("１0.0.0.0/8",), False),
    ("net.cidr_is_valid", (None,), False),
    ("net.cidr_expand", ("192.168.1.1/30",), ["192.168.1.0", "192.168.1.1", "192.168.1.2", "192.168.1.3"]),
    ("net.cidr_expand", ("255.255.255.255/32",), ["255.255.255.255"]),
    ("net.cidr_expand", ("2001:DB8::/127",), ["2001:db8::", "2001:db8::1"]),
    ("net.cidr_expand", ("::ffff:10.0.0.0/127",), ["10.0.0.0", "10.0.0.1"]),
    ("net.cidr_contains_matches", ("1.1.1.0/24", "1.1.1.1"), [["1.1.1.0/24", "1.1.1.1"]]),
    ("net.cidr_contains_matches", ([["1.1.2.0/24", 1], "1.1.1.0/24"], ["1.1.1.1", "1.1.2.1"]), [[0, 1], [1, 0]]),
    ("net.cidr_contains_matches", ({"a": "1.1.1.1/24", "b": ["2.0.0.0/8", 1]}, "1.1.1.9"), [["a", "1.1.1.9"]]),
    ("net.cidr_contains_matches", (Set([["1.1.1.0/24", "x"]]), Set(["1.1.1.1"])), [[["1.1.1.0/24", "x"], "1.1.1.1"]]),
    ("net.cidr_contains_matches", ([], ["nonsense"]), []),
    ("net.cidr_contains_matches", (1, ["1.1.1.1"]), []),
    ("net.cidr_merge", ([],), []),
    ("net.cidr_merge", (["192.0.128.0/24", "192.0.129.0/24"],), ["192.0.128.0/23"]),
    ("net.cidr_merge", (["192.0.129.0/24", "192.0.130.0/24"],), ["192.0.129.0/24", "192.0.130.0/24"]),
    ("net.cidr_merge", (["192.0.2.112/31", "192.0.2.116/31", "192.0.2.118/31"],), ["192.0.2.112/31", "192.0.2.116/30"]),
    ("net.cidr_merge", (["10.0.0.1"],), ["10.0.0.1/8"]),
    ("net.cidr_merge", (["10.0.0.1", "10.0.0.1"],), ["10.0.0.0/8"]),
    ("net.cidr_merge", (["192.0.2.112", "192.0.2.116/31"],), ["192.0.2.0/24"]),
    ("net.cidr_merge", (Set(["192.0.2.112/30", "192.0.2.116/31", "192.0.2.118/31"]),), ["192.0.2.112/29"]),
    ("net.cidr_merge", (["fe80::/120", "192.0.2.0/24", "192.0.3.0/24"],), ["192.0.2.0/23", "fe80::/120"]),
    ("net.cidr_merge", (["::/0", "fe80::1/128"],), ["::/0"]),
    ("net.cidr_merge", (["::/0", "10.0.0.0/8"],), ["::/0"]),
    ("net.cidr_merge", (["224.0.0.1"],), ["224.0.0.1/24"]),
]
ERRORS: Final[list[tuple[str, tuple[Any, ...]]]] = [
    ("net.cidr_contains", ("nonsense", "10.0.0.0")),
    ("net.cidr_contains", ("10.0.0.0/8", "nonsense")),
    ("net.cidr_contains", ("10.0.0.0", "10.0.0.0")),
    ("net.cidr_contains", ("10.0.0.0/8", None)),
    ("net.cidr_intersects", ("10.0.0.0/8", "10.0.0.0")),
    ("net.cidr_expand", ("10.0.0.0/33",)),
    ("net.cidr_merge", (["2001:db8::1"],)),
    ("net.cidr_merge", (["nonsense"],)),
    ("net.cidr_merge", ([1],)),
    ("net.cidr_merge", ({"a": "10.0.0.0/8"},)),
    ("net.cidr_contains_matches", (["1.1.1.0/24"], ["1.1.1.1", 1])),
    ("net.cidr_contains_matches", (["1.1.1.0/24"], [[]])),
    ("net.cidr_contains_matches", (["nonsense"], ["1.1.1.1"])),
]


@pytest.mark.parametrize(("name", "arguments", "expected"), VALUES)
def test_the_value_is_that_of_opa(name: str, arguments: tuple[Any, ...], expected: Any) -> None:
    """The function gives what OPA 1.21.3 gives for the same arguments."""
    assert call(name, *arguments) == expected


@pytest.mark.parametrize(("name", "arguments"), ERRORS)
def test_what_opa_refuses_is_an_error(name: str, arguments: tuple[Any, ...]) -> None:
    """Arguments that OPA refuses are an error that names the function."""
    with pytest.raises(BuiltinError, match=name):
        call(name, *arguments)


@pytest.mark.parametrize("network", ["10.0.0.0/8", "::/0", "0.0.0.0/0"])
def test_a_network_too_large_to_list_is_refused(network: str) -> None:
    """Listing is bounded, whatever the mask."""
    with pytest.raises(LimitExceeded, match="elements"):
        call("net.cidr_expand", network)


def test_too_many_pairs_are_refused_before_they_are_compared() -> None:
    """The work is bounded by the number of pairs."""
    with pytest.raises(LimitExceeded, match="pairs"):
        call("net.cidr_contains_matches", ["1.0.0.0/8"] * 2_000, ["1.1.1.1"] * 2_000)


def test_where_ipv4_and_ipv6_touch_nothing_is_guessed() -> None:
    """OPA mixes the families there; we refuse."""
    with pytest.raises(BuiltinError, match="touch"):
        call("net.cidr_merge", ["255.255.255.255/32", "::1:0:0:0/128"])


@given(st.lists(st.tuples(st.integers(0, 1_023), st.integers(22, 32)), max_size=12), st.booleans())
def test_merging_is_that_of_python(parts: list[tuple[int, int]], wide: bool) -> None:
    """Any networks merge into what `ipaddress` makes of them."""
    bits, base = (96, "2001:db8::") if wide else (0, "10.1.0.0")
    start = int(ip_network(base).network_address)
    made = [ip_network((start + offset, prefix + bits), strict=False) for offset, prefix in parts]
    networks = cast("list[IPv4Network]", made)  # or all IPv6; the two are never mixed here
    expected = {str(network) for network in collapse_addresses(networks)}
    assert set(call("net.cidr_merge", [str(network) for network in networks])) == expected
    if not wide:
        return
    for network in networks:
        assert call("net.cidr_contains", base + "/64", str(network))
