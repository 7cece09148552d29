from __future__ import annotations

from pathlib import Path

import pytest

from companyos.core.errors import Conflict, IntegrityFault, NotFound
from companyos.goldenpath.archives import load_template
from companyos.goldenpath.release import main, release
from tests.goldenpath.scaffolding import DEFINITION, FILES


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    """A folder of templates in which one is at work and none was released."""
    (tmp_path / "archives").mkdir()
    for path, data in {"template.yaml": DEFINITION.encode(), **FILES}.items():
        (tmp_path / "small" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "small" / path).write_bytes(data)
    return tmp_path


def change(templates: Path, version: str) -> None:
    """Change the template, under a version."""
    (templates / "small" / "template.yaml").write_text(DEFINITION.replace("1.0.0", version), encoding="utf-8")
    (templates / "small" / "files" / "new.txt").write_text("new\n", encoding="utf-8")


def test_versions_stand_side_by_side(templates: Path) -> None:
    """A release adds an archive and leaves the older ones as they are; doing it again changes nothing."""
    _, first = release("small", templates=templates)
    assert release("small", templates=templates) == ("1.0.0", first)
    change(templates, "1.1.0")
    assert release("small", templates=templates)[0] == "1.1.0"
    folder = templates / "archives"
    assert "new.txt" in load_template("small", folder=folder).files
    assert load_template("small", "1.0.0", folder=folder).digest == first


@pytest.mark.parametrize("version", ["1.0.0", "0.9.0"])
def test_a_released_version_is_not_released_again(templates: Path, version: str) -> None:
    """Other bytes need a higher number, because services name the digest of the old ones."""
    release("small", templates=templates)
    before = {path.name: path.read_bytes() for path in (templates / "archives").iterdir()}
    change(templates, version)
    with pytest.raises(Conflict, match="released already"):
        release("small", templates=templates)
    assert {path.name: path.read_bytes() for path in (templates / "archives").iterdir()} == before


def test_a_template_that_cannot_be_rendered_is_not_released(templates: Path) -> None:
    """The fault is found here and not by whoever creates a service."""
    (templates / "small" / "files" / "bad.jinja").write_text("[= nobody =]", encoding="utf-8")
    with pytest.raises(IntegrityFault, match="nobody"):
        release("small", templates=templates)
    assert list((templates / "archives").iterdir()) == []


def test_an_unknown_template_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """One sentence, and an exit code."""
    with pytest.raises(NotFound):
        release("other", templates=tmp_path)
    assert main(["no-such-template"]) == 1
    assert "There is no template in" in capsys.readouterr().err
    assert main([]) == 2
