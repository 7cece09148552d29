from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos_sdk.policy.delivery import Delivery, batches
from companyos_sdk.policy.segments import CLOSED, OPEN, REJECTED, scan
from companyos_sdk.policy.spool import Spool
from companyos_sdk.policy.transport import Endpoint, Unreachable
from tests.sdk.policy.fakes import Answer, Asked, Platform, platform
from tests.waiting import until

LINES = [b'{"audit_id":"%d"}' % number for number in range(25)]
TAKEN: Answer = (200, {}, b'{"accepted":1,"duplicates":0,"rejected":[]}')


@contextmanager
def delivering(spool: Spool, platform: Platform, batch_records: int = 500) -> Iterator[Delivery]:
    """A delivery that tries again soon."""
    endpoint = Endpoint(platform.url, "secret")
    made = Delivery(spool, endpoint, batch_records=batch_records, first_pause_s=0.01, longest_pause_s=0.05)
    made.start()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """A spool with all the lines."""
    made = Spool(tmp_path)
    for line in LINES:
        made.record(line)
    yield made
    made.close()


def emptied(spool: Spool) -> bool:
    """Whether all is delivered."""
    left = [path for path in spool.root.glob("*/*") if path.suffix in (OPEN, CLOSED)]
    return spool.status().waiting == 0 and not left


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=30), st.integers(1, 100), st.integers(1, 5))
def test_batches_hold_all_lines_in_order_within_their_limits(lines: list[bytes], size: int, count: int) -> None:
    """A line that is longer than a batch is a batch of its own."""
    made = batches(lines, size, count)
    assert [line for batch in made for line in batch] == lines
    for batch in made:
        assert 0 < len(batch) <= count
        assert len(batch) == 1 or sum(len(line) + 1 for line in batch) <= size


def test_records_are_posted_as_lines_with_the_token(spool: Spool) -> None:
    """In batches, and the spool is empty afterwards."""
    with platform(lambda _: TAKEN) as far, delivering(spool, far, batch_records=10) as delivery:
        until(lambda: delivery.state().delivered == len(LINES), "delivery")
        until(lambda: emptied(spool), "an empty spool")
        assert [line for asked in far.asked for line in asked.lines] == LINES
        assert [len(asked.lines) for asked in far.asked] == [10, 10, 5]
        first = far.asked[0]
        assert (first.method, first.path) == ("POST", "/v1/decisions")
        assert (first.headers["authorization"], first.headers["content-type"]) == (
            "Bearer secret",
            "application/x-ndjson",
        )


@pytest.mark.parametrize(
    "bad", [None, (500, {}, b"down"), (401, {}, b"who?"), (404, {}, b""), (503, {"retry-after": "0"}, b"")]
)
def test_a_platform_that_fails_is_asked_again_until_it_takes_all(spool: Spool, bad: Answer | None) -> None:
    """Nothing is lost, and what it took before the failure is not sent twice."""
    turns: list[int] = []

    def answer(_: Asked) -> Answer | None:
        turns.append(1)
        return TAKEN if len(turns) in (1, 5) or len(turns) > 6 else bad

    with platform(answer) as far, delivering(spool, far, batch_records=10) as delivery:
        until(lambda: emptied(spool), "delivery")
        until(lambda: delivery.state().delivered == len(LINES), "counting")
        until(lambda: delivery.state().fault is None, "saying that all is well again")
        good = [asked for number, asked in enumerate(far.asked, 1) if number in (1, 5) or number > 6]
    assert [line for asked in good for line in asked.lines] == LINES


def test_a_lost_answer_means_the_same_batch_again(spool: Spool) -> None:
    """The platform took it and the connection broke: it comes twice, whole, and the platform knows it by its ids."""
    seen: list[bytes] = []

    def answer(asked: Asked) -> Answer | None:
        again = asked.body in seen
        seen.append(asked.body)
        return TAKEN if again else None

    with platform(answer) as far, delivering(spool, far):
        until(lambda: emptied(spool), "delivery")
    assert len(far.asked) == 2
    assert far.asked[0].body == far.asked[1].body


