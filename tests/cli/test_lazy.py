from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from companyos.cli.lazy import lazy

COMMANDS = """\
import typer

app = typer.Typer()


@app.command()
def greet(name: str) -> None:
    \"\"\"Greet somebody.\"\"\"
    print(f"hello {name}")


@app.command()
def leave() -> None:
    \"\"\"Leave.\"\"\"
"""
MODULE = "commands_that_come_later"


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[typer.Typer]:
    """An application with one group that lives in a module of its own."""
    (tmp_path / f"{MODULE}.py").write_text(COMMANDS)
    monkeypatch.syspath_prepend(tmp_path)
    app = typer.Typer(rich_markup_mode=None)
    app.command("other")(lambda: None)
    app.add_typer(typer.Typer(cls=lazy(MODULE)), name="later", help="What comes later.")
    yield app
    sys.modules.pop(MODULE, None)


def test_group_is_imported_when_it_is_asked_for(app: typer.Typer, capsys: pytest.CaptureFixture[str]) -> None:
    """The help of the program shows the group without importing it; its own help and its commands import it."""
    command = typer.main.get_command(app)
    assert command.main(args=["--help"], standalone_mode=False) == 0
    assert "What comes later." in capsys.readouterr().out
    assert MODULE not in sys.modules

    assert command.main(args=["later", "--help"], standalone_mode=False) == 0
    assert "Greet somebody." in capsys.readouterr().out
    assert MODULE in sys.modules
    command.main(args=["later", "greet", "Maja"], standalone_mode=False)
    assert capsys.readouterr().out == "hello Maja\n"


def test_unknown_command_of_a_group_is_wrong_usage(app: typer.Typer) -> None:
    """A group that comes later suggests its commands like any other."""
    with pytest.raises(typer.TyperException, match=r"'gret'.*'greet'"):
        typer.main.get_command(app).main(args=["later", "gret"], standalone_mode=False)
