import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from companyos.core.errors import InvalidInput
from companyos.core.ids import check_name, check_service_name, is_uuid, uuid7


def test_ids_are_uuid_version_7_of_the_moment() -> None:
    """An id carries version 7, the RFC variant and the millisecond it was made for."""
    moment = datetime(2026, 5, 4, 3, 2, 1, 987000, tzinfo=UTC)
    made = uuid.UUID(uuid7(moment))
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert made.int >> 80 == int(moment.timestamp() * 1000)


def test_ids_of_a_process_sort_in_the_order_they_were_made() -> None:
    """Ten thousand ids made in a row are unique and already sorted, many within one millisecond."""
    made = [uuid7() for _ in range(10_000)]
    assert made == sorted(set(made))


def test_ids_made_by_threads_at_once_are_unique() -> None:
    """Threads that make ids at the same time never get the same one."""
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: uuid7(), range(4000)))
    assert len(set(made)) == len(made)


@pytest.mark.parametrize("text", ["", "x", uuid.uuid4().hex, str(uuid.uuid4()).upper(), "{" + str(uuid.uuid4()) + "}"])
def test_only_the_canonical_form_is_a_uuid(text: str) -> None:
    """Other spellings of a UUID are not ours."""
    assert not is_uuid(text)
    assert is_uuid(uuid7())


@pytest.mark.parametrize(
    "name", ["", "a", "A", "1ab", "-ab", "a" * 40, "ab_c", "ab.c", "../x", "ab\n", "äb", "ab ", "a/b", "a\x00b"]
)
def test_names_that_services_cannot_have(name: str) -> None:
    """A name outside the rule is refused, with the rule as the next step and the field named."""
    with pytest.raises(InvalidInput) as fault:
        check_service_name(name)
    assert fault.value.field == "name"
    assert "2 to 39" in fault.value.next_step


def test_names_that_services_can_have() -> None:
    """The shortest and the longest name pass unchanged."""
    for name in ("ab", "a" * 39, "a-1"):
        assert check_service_name(name) == name


@pytest.mark.parametrize("name", ["", "-x", "Team", "a" * 64, "a/b", "..", "x\n"])
def test_names_that_teams_cannot_have(name: str) -> None:
    """Team, domain and region names are bounded, too."""
    with pytest.raises(InvalidInput, match="team name"):
        check_name(name, what="team", field="owner")
    assert check_name("team.a_b-1", what="team", field="owner") == "team.a_b-1"