@pytest.mark.parametrize("refusal", [400, 422, 413, 200])
def test_one_refused_record_does_not_hold_up_the_others(
    spool: Spool, refusal: int, caplog: pytest.LogCaptureFixture
) -> None:
    """It is found, set aside on the disk and reported; also where the refusal is within an answer of 200."""
    poison = LINES[7]

    def answer(asked: Asked) -> Answer:
        refused: Answer = (refusal, {}, b'{"accepted":0,"duplicates":0,"rejected":[{"line":8}]}')
        return refused if poison in asked.lines else TAKEN

    with platform(answer) as far, delivering(spool, far) as delivery:
        until(lambda: emptied(spool) and delivery.state().rejected, "delivery")
        until(lambda: delivery.state().delivered == len(LINES) - 1, "counting")
        assert delivery.state().rejected == 1
        taken = [line for asked in far.asked if poison not in asked.lines for line in asked.lines]
    assert sorted(taken) == sorted(set(LINES) - {poison})
    assert scan(next(spool.root.glob(f"*/{REJECTED}")).read_bytes()).lines == (poison,)
    assert spool.status().rejected == 1
    assert "refuses" in caplog.text


def test_what_is_not_delivered_is_there_after_a_restart(tmp_path: Path) -> None:
    """A platform that is away for a while costs nothing but room."""
    first = Spool(tmp_path)
    with platform(lambda _: (503, {}, b"")) as far, delivering(first, far) as delivery:
        for line in LINES:
            first.record(line)
        until(lambda: delivery.state().fault, "a failed attempt")
    first.close()
    second = Spool(tmp_path)
    with platform(lambda _: TAKEN) as far, delivering(second, far):
        until(lambda: emptied(second), "delivery")
        assert [line for asked in far.asked for line in asked.lines] == LINES
    second.close()


def test_a_redirect_is_not_followed() -> None:
    """The token goes nowhere else."""
    with platform(lambda _: TAKEN) as other, platform(lambda _: (307, {"location": other.url}, b"")) as far:
        assert Endpoint(far.url, "secret").request("POST", "/", body=b"x").status == 307
        assert other.asked == []


def test_an_answer_is_bounded_in_size_and_must_be_whole() -> None:
    """Too long or cut off is no answer."""
    with platform(lambda _: (200, {}, b"x" * 1001)) as far:
        with pytest.raises(Unreachable, match="longer than 1000"):
            Endpoint(far.url, "t").request("GET", "/", max_bytes=1000)
        assert len(Endpoint(far.url, "t").request("GET", "/", max_bytes=1001).body) == 1001
    short: Answer = (200, {"content-length": "10"}, b"short")
    with platform(lambda _: short) as far, pytest.raises(Unreachable):
        Endpoint(far.url, "t", total_s=1).request("GET", "/")


def test_an_answer_that_trickles_runs_into_the_deadline() -> None:
    """However regularly a byte comes."""
    server = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def trickle() -> None:
        connection, _ = server.accept()
        connection.recv(10_000)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        while not stop.wait(0.02):
            try:
                connection.sendall(b"x")
            except OSError:
                break
        connection.close()

    thread = threading.Thread(target=trickle)
    thread.start()
    with pytest.raises(Unreachable, match=r"too long|timed out"):
        Endpoint(f"http://127.0.0.1:{server.getsockname()[1]}", "t", total_s=0.3).request("GET", "/")
    stop.set()
    thread.join()
    server.close()


@pytest.mark.parametrize(
    "url", ["ftp://x", "companyos.example", "http://companyos.example", "https://u:p@x", "https://x?y", "http://"]
)
def test_an_address_must_protect_the_token(url: str) -> None:
    """Plain HTTP is for this machine, unless somebody says otherwise."""
    with pytest.raises(ValueError, match=r"address|unprotected"):
        Endpoint(url, "t")
    Endpoint("http://companyos.example", "t", plain_http=True)


def test_a_token_can_be_asked_for_each_time() -> None:
    """Tokens that expire are renewed by whoever has them."""
    given = iter(["one", "two"])
    with platform(lambda _: TAKEN) as far:
        endpoint = Endpoint(far.url, lambda: next(given))
        endpoint.request("GET", "/a")
        endpoint.request("GET", "/b")
        assert [asked.headers["authorization"] for asked in far.asked] == ["Bearer one", "Bearer two"]
