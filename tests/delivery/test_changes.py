from typing import Any

from companyos.delivery.changes import for_people
from companyos.evidence.changelog import as_document, compare, dependencies, with_dependencies
from companyos.evidence.model import Commit


def test_a_changelog_is_told_without_what_is_empty() -> None:
    """Commits come first, shortened; dependencies say from what to what; kinds of files that are empty are left out."""
    made = compare(
        {"a.py": "1", "b.py": "1"},
        {"a.py": "2", "b.py": "1"},
        base="sha256:" + "0" * 64,
        digest="sha256:" + "1" * 64,
        commits=(Commit(id="c" * 40, subject="Mend the tax"),),
    )
    moved = dependencies("httpx==0.27.0\nold==1\n", "httpx==0.28.1\nnew==2\n")
    assert for_people(as_document(with_dependencies(made, moved))) == {
        "commits": ["cccccccccccc Mend the tax"],
        "dependencies": {"httpx": "0.27.0 → 0.28.1", "new": "new → 2", "old": "1 → gone"},
        "changed files": ["a.py"],
    }


def test_names_that_were_cut_are_counted() -> None:
    """The count of a list is whole although its names are not."""
    told = for_people({"added": {"count": 1203, "names": ["a", "b"]}, "changed": {}, "removed": {}})
    assert told == {"added files": ["a", "b", "and 1,201 more"]}


def test_another_shape_is_left_as_it_is() -> None:
    """What an older release wrote down is shown, not lost."""
    older: dict[str, Any] = {"files": ["x"], "note": "unknown"}
    assert for_people(older) == older
