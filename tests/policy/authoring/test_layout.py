"""A folder in, a policy out, and a sentence for everything that is in the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from companyos.core.errors import CompanyOSError
from companyos.policy.authoring import layout
from tests.policy.authoring.folders import EXAMPLES, change, folder

__all__ = ["folder"]


def test_a_folder_is_read_as_the_bundle_that_it_becomes() -> None:
    """Modules under their path in the bundle, tests and data apart, metadata typed."""
    policy = layout.read(EXAMPLES)
    assert (policy.bundle_id, policy.stage, policy.version) == ("companyos/documents", "dev", "1.0.0")
    assert sorted(policy.modules) == [
        f"companyos/documents/{name}.rego" for name in ("dlp", "export", "policy", "residency", "stepup")
    ]
    assert sorted(policy.tests) == sorted(policy.about.tests.files)
    assert policy.about.owner == "data-protection"
    source = policy.source("ann")
    assert (source.created_by, source.owner, source.about) == ("ann", "data-protection", policy.about_text)


def test_data_may_be_yaml(folder: Path) -> None:
    """It becomes the same data."""
    before = layout.read(folder).data
    (folder / "data.json").unlink()
    (folder / "data.yaml").write_text("finance:\n  invoice_api:\n    config:\n      actions: [read]\n")
    assert layout.read(folder).data == before


def test_a_policy_may_have_no_data(folder: Path) -> None:
    """Then it is empty."""
    (folder / "data.json").unlink()
    assert layout.read(folder).data == {}


def write(name: str, text: str) -> Callable[[Path], object]:
    """Put a file into the folder."""
    return lambda folder: (folder / name).write_text(text)


CASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no metadata": (lambda folder: (folder / "metadata.yaml").unlink(), "has no metadata.yaml"),
    "empty metadata": (write("metadata.yaml", "# nothing\n"), "is empty"),
    "metadata without owner": (lambda folder: change(folder, "metadata.yaml", "owner: finance\n", ""), "owner"),
    "metadata with a field of its own": (
        lambda folder: change(folder, "metadata.yaml", "owner:", "trusted: true\nowner:"),
        "trusted",
    ),
    "metadata without a change log": (
        write("metadata.yaml", "owner: a\ntests: {files: [a]}\nchanges: []\n"),
        "changes",
    ),
    "a coverage beyond all": (
        lambda folder: change(folder, "metadata.yaml", "coverage: 1.0", "coverage: 2"),
        "coverage",
    ),
    "metadata with an alias": (lambda folder: change(folder, "metadata.yaml", "owner: f", "owner: &a f"), "alias"),
    "data twice": (write("data.yaml", "{}"), "data.json and data.yaml"),
    "a key twice": (write("data.json", '{"a": 1, "a": 2}'), "twice"),
    "data that is no object": (write("data.json", "[1]"), "no object"),
    "not a number": (write("data.json", '{"a": NaN}'), "NaN"),
    "a link": (lambda folder: (folder / "more.rego").symlink_to("/etc/hostname"), "is a link"),
    "a strange name": (write("my policy.rego", "package a\n"), "name"),
    "no UTF-8": (lambda folder: (folder / "policy.rego").write_bytes(b"package a\n# \xff"), "UTF-8"),
    "a file beyond the limit": (lambda folder: (folder / "big.rego").write_bytes(bytes(layout.MAX_FILE + 1)), "bytes"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_folder_that_is_no_policy_gets_one_sentence(name: str, folder: Path) -> None:
    """It names the file and the next step."""
    spoil, words = CASES[name]
    spoil(folder)
    with pytest.raises(CompanyOSError) as caught:
        layout.read(folder)
    assert words in caught.value.detail
    assert caught.value.next_step


@pytest.mark.parametrize("place", ["a/b/dev", "a/b/test/1.0.0", "a/b/dev/1.0", "A/b/dev/1.0.0", "a/../dev/1.0.0"])
def test_a_folder_elsewhere_is_no_policy(tmp_path: Path, place: str) -> None:
    """The path says domain, service, stage and version."""
    with pytest.raises(CompanyOSError, match="no folder of a policy"):
        layout.place(tmp_path / place)


def test_a_folder_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    """With the command that makes one."""
    with pytest.raises(CompanyOSError) as caught:
        layout.read(tmp_path / "a" / "b" / "dev" / "1.0.0")
    assert "policy new" in caught.value.next_step


def test_what_was_read_can_be_written_down() -> None:
    """Data is plain JSON."""
    assert json.loads(json.dumps(layout.read(EXAMPLES).data)) == layout.read(EXAMPLES).data
