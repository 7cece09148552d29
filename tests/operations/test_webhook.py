from __future__ import annotations

import base64
import socket
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from companyos.core.errors import InvalidInput
from companyos.core.home import Home
from companyos.core.settings import Settings, load
from companyos.operations import Notification
from companyos.operations.webhook import Webhook, body_of, send, signature, webhook_of
from tests.operations.receiver import SECRET, Message, Receiver, closed_port, reply

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
NOTIFICATION = Notification(
    id="019a0000-0000-7000-8000-000000000000",
    key="r1:rollback",
    kind="release.rolled_back",
    subject="release:shop@1.2.0",
    payload={"reason": "errors", "bytes": "naïve ☂"},
    created_at=NOW,
)
KEY = base64.b64decode(SECRET.removeprefix("whsec_"))


def test_the_signature_is_that_of_the_specification() -> None:
    """The example that the Standard Webhooks libraries test themselves with."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    found = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_notification_arrives_signed(receiver: Receiver) -> None:
    """With its id, its time and everything that it says."""
    assert send(Webhook(url=receiver.url, key=KEY), NOTIFICATION, NOW) is None
    (message,) = receiver.messages
    assert (message.id, message.timestamp, message.raw) == (NOTIFICATION.id, NOW.timestamp(), body_of(NOTIFICATION))
    assert message.body == {
        "type": "release.rolled_back",
        "timestamp": "2026-05-01T12:00:00.000000Z",
        "subject": "release:shop@1.2.0",
        "data": {"reason": "errors", "bytes": "naïve ☂"},
    }


def test_another_key_is_seen(receiver: Receiver) -> None:
    """The receiver of these tests does check; its refusal is an answer like others."""
    assert send(Webhook(url=receiver.url, key=b"x" * 24), NOTIFICATION, NOW) == "The receiver answered 401."
    assert (receiver.forged, receiver.messages) == (1, [])


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_has_taken_it(receiver: Receiver, status: int) -> None:
    """As the specification says."""
    receiver.answer = lambda _, to: reply(to, status)
    assert send(Webhook(url=receiver.url, key=KEY), NOTIFICATION, NOW) is None


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    """What is signed for one address goes to no other."""
    receiver.answer = lambda _, to: reply(to, status, location=receiver.url)
    error = send(Webhook(url=receiver.url, key=KEY), NOTIFICATION, NOW)
    assert error == f"The receiver answered {status}, and a redirect is not followed."
    assert len(receiver.messages) == 1


def test_nothing_that_a_receiver_says_gets_any_further(receiver: Receiver) -> None:
    """Only the status does."""

    def answer(_: Message, to: BaseHTTPRequestHandler) -> None:
        to.send_response(500, "<script>")
        to.end_headers()
        to.wfile.write(b"\x1b[31mevil")

    receiver.answer = answer
    assert send(Webhook(url=receiver.url, key=KEY), NOTIFICATION, NOW) == "The receiver answered 500."


def test_an_answer_without_end_is_not_read_to_it(receiver: Receiver) -> None:
    """A little is enough, long before the time is up; the status has said all."""
    gone = threading.Event()
    written: list[int] = []

    def answer(_: Message, to: BaseHTTPRequestHandler) -> None:
        to.send_response(200)
        to.end_headers()
        try:
            while True:
                written.append(to.wfile.write(b"x" * 65_536))
        except OSError:
            gone.set()

    receiver.answer = answer
    began = time.monotonic()
    assert send(Webhook(url=receiver.url, key=KEY), NOTIFICATION, NOW, timeout_s=20) is None
    assert time.monotonic() - began < 10
    assert gone.wait(5), "the sender hangs up"
    assert sum(written) < 32 * 1024 * 1024, "what fits into the buffers of the two sockets"


def test_dripping_does_not_buy_time() -> None:
    """The limit is for the whole attempt, not for each byte."""
    ended = threading.Event()

    def drip(server: socket.socket) -> None:
        peer, _ = server.accept()
        with peer:
            try:
                peer.sendall(b"HTTP/1.1 200 OK\r\nx: ")
                while not ended.wait(0.05):
                    peer.sendall(b"y")
            except OSError:
                pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,))
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        try:
            error = send(Webhook(url=url, key=KEY), NOTIFICATION, NOW, timeout_s=0.3)
        finally:
            ended.set()
            thread.join()
    assert error == "The receiver did not answer within 0.3 s."


def test_a_receiver_that_is_not_there_is_named_without_its_address() -> None:
    """Addresses may hold a password."""
    url = f"http://user:secret@127.0.0.1:{closed_port()}/hook"
    assert send(Webhook(url=url, key=KEY), NOTIFICATION, NOW) == "The receiver could not be reached (ConnectError)."


def test_without_an_address_nothing_is_sent() -> None:
    """It is the default."""
    assert webhook_of(Settings(home="x")) is None
    assert webhook_of(Settings(home="x", notify_webhook_secret=SECRET)) is None


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_" + base64.b64encode(b"x" * 23).decode(), "whsec_====" + "A" * 32]
)
def test_an_address_without_a_good_secret_is_refused(secret: str) -> None:
    """Nothing leaves unsigned."""
    with pytest.raises(InvalidInput, match="notify_webhook_secret") as fault:
        webhook_of(Settings(home="x", notify_webhook_url="https://example.org", notify_webhook_secret=secret))
    assert "whsec_" in fault.value.next_step


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("URL", "file:///etc/passwd"),
        ("URL", "https://example.org/a b"),
        ("SECRET", "hunter2"),
        ("SECRET", "whsec_" + "A" * 31),
        ("SECRET", SECRET + "\n"),
    ],
)
def test_settings_of_another_form_are_refused(tmp_path: Path, name: str, value: str) -> None:
    """At the start, with their name and without their value."""
    with pytest.raises(InvalidInput) as fault:
        load(Home(tmp_path), {f"COMPANYOS_NOTIFY_WEBHOOK_{name}": value})
    assert f"notify_webhook_{name.lower()}" in str(fault.value)
    assert value not in str(fault.value)
