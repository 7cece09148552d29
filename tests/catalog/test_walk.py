from __future__ import annotations

from pathlib import Path

import pytest

from companyos.catalog import walk
from companyos.catalog.walk import MAX_BYTES, read_sources
from companyos.core.errors import CompanyOSError, InvalidInput, TooLarge


def put(path: Path, text: str = "x") -> Path:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_folder_is_searched_for_the_names_we_read(tmp_path: Path) -> None:
    """In order, with paths relative to it, behind the address that was given."""
    for name in ("b/companyos.yaml", "a/catalog-info.yaml", "a/deep/er/companyos.yml", "a/other.yaml", "README.md"):
        put(tmp_path / name)
    found = read_sources(tmp_path, prefix="https://git.example.org/shop/")
    assert [source.path.removeprefix("https://git.example.org/shop/") for source in found] == [
        "a/catalog-info.yaml",
        "a/deep/er/companyos.yml",
        "b/companyos.yaml",
    ]


def test_hidden_and_installed_folders_are_left_out(tmp_path: Path) -> None:
    """A manifest in there is somebody else's."""
    for folder in (".git", ".companyos", "node_modules/x", "vendor", "venv"):
        put(tmp_path / folder / "companyos.yaml")
    put(tmp_path / "companyos.yaml")
    assert [source.path for source in read_sources(tmp_path)] == ["companyos.yaml"]


def test_links_lead_nowhere(tmp_path: Path) -> None:
    """Neither a linked file nor a linked folder is read: a repository must not reach out of itself."""
    outside = tmp_path / "outside"
    put(outside / "companyos.yaml", "secret")
    inside = tmp_path / "inside"
    put(inside / "own" / "companyos.yaml", "mine")
    (inside / "linked").symlink_to(outside)
    (inside / "companyos.yaml").symlink_to(outside / "companyos.yaml")
    (inside / "own" / "loop").symlink_to(inside)
    assert [(source.path, source.text) for source in read_sources(inside)] == [("own/companyos.yaml", "mine")]


def test_a_named_file_is_read_whatever_it_is_called(tmp_path: Path) -> None:
    """Also through a link, because somebody has named it."""
    put(tmp_path / "real.yaml", "text")
    (tmp_path / "link.yaml").symlink_to(tmp_path / "real.yaml")
    assert [(source.path, source.text) for source in read_sources(tmp_path / "link.yaml")] == [("link.yaml", "text")]


def test_what_cannot_be_read_is_a_fault_with_a_name(tmp_path: Path) -> None:
    """A missing file, an empty folder, bytes that are no text."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "latin.yaml").write_bytes(b"\xe9")
    for wrong in ("missing.yaml", "empty", "latin.yaml"):
        with pytest.raises(InvalidInput, match=wrong):
            read_sources(tmp_path / wrong)


def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    """It is no regular file."""
    import os

    os.mkfifo(tmp_path / "companyos.yaml")
    with pytest.raises(CompanyOSError):
        read_sources(tmp_path)


def test_sizes_and_numbers_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over all files together."""
    put(tmp_path / "a" / "companyos.yaml", "x" * (MAX_BYTES // 2 + 1))
    put(tmp_path / "b" / "companyos.yaml", "x" * (MAX_BYTES // 2 + 1))
    with pytest.raises(TooLarge, match="bytes to import"):
        read_sources(tmp_path)
    monkeypatch.setattr(walk, "MAX_FILES", 1)
    with pytest.raises(TooLarge, match="more than 1 files"):
        read_sources(tmp_path)


def test_depth_is_bounded(tmp_path: Path) -> None:
    """What lies deeper is not looked for."""
    put(tmp_path.joinpath(*["d"] * 24) / "companyos.yaml")
    put(tmp_path.joinpath(*["e"] * 25) / "companyos.yaml")
    assert [source.path[0] for source in read_sources(tmp_path)] == ["d"]
