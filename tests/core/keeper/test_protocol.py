from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.keeper.protocol import (
    LINE_LIMIT_BYTES,
    ChildSpec,
    Refused,
    check_grace,
    check_name,
    decode,
    encode,
    environment_hash,
    receive_line,
    spec_from_json,
    spec_to_json,
)

SPEC = ChildSpec("server", ("/bin/sleep", "1"), "/", {"A": "1"}, "/tmp/server.log", "never", 2.5)
PLAIN = st.text(st.characters(exclude_characters="\0"), max_size=20)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of one connection."""
    ends = socket.socketpair()
    yield ends
    for end in ends:
        end.close()


@given(argv=st.lists(PLAIN, max_size=5), env=st.dictionaries(st.from_regex(r"[A-Za-z_]{1,8}", fullmatch=True), PLAIN))
def test_spec_survives_the_wire(argv: list[str], env: dict[str, str]) -> None:
    """A spec is the same after it went over the socket, also with bytes that are no UTF-8 (lone surrogates)."""
    spec = SPEC._replace(argv=("/bin/\udcff", *argv), env=env)
    assert spec_from_json(decode(encode({"spec": spec_to_json(spec)}))["spec"]) == spec


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("name", "Server", "name"),
        ("name", "../x", "name"),
        ("name", "server\n", "name"),
        ("argv", [], "argv"),
        ("argv", "sleep", "argv"),
        ("argv", ["/bin/sleep", "a\0b"], "argv"),
        ("argv", ["sleep"], "absolute"),
        ("cwd", "relative", "cwd"),
        ("cwd", None, "cwd"),
        ("log", "server.log", "log"),
        ("env", {"A=B": "1"}, "env"),
        ("env", {"": "1"}, "env"),
        ("env", {"A": 1}, "env"),
        ("env", [], "env"),
        ("restart", "sometimes", "restart"),
        ("restart", ["always"], "restart"),
        ("grace_s", -1, "grace_s"),
        ("grace_s", True, "grace_s"),
        ("grace_s", 1e9, "grace_s"),
        ("grace_s", None, "grace_s"),
    ],
)
def test_spec_with_a_fault_names_the_field(field: str, value: Any, named: str) -> None:
    """A spec that breaks a rule is refused with a sentence that names the field."""
    with pytest.raises(Refused, match=named):
        spec_from_json({**spec_to_json(SPEC), field: value})


@pytest.mark.parametrize("value", [None, [], "x", {}, {**spec_to_json(SPEC), "user": "root"}])
def test_spec_has_exactly_its_fields(value: Any) -> None:
    """A missing or an unknown field is refused, not guessed."""
    with pytest.raises(Refused, match="exactly the fields"):
        spec_from_json(value)


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"1", b"\xff", b"[" * 200_000, b'"x"'])
def test_line_that_is_no_object_is_refused(line: bytes) -> None:
    """Anything but one JSON object is refused, nesting bombs included."""
    with pytest.raises(Refused):
        decode(line)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "3", [], None])
def test_grace_is_a_finite_number(value: Any) -> None:
    """Python's JSON reads NaN and Infinity; a grace of that kind would never end."""
    with pytest.raises(Refused):
        check_grace(value)


def test_name_is_short_and_plain() -> None:
    """A name may become part of a file name, so it has no dots, slashes or length to speak of."""
    assert check_name("a" * 63) == "a" * 63
    for name in ("a" * 64, "a/b", "a.b", "", 3, "é"):
        with pytest.raises(Refused):
            check_name(name)


def test_line_over_the_limit_is_refused(pair: tuple[socket.socket, socket.socket]) -> None:
    """A line without an end is given up at the limit instead of filling the memory."""
    left, right = pair

    def pour() -> None:
        with contextlib.suppress(OSError):
            while True:
                right.sendall(b"x" * 65536)

    writer = threading.Thread(target=pour)
    writer.start()
    try:
        with pytest.raises(Refused, match=str(LINE_LIMIT_BYTES)):
            receive_line(left, 30.0)
    finally:
        left.close()
        writer.join()


def test_line_that_stops_midway_is_refused(pair: tuple[socket.socket, socket.socket]) -> None:
    """A peer that hangs up before the end of the line has asked for nothing."""
    left, right = pair
    right.sendall(b'{"do": "shutdown"')
    right.shutdown(socket.SHUT_WR)
    with pytest.raises(Refused, match="no end"):
        receive_line(left, 5.0)


def test_slow_peer_is_given_up(pair: tuple[socket.socket, socket.socket]) -> None:
    """The limit holds for the whole line: a byte now and then does not extend it."""
    left, right = pair
    right.sendall(b"{")
    with pytest.raises(TimeoutError):
        receive_line(left, 0.05)


def test_environment_hash_depends_on_values_and_not_on_order() -> None:
    """Two environments are the same when their pairs are."""
    assert environment_hash({"A": "1", "B": "2"}) == environment_hash({"B": "2", "A": "1"})
    assert environment_hash({"A": "1"}) != environment_hash({"A": "2"})
    assert environment_hash({"A": "\udcff"}) != environment_hash({})
