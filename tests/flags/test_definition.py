from __future__ import annotations

import itertools
from datetime import date

import pytest

from companyos.core.errors import InvalidInput, TooLarge
from companyos.flags.definition import FILE_NAME, MAX_FLAGS, Definition, read_definitions
from companyos.goldenpath import archives
from tests.flags.files import file

ONE = """\
- key: new-cart
  description: The new cart.
  owner: checkout
  default: false
  expires: 2026-12-31
  cleanup: [Delete the old cart., Delete the flag.]
"""


def test_a_definition_says_what_who_and_until_when() -> None:
    """A list, or one below flags; a date may be quoted or not; an empty file has none."""
    (one,) = read_definitions(ONE.encode())
    assert one == Definition(
        key="new-cart",
        description="The new cart.",
        owner="checkout",
        default=False,
        expires=date(2026, 12, 31),
        cleanup=["Delete the old cart.", "Delete the flag."],
    )
    below = "flags:\n" + "".join(f"  {line}\n" for line in ONE.replace("2026-12-31", "'2026-12-31'").splitlines())
    assert read_definitions(below.encode()) == (one,)
    for empty in (b"", b"# nothing\n", b"[]\n", b"flags: []\n"):
        assert read_definitions(empty) == ()


def test_the_file_of_a_new_service_is_read() -> None:
    """The template writes what this reads."""
    text = (archives.TEMPLATES / "api-python/files" / f"{FILE_NAME}.jinja").read_text()
    filled = text.replace("[= (owner or name)|quoted =]", '"shop"').replace("[= flag_expires =]", "2027-01-31")
    (one,) = read_definitions(filled.encode())
    assert (one.owner, one.default, one.expires) == ("shop", False, date(2027, 1, 31))


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("key: new-cart", "key: New Cart", "key"),
        ("key: new-cart", "key: 'a\\n'", "key"),
        ("owner: checkout", "owner: ''", "owner"),
        ("default: false", "default: 'no'", "default"),
        ("default: false", "default: no", "default"),
        ("expires: 2026-12-31", "expires: never", "expires"),
        ("expires: 2026-12-31", "expires: 2026-02-30", "expires"),
        ("  expires: 2026-12-31\n", "", "expires"),
        ("  description: The new cart.\n", "", "description"),
        ("  description: The new cart.\n", "  description: x\n  rollout: 5\n", "rollout"),
        ("cleanup: [Delete the old cart., Delete the flag.]", "cleanup: 5", "cleanup"),
        ("- key", "- &a key", "anchor"),
    ],
)
def test_a_broken_definition_is_refused_by_its_field(before: str, after: str, fault: str) -> None:
    """Wrong, missing and unknown ones; the file is named too."""
    assert before in ONE
    with pytest.raises(InvalidInput, match=fault) as caught:
        read_definitions(ONE.replace(before, after, 1).encode())
    assert "feature-flags/flags.yaml" in str(caught.value)


@pytest.mark.parametrize("text", ["flag", "flags: 5", "other: []", "flags: []\nmore: 1", "- 5", "[", "{}", "\x00"])
def test_another_document_is_refused(text: str) -> None:
    """Neither a list of flags nor one below flags."""
    with pytest.raises(InvalidInput):
        read_definitions(text.encode())


def test_a_key_stands_there_once() -> None:
    """Two defaults for one flag would be a question."""
    with pytest.raises(InvalidInput, match="'a' twice"):
        read_definitions(file("a", "b", "a"))


def test_limits_of_a_file() -> None:
    """Flags, bytes and documents."""
    keys = [f"f{number}" for number in itertools.islice(itertools.count(), MAX_FLAGS + 1)]
    assert len(read_definitions(file(*keys[1:]))) == MAX_FLAGS
    with pytest.raises(InvalidInput, match="flags"):
        read_definitions(file(*keys))
    with pytest.raises(TooLarge):
        read_definitions(b"#" * 300_000)
    with pytest.raises(TooLarge):
        read_definitions(file("a") + b"---\n" + file("b"))
