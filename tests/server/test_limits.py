from __future__ import annotations

import asyncio
from typing import Any

import pytest

from companyos.core.errors import CompanyOSError, InvalidInput, TooLarge, UnsupportedMediaType
from companyos.core.settings import Settings
from companyos.evidence.archive import MAX_BYTES
from companyos.server.asgi import Message
from companyos.server.errors import HeadersTooLarge, Misdirected, RequestTimeout
from companyos.server.limits import (
    LimitsLayer,
    check_body,
    check_headers,
    check_host,
    declared_length,
    limited,
    own_hosts,
)

HOSTS = own_hosts(Settings(home="/h", host="0.0.0.0", public_url="https://Company.example:8443/"))


def scope(*headers: tuple[str, str], path: str = "/", query: bytes = b"") -> dict[str, Any]:
    """Return a request with these headers."""
    return {
        "raw_path": path.encode(),
        "path": path,
        "query_string": query,
        "headers": [(name.encode(), value.encode()) for name, value in headers],
    }


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8700",
        "localhost.",
        "tower.localhost",
        "127.0.0.1",
        "127.0.0.1:8700",
        "[::1]:8700",
        "10.1.2.3:80",
        "company.example",
        "company.example:8443",
    ],
)
def test_our_own_names_and_addresses_in_digits_pass(host: str) -> None:
    """Loopback names, the public name and any address in digits name this server."""
    check_host([host], HOSTS)


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "127.1", "0x7f.1"]
)
def test_a_name_that_somebody_else_controls_is_misdirected(host: str) -> None:
    """A name that could be pointed at us by its owner is refused: that is DNS rebinding."""
    with pytest.raises(Misdirected):
        check_host([host], HOSTS)


@pytest.mark.parametrize("hosts", [[], [""], ["a b"], ["localhost", "localhost"], ["user@localhost"], ["localhost/x"]])
def test_a_host_header_that_is_not_one_host_is_invalid(hosts: list[str]) -> None:
    """No Host, two of them, or one that is no host name is a bad request (RFC 9112 §3.2)."""
    with pytest.raises(InvalidInput):
        check_host(hosts, HOSTS)


@pytest.mark.parametrize(
    ("request_scope", "fault"),
    [
        (scope(*[("x", "y")] * 101), HeadersTooLarge),
        (scope(("x", "y" * 40_000)), HeadersTooLarge),
        (scope(path="/" + "a" * 3000), InvalidInput),
        (scope(query=b"a" * 9000), InvalidInput),
    ],
    ids=["many", "long", "path", "query"],
)
def test_heads_of_insane_size_are_refused(request_scope: dict[str, Any], fault: type[CompanyOSError]) -> None:
    """Number and size of header fields, path and query have a limit."""
    check_headers(scope(("x", "y"), path="/a", query=b"b"))
    with pytest.raises(fault):
        check_headers(request_scope)


@pytest.mark.parametrize("value", ["-1", "+1", "1 ", "1,1", "0x1", "", "1" * 30])
def test_a_length_that_is_no_number_is_invalid(value: str) -> None:
    """Content-Length is plain digits (RFC 9110 §8.6)."""
    with pytest.raises(InvalidInput):
        declared_length(scope(("content-length", value)))


def test_a_body_must_say_what_it_is() -> None:
    """A body without Content-Type is refused, whole or in chunks; no body needs none."""
    check_body(scope(), 10)
    check_body(scope(("content-length", "0")), 10)
    check_body(scope(("content-length", "5"), ("content-type", "text/plain")), 10)
    with pytest.raises(UnsupportedMediaType):
        check_body(scope(("content-length", "5")), 10)
    with pytest.raises(UnsupportedMediaType):
        check_body(scope(("transfer-encoding", "chunked")), 10)


