from __future__ import annotations

from collections.abc import Callable

import pytest

from companyos.core.access import Caller
from companyos.core.errors import NotFound
from companyos.evidence import Artifact, Evidence, packing
from tests.evidence.repositories import Repository

LOCK = b"httpx==%s \\\n    --hash=sha256:0\n"


def test_a_changelog_names_files_and_dependencies(evidence: Evidence, stored: Callable[..., Artifact]) -> None:
    """Added, removed, changed; the moved dependency with both versions."""
    old = stored(version="1", lock=LOCK % b"0.27", files={"same": b"1", "gone": b"1", "other": b"1"})
    new = stored(version="2", lock=LOCK % b"0.28", files={"same": b"1", "other": b"2", "fresh": b"1"})
    told = evidence.changelog(old.digest, new.digest)
    assert (told["base"], told["digest"], told["note"]) == (old.digest, new.digest, "")
    assert told["added"] == {"count": 1, "names": ["fresh"]}
    assert told["removed"] == {"count": 1, "names": ["gone"]}
    assert told["changed"] == {"count": 2, "names": ["other", "requirements.lock"]}
    assert told["dependencies"] == [{"name": "httpx", "before": "0.27", "after": "0.28"}]


def test_the_first_changelog_says_that_everything_is_new(evidence: Evidence, stored: Callable[..., Artifact]) -> None:
    """Without a base."""
    new = stored(lock=LOCK % b"0.28", files={"a": b"1"})
    told = evidence.changelog(None, new.digest)
    assert told["added"] == {"count": 3, "names": ["a", "companyos.yaml", "requirements.lock"]}
    assert told["dependencies"] == [{"name": "httpx", "before": None, "after": "0.28"}]


def test_a_file_that_became_a_program_has_changed(evidence: Evidence, operator: Caller, repository: Repository) -> None:
    """Or a link whose target is the text that was in the file."""
    repository.write("run", "src/app.py")
    repository.write("link", "src/app.py")
    repository.commit("Before")
    old = evidence.put_artifact(operator, packing.pack(repository.path).data)
    (repository.path / "run").chmod(0o755)
    (repository.path / "link").unlink()
    (repository.path / "link").symlink_to("src/app.py")
    repository.commit("After")
    new = evidence.put_artifact(operator, packing.pack(repository.path).data)
    assert evidence.changelog(old.digest, new.digest)["changed"]["names"] == ["link", "run"]


@pytest.mark.parametrize("digest", ["sha256:" + "0" * 64, "nonsense"])
def test_what_cannot_be_read_leaves_a_note(evidence: Evidence, stored: Callable[..., Artifact], digest: str) -> None:
    """A deploy does not fail for its changelog."""
    new = stored()
    for told in (evidence.changelog(digest, new.digest), evidence.changelog(new.digest, digest)):
        assert told["note"].startswith("Files cannot be compared: ")
        assert told["added"]["count"] == 0


def test_a_file_of_an_artifact_is_read_by_its_path(evidence: Evidence, stored: Callable[..., Artifact]) -> None:
    """Its flags are defined from there."""
    made = stored(files={"feature-flags/flags.yaml": b"[]\n"})
    assert evidence.file(made.digest, "feature-flags/flags.yaml") == b"[]\n"
    assert evidence.file(made.digest, "feature-flags") is None
    with pytest.raises(NotFound):
        evidence.file("sha256:" + "0" * 64, "x")
