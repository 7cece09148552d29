"""What is installed in an environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from companyos.delivery.installed import installed_digest, read_installed


def install(path: Path, name: str = "Left_Pad", version: str = "1.0", content: str = "x = 1\n") -> Path:
    """Put a package there as pip would, and return its file."""
    site = path / "lib" / "python3.11" / "site-packages"
    folder = site / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True, exist_ok=True)
    file = site / f"{name}.py"
    file.write_text(content)
    record = f"{name}.py,sha256=abc,{len(content)}\n{folder.name}/RECORD,,\n"
    (folder / "RECORD").write_text(record)
    return file


def test_packages_are_read_by_name(tmp_path: Path) -> None:
    """In their normal form, with nothing changed."""
    install(tmp_path, "zeta")
    install(tmp_path)
    found = read_installed(tmp_path)
    assert [(package.name, package.version, package.changed) for package in found] == [
        ("left-pad", "1.0", ""),
        ("zeta", "1.0", ""),
    ]
    assert read_installed(tmp_path / "nothing") == ()


@pytest.mark.parametrize("change", ["longer", "gone", "version", "another", "record", "no record"])
def test_every_change_changes_the_digest(tmp_path: Path, change: str) -> None:
    """What somebody could do to an environment."""
    file = install(tmp_path)
    before = installed_digest(read_installed(tmp_path))
    folder = next(file.parent.glob("*.dist-info"))
    match change:
        case "longer":
            file.write_text("x = 1\nimport evil\n")
        case "gone":
            file.unlink()
        case "version":
            folder.rename(folder.with_name("Left_Pad-1.1.dist-info"))
        case "another":
            install(tmp_path, "evil")
        case "record":
            (folder / "RECORD").write_text((folder / "RECORD").read_text().replace("abc", "abd"))
        case _:
            (folder / "RECORD").unlink()
    assert installed_digest(read_installed(tmp_path)) != before


def test_every_file_that_was_changed_is_named(tmp_path: Path) -> None:
    """Else the change of a second one would hide behind the first."""
    file = install(tmp_path)
    record = next(file.parent.glob("*.dist-info")) / "RECORD"
    record.write_text(record.read_text() + 'gone.py,sha256=abc,3\n"a\0b",sha256=abc,3\n')
    file.write_text("x = 22\n")
    assert read_installed(tmp_path)[0].changed.split("\n") == ["Left_Pad.py 7", "gone.py -1", "a\0b -1"]
