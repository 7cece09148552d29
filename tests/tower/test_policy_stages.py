"""The list of bundles, the ladder of one, and what can go where next, as values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.paging import Page
from companyos.policy.model import PLATFORM, StageStatus
from companyos.tower.policy_list import MAX_ROWS, policies_page
from companyos.tower.policy_page import Asking, bundle_page, steps_of
from companyos.tower.policy_stages import bundle_url, cells, decision_url, look_of, refusal
from tests.policy.bundles import BUNDLE_ID
from tests.tower.policies import DIGEST, activation, published, refused, status
from tests.tower.rows import NOW


def test_a_refusal_says_what_stays_active() -> None:
    """Loudly, with the version, the reason, and a digest short enough to be read."""
    said = refusal(refused("prod", "1.4.0", "1.5.0", f"The artifact {DIGEST} is damaged."))
    assert (
        said == "Version 1.5.0 was refused in prod: The artifact sha256:4f1c4f1c4f1c… is damaged; 1.4.0 stays active."
    )
    assert (refusal(refused("dev", None, "1.0.0", "No.")) or "").endswith("No; nothing is active there.")
    broken = refusal(refused("prod", "1.4.0", "1.4.0", "It cannot be loaded."))
    assert broken == "Version 1.4.0 is active in prod, and something is wrong with it: It cannot be loaded."
    assert refusal(status("prod", "1.4.0")) is None


@pytest.mark.parametrize(
    ("statuses", "label"),
    [
        ([status("dev", "1.0.0"), status("staging", "1.0.0"), status("prod", "1.0.0")], "In all stages"),
        ([status("dev", "1.1.0"), status("staging", "1.0.0"), status("prod", "1.0.0")], "On its way"),
        ([status("dev", "1.0.0")], "On its way"),
        ([], "Not active"),
        ([status("dev", "1.0.0"), refused("prod", "1.0.0", "1.1.0", "No.")], "Refused"),
    ],
)
def test_the_state_of_a_bundle_is_that_of_its_stages(statuses: list[StageStatus], label: str) -> None:
    """A refusal outweighs everything else; each cell says by sign and word what its colour says."""
    found = cells(statuses)
    assert [cell.stage for cell in found] == ["dev", "staging", "prod"]
    assert look_of(found)[1].label == label
    for cell in found:
        assert cell.word == (
            ("✕", "refused") if cell.refused else ("✓", "active") if cell.version else ("", "nothing active")
        )


def test_the_list_begins_with_what_went_wrong_and_knows_what_is_shipped() -> None:
    """One row for each bundle, those too that are published and active nowhere; the platform's own is one of them."""
    statuses = [
        *(status(stage, "1.0.0", "shop/orders") for stage in ("dev", "staging", "prod")),
        refused("prod", None, "2.0.0", "Its signature does not hold.", "shop/billing"),
        status("dev", "1.0.0", "shop/search"),
    ]
    page = policies_page(statuses, [published("shop/new", "0.1.0")], "prod", NOW)
    rows = [(row.bundle_id, row.look.label) for row in page.rows]
    assert rows == [
        ("shop/billing", "Refused"),
        ("shop/search", "On its way"),
        ("shop/new", "Not active"),
        ("shop/orders", "In all stages"),
        (PLATFORM, "Shipped"),
    ]
    assert page.rows[0].refusals == (
        "Version 2.0.0 was refused in prod: Its signature does not hold; nothing is active there.",
    )
    assert page.rows[2].note == "Version 0.1.0 is published and active nowhere."
    assert "no bundle is active in prod" in page.rows[-1].note
    assert (page.own, page.left_off) == (4, 0)


def test_a_bundle_of_the_platform_takes_the_place_of_what_ships() -> None:
    """Only where it is active in the stage of this platform."""
    there = policies_page([status("prod", "1.0.0", PLATFORM)], [], "prod", NOW).rows[0]
    assert (there.note, there.look.label) == ("", "On its way")
    elsewhere = policies_page([status("dev", "1.0.0", PLATFORM)], [], "prod", NOW).rows[0]
    assert "the shipped roles decide" in elsewhere.note


def test_a_long_list_is_cut_and_says_so() -> None:
    """The page stays bounded."""
    page = policies_page([status("dev", "1.0.0", f"shop/s{n}") for n in range(MAX_ROWS + 5)], [], "prod", NOW)
    assert len(page.rows) == MAX_ROWS
    assert page.left_off == 6


def test_only_a_higher_version_goes_on() -> None:
    """What is active in a stage is offered for the next one, the newest published for dev, and nothing goes down."""
    versions = [published(version=one) for one in ("1.9.0", "1.10.0", "1.2.0")]

    def steps(*statuses: StageStatus) -> list[tuple[str, str]]:
        return [(step.version, step.stage) for step in steps_of(BUNDLE_ID, cells(statuses), versions, None)]

    assert steps() == [("1.10.0", "dev")]
    assert steps(status("dev", "1.10.0")) == [("1.10.0", "staging")]
    assert steps(status("dev", "1.9.0"), status("staging", "1.2.0")) == [
        ("1.10.0", "dev"),
        ("1.9.0", "staging"),
        ("1.2.0", "prod"),
    ]
    assert steps(status("dev", "1.10.0"), status("staging", "1.10.0"), status("prod", "1.10.0")) == []
    assert steps(status("dev", "1.10.0"), status("staging", "1.2.0"), status("prod", "1.9.0")) == [
        ("1.10.0", "staging")
    ]


def test_the_history_says_who_and_what_was_signed_off() -> None:
    """Reason, approver, the version before, and every sign-off."""
    made = activation(
        "1.1.0",
        "prod",
        previous="1.0.0",
        by="user:bob",
        approver="user:bob",
        acknowledged={"deny_to_allow:transfer:residency.eu": 2},
        without_replay=True,
    )
    page = bundle_page(
        BUNDLE_ID,
        [status("prod", "1.1.0")],
        Page(items=[published(version="1.1.0")]),
        Page(items=[made], next_cursor="c"),
        NOW,
        stage="prod",
        asking=Asking(done="prod"),
    )
    (entry,) = page.history
    assert (entry.previous, entry.reason, entry.by, entry.approver) == ("1.0.0", "It is time.", "user:bob", "user:bob")
    assert entry.signed_off == ("deny_to_allow:transfer:residency.eu (2)", "the replay says nothing, or little")
    assert page.older == f"/policies/{BUNDLE_ID}?cursor=c"
    assert page.said == "1.1.0 is active in prod."
    assert page.versions[0].active_in == ("prod",)


@given(st.text(max_size=40))
def test_any_name_gives_an_address_of_ours(name: str) -> None:
    """No name leads to another page, let alone another site."""
    text = name.encode("utf-8", "replace").decode()
    assert bundle_url(text).startswith("/policies/")
    assert not set(bundle_url(text) + decision_url(text)) & set("\"'<> \\\n")
