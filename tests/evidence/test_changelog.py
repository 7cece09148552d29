from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from companyos.evidence import changelog
from companyos.evidence.changelog import NAMED, DependencyChange
from companyos.evidence.model import Commit

indexes = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from(["file:1", "file:2", "link:1"]))


@given(indexes, indexes)
def test_every_path_is_added_removed_changed_or_the_same(before: dict[str, str], after: dict[str, str]) -> None:
    """Each in one list, in order, and turned around the lists change sides."""
    made = changelog.compare(before, after, base="x", digest="y")
    back = changelog.compare(after, before, base="y", digest="x")
    assert (made.added, made.removed, made.changed) == (back.removed, back.added, back.changed)
    said = [*made.added.names, *made.removed.names, *made.changed.names]
    assert len(set(said)) == len(said)
    same = {path for path in before.keys() & after.keys() if before[path] == after[path]}
    assert set(said) | same == before.keys() | after.keys()
    assert set(said) & same == set()
    assert list(made.added.names) == sorted(made.added.names)


def test_long_lists_are_cut_and_counted_whole() -> None:
    """A changelog is stored with its release, so it stays small."""
    made = changelog.compare({}, {f"{number:05}": "x" for number in range(1000)}, base=None, digest="y")
    assert (made.added.count, len(made.added.names), made.added.names[-1]) == (1000, NAMED, f"{NAMED - 1:05}")
    moved = changelog.dependencies("", "".join(f"p{number:05}==1\n" for number in range(1000)))
    cut = changelog.with_dependencies(made, moved)
    assert (len(moved), len(cut.dependencies)) == (1000, NAMED)
    assert cut.note == "1,000 dependencies moved; the first 200 are listed."
    assert changelog.with_dependencies(made, moved[:NAMED]).note == ""


def test_dependencies_that_came_went_and_moved() -> None:
    """By normal names; hashes, comments, markers and options are no dependencies."""
    before = """\
# a list
--index-url x
httpx==0.27.0 \\
    --hash=sha256:aaaa
Zope.Interface==6.0
gone==1.0 ; python_version < "3.12"
same[extra] == 2.0
tool==1 ; sys_platform == "linux"
tool==2 ; sys_platform == "darwin"
"""
    after = """\
httpx==0.28.1 \\
    --hash=sha256:bbbb
zope-interface==6.0
same==2.0
new==3.0+local.1
tool==2
"""
    assert changelog.dependencies(before, after) == (
        DependencyChange(name="gone", before="1.0", after=None),
        DependencyChange(name="httpx", before="0.27.0", after="0.28.1"),
        DependencyChange(name="new", before=None, after="3.0+local.1"),
        DependencyChange(name="tool", before="1, 2", after="2"),
    )


@given(st.text("ab=.-_[] \t\n1", max_size=200))
def test_the_same_list_has_no_changes(text: str) -> None:
    """Whatever it says."""
    assert changelog.dependencies(text, text) == ()


def test_a_list_that_was_made_to_be_slow_is_not() -> None:
    """Blanks without end, names without end: the time grows with the length and no faster."""
    began = time.process_time()
    for text in ("a" + " " * 2_000_000, "a" * 2_000_000, "a[" + "]" * 2_000_000, "a[" * 1_000_000, "a== " * 500_000):
        assert len(changelog.dependencies("", text)) <= 1
    assert time.process_time() - began < 5


def test_a_changelog_is_json() -> None:
    """With the commits as they were sent."""
    made = changelog.compare({}, {"a": "1"}, base=None, digest="y", commits=[Commit(id="c" * 40, subject="Begin")])
    assert changelog.as_document(made) == {
        "base": None,
        "digest": "y",
        "added": {"count": 1, "names": ["a"]},
        "removed": {"count": 0, "names": []},
        "changed": {"count": 0, "names": []},
        "dependencies": [],
        "commits": [{"id": "c" * 40, "subject": "Begin"}],
        "note": "",
    }
