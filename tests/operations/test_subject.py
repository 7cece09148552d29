from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.errors import InvalidInput
from companyos.operations.subject import check_subject, covering, named

GOOD = [
    "fleet",
    "service:shop",
    "release:shop@1.2.3",
    "release:shop@1.0.0-rc.1+b7",
    "domain:pay",
    "environment:prod",
    "region:eu",
]


@pytest.mark.parametrize("text", GOOD)
def test_these_are_subjects(text: str) -> None:
    """Each kind with its form."""
    assert check_subject(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "shop",
        "service:",
        "service:Shop",
        "service:shop@1",
        "release:shop",
        "release:@1",
        "release:shop@",
        "fleet:",
        "fleet\n",
        "service:shop\n",
        "team:x",
        "service:a\0",
        "release:shop@1 2",
        "SERVICE:shop",
    ],
)
def test_these_are_none(text: str) -> None:
    """A hold on a subject that nobody asks for would stop nothing."""
    with pytest.raises(InvalidInput) as caught:
        check_subject(text)
    assert caught.value.field == "subject"


@given(st.text(max_size=40))
def test_any_text_is_a_subject_or_bad_input(text: str) -> None:
    """Never another fault."""
    with contextlib.suppress(InvalidInput):
        assert check_subject(text) == text


def test_a_release_is_stopped_by_what_is_wider() -> None:
    """By a hold on itself, on its service, on the fleet; not the other way round."""
    assert covering("release:shop@1.2.3") == ("release:shop@1.2.3", "service:shop", "fleet")
    assert covering("service:shop") == ("service:shop", "fleet")
    assert covering("fleet") == ("fleet",)
    assert covering("region:eu") == ("region:eu", "fleet")


def test_service_and_release_are_named_for_the_ledger() -> None:
    """So that all records of a service, or of a release, are found."""
    about = named("release:shop@1.2.3")
    assert (about.service, about.release) == ("shop", "shop@1.2.3")
    assert named("service:shop").service == "shop"
    assert named("fleet").service is None
