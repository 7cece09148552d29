from __future__ import annotations

import pytest

from companyos.core.errors import InvalidInput
from companyos.delivery.model import Held, Phase
from companyos.tower.asking import ASKED, check_kind, check_reason, offers
from tests.tower.releases import detail, summary


@pytest.mark.parametrize(
    ("phase", "kinds"),
    [
        ("pending", ["hold", "abort"]),
        ("canary", ["hold", "promote", "abort"]),
        ("held", ["hold", "promote", "abort"]),
        ("promoted", ["rollback"]),
        ("steady", ["rollback"]),
        ("rollback_pending", []),
        ("rolled_back", []),
    ],
)
def test_only_what_the_phase_allows_is_offered(phase: Phase, kinds: list[str]) -> None:
    """No button that would be refused."""
    assert [offer.kind for offer in offers(detail(summary(phase=phase)), is_newest=True)] == kinds


def test_the_hold_of_a_person_can_be_resumed_by_one() -> None:
    """A hold with another reason ends when the reason is gone, so it offers no such button."""
    by_hand = summary(phase="held", held=Held(reason="manual", sentence="user:ana: lunch."))
    assert [offer.kind for offer in offers(detail(by_hand), is_newest=True)] == ["resume", "promote", "abort"]


def test_an_older_release_is_not_rolled_back() -> None:
    """Nor is the first one, because there is nothing to go back to."""
    assert offers(detail(summary(phase="steady")), is_newest=False) == ()
    assert offers(detail(summary(phase="steady", baseline=None)), is_newest=True) == ()


def test_what_brings_a_release_back_says_where_to() -> None:
    """The person reads the consequence before the reason is typed."""
    abort = offers(detail(summary()), is_newest=True)[-1]
    assert abort.grave
    assert "All traffic goes back to 2.3.1 at once." in abort.does
    assert "the flags that it turned on are turned back" in abort.does


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501, "a\nb", "a\x00b"])
def test_a_reason_is_one_line(reason: str) -> None:
    """Empty, too long or with control characters: one clear sentence, and the field."""
    with pytest.raises(InvalidInput) as fault:
        check_reason(reason)
    assert fault.value.field == "reason"


def test_commands_are_those_of_delivery() -> None:
    """Anything else is named in the refusal."""
    assert [check_kind(kind) for kind in ASKED] == list(ASKED)
    with pytest.raises(InvalidInput, match="explode"):
        check_kind("explode")
    assert check_reason("  p95 doubled  ") == "p95 doubled"
