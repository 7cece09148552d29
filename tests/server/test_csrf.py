from __future__ import annotations

import asyncio
from typing import Any

import pytest

from companyos.server.asgi import Message
from companyos.server.csrf import check_token, given_token, is_same_origin
from companyos.server.errors import CrossSite

OWN = "http://127.0.0.1:8700"
PUBLIC = "https://company.example"


def scope(**headers: str) -> dict[str, Any]:
    """Return a request with these headers."""
    fields = {"host": "127.0.0.1:8700", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return {
        "scheme": "http",
        "path": "/sign-out",
        "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
    }


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"origin": OWN}, True),
        ({"origin": OWN, "sec_fetch_site": "same-origin"}, True),
        ({"sec_fetch_site": "same-origin"}, True),
        ({"origin": PUBLIC}, True),
        ({}, False),
        ({"origin": "null"}, False),
        ({"origin": ""}, False),
        ({"origin": "http://127.0.0.1:8701"}, False),
        ({"origin": "https://127.0.0.1:8700"}, False),
        ({"origin": "http://127.0.0.1:8700.evil.example"}, False),
        ({"origin": "http://evil.example", "sec_fetch_site": "same-origin"}, False),
        ({"origin": OWN, "sec_fetch_site": "cross-site"}, False),
        ({"origin": OWN, "sec_fetch_site": "same-site"}, False),
        ({"sec_fetch_site": "none"}, False),
    ],
)
def test_only_our_own_page_is_the_same_origin(headers: dict[str, str], expected: bool) -> None:
    """A request is ours when no header of the browser says otherwise and at least one says so."""
    assert is_same_origin(scope(**headers), PUBLIC) is expected


@pytest.mark.parametrize("given", [None, "", "other", "täken"])
def test_any_other_token_is_refused(given: str | None) -> None:
    """Only the token of this session passes."""
    with pytest.raises(CrossSite):
        check_token(scope(), given, "token")
    check_token(scope(), "token", "token")


def read(scope: dict[str, Any], *pieces: bytes) -> tuple[str | None, bytes]:
    """Return the token that was found, and the body as it can be read afterwards."""
    messages: list[Message] = [
        {"type": "http.request", "body": piece, "more_body": number < len(pieces) - 1}
        for number, piece in enumerate(pieces)
    ]

    async def receive() -> Message:
        return messages.pop(0)

    async def story() -> tuple[str | None, bytes]:
        token, again = await given_token(scope, receive)
        body, more = b"", True
        while more:
            message = await again()
            body, more = body + message["body"], message["more_body"]
        return token, body

    return asyncio.run(story())


def test_a_form_is_read_for_its_token_and_can_be_read_again() -> None:
    """The token comes from the form, in however many pieces, and the handler still sees the whole body."""
    form = scope(content_type="application/x-www-form-urlencoded; charset=utf-8")
    assert read(form, b"name=a&cs", b"rf=abc", b"") == ("abc", b"name=a&csrf=abc")


def test_the_header_goes_before_the_form() -> None:
    """With the header the body is not touched."""
    form = scope(content_type="application/x-www-form-urlencoded", x_csrf_token="head")
    assert read(form, b"csrf=abc") == ("head", b"csrf=abc")


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("application/json", b'{"csrf": "abc"}'),
        ("application/x-www-form-urlencoded", b"csrf=abc&csrf=def"),
        ("application/x-www-form-urlencoded", b"csrf=abc&x=\xff"),
        ("application/x-www-form-urlencoded", b"csrf=abc" + b"&x=1" * 300),
        ("multipart/form-data; boundary=x", b"csrf=abc"),
    ],
    ids=["json", "twice", "not UTF-8", "too many fields", "multipart"],
)
def test_no_token_is_found_where_none_can_be(media_type: str, body: bytes) -> None:
    """Other types and forms that are ambiguous or broken give no token, and leave the body alone."""
    assert read(scope(content_type=media_type), body) == (None, body)