def test_a_declared_length_above_the_limit_is_refused_unread() -> None:
    """The limit itself passes, one byte more does not."""
    check_body(scope(("content-length", "10"), ("content-type", "a/b")), 10)
    with pytest.raises(TooLarge):
        check_body(scope(("content-length", "11"), ("content-type", "a/b")), 10)


def test_a_body_in_chunks_is_cut_off_at_the_limit() -> None:
    """Bytes are counted as they come, whatever was declared."""

    async def story() -> list[int]:
        async def receive() -> Message:
            return {"type": "http.request", "body": b"1234", "more_body": True}

        bounded = limited(receive, limit_bytes=10, timeout_s=10)
        sizes = [len((await bounded())["body"]), len((await bounded())["body"])]
        with pytest.raises(TooLarge):
            await bounded()
        return sizes

    assert asyncio.run(story()) == [4, 4]


def test_a_body_that_never_ends_times_out() -> None:
    """A peer that stops in the middle of its body gets a timeout; one that is done is waited for without end."""

    async def story() -> None:
        async def silent() -> Message:
            await asyncio.Event().wait()
            raise AssertionError

        with pytest.raises(RequestTimeout):
            await limited(silent, limit_bytes=10, timeout_s=0.01)()

        messages = [{"type": "http.request", "body": b"", "more_body": False}]

        async def complete() -> Message:
            return messages.pop() if messages else await silent()

        bounded = limited(complete, limit_bytes=10, timeout_s=0.01)
        await bounded()
        with pytest.raises(TimeoutError):
            # The body's own limit is over after a tenth of this; what ends the wait is the test.
            await asyncio.wait_for(bounded(), 0.1)

    asyncio.run(story())


def layered(method: str, path: str, size: int, *, declared: bool, settings: Settings) -> int | CompanyOSError:
    """Return how many bytes of a body an application below the layer gets, or what the layer raises."""
    pieces = [bytes(65_536)] * (size // 65_536) + [bytes(size % 65_536)]

    async def story() -> int:
        waiting = list(pieces)
        seen = 0

        async def receive() -> Message:
            return {"type": "http.request", "body": waiting.pop(), "more_body": bool(waiting)}

        async def app(_scope: Any, body: Any, _send: Any) -> None:
            nonlocal seen
            more = True
            while more:
                message = await body()
                seen += len(message["body"])
                more = message["more_body"]

        async def send(_message: Message) -> None:
            raise AssertionError

        length = ("content-length", str(size)) if declared else ("transfer-encoding", "chunked")
        asked = {**scope(("host", "localhost"), ("content-type", "application/x-tar"), length), "method": method}
        await LimitsLayer(app, settings)({**asked, "path": path}, receive, send)
        return seen

    try:
        return asyncio.run(story())
    except CompanyOSError as fault:
        return fault


@pytest.mark.parametrize("declared", [True, False])
def test_an_artifact_may_be_larger_than_other_bodies(declared: bool) -> None:
    """Up to its own limit and not a byte more; the address and the method must be exactly those."""
    settings = Settings(home="/h", body_limit_bytes=100_000)
    for method, path, size, taken in (
        ("POST", "/api/artifacts", MAX_BYTES, True),
        ("POST", "/api/artifacts", MAX_BYTES + 1, False),
        ("PUT", "/api/artifacts", 100_001, False),
        ("POST", "/api/artifacts/", 100_001, False),
        ("POST", "/api/artifacts/x/signature", 100_001, False),
        ("POST", "/api/services", 100_001, False),
        ("POST", "/api/services", 100_000, True),
    ):
        found = layered(method, path, size, declared=declared, settings=settings)
        assert found == size if taken else isinstance(found, TooLarge), (method, path, size)


def test_the_settings_may_allow_more_than_an_artifact_needs() -> None:
    """The larger of both counts, for bytes and for seconds."""
    settings = Settings(home="/h", body_limit_bytes=2 * MAX_BYTES)
    assert layered("POST", "/api/artifacts", MAX_BYTES + 1, declared=True, settings=settings) == MAX_BYTES + 1
