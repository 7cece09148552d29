from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import companyos
from companyos.cli import main
from companyos.core.errors import Denied, InvalidInput, Unavailable
from tests.program import Program

HEAVY = frozenset(
    {"sqlalchemy", "alembic", "litestar", "httpx", "uvicorn", "cryptography", "jinja2", "rich", "asyncio"}
)


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """The command line for a home that does not exist yet."""
    return Program(tmp_path / "home")


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("service", "--help"), ("ledger", "--help"), ("token", "--help"), ("db", "--help"), ("up", "--help")],
)
def test_help_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    """Help stays quick because it imports neither the database nor the web framework nor the HTTP client."""
    program = (
        "import sys; from companyos.cli.main import run; code = run(sys.argv[1:]); "
        f"print(code, sorted({set(HEAVY)!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"
    assert done.stdout.startswith("Usage: companyos")


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` prints the name and the version."""
    assert main.run(["--version"]) == 0
    assert capsys.readouterr().out == f"companyos {companyos.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["sevice"], "No such command 'sevice'"),
        (["up", "--prot", "1"], "--prot"),
        (["up", "--port", "many"], "--port"),
        (["up", "--port", "70000"], "--port"),
        (["db", "downgrade"], "downgrade"),
        (["up", "extra"], "extra"),
    ],
)
def test_wrong_usage_ends_with_2(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong command, option or value is one sentence and the help that says more; with --json a problem object."""
    assert main.run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(rf"Error: .*{re.escape(sentence)}.*[.?]\nNext: companyos.* --help shows what it takes\.\n", err)
    assert main.run([*arguments, "--json"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert json.loads(err)["status"] == 400


@pytest.mark.parametrize("arguments", [[], ["db"]])
def test_group_without_a_command_shows_its_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing to do is wrong usage, and what is wanted instead is the help."""
    assert main.run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Usage: companyos")


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Denied("No."), 1),
        (InvalidInput("Wrong."), 2),
        (Unavailable("Away."), 3),
        (RuntimeError("a bug"), 3),
        (KeyboardInterrupt(), 130),
        (typer.Abort(), 130),
        (typer.Exit(1), 1),
        (BrokenPipeError(), 1),
    ],
)
def test_every_end_has_its_exit_code(
    fault: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each kind of fault ends with its code, a bug included, and none with a traceback."""

    def command() -> None:
        raise fault

    app = typer.Typer()
    app.command("only")(command)
    app.command("other")(command)
    monkeypatch.setattr(main, "app", app)
    assert main.run(["only"]) == code
    assert "Traceback" not in capsys.readouterr().err


def test_reader_that_leaves_early_is_no_accident(program: Program) -> None:
    """`companyos … | head -0` ends quietly."""
    command = f"{sys.executable} -m companyos doctor --json | true"
    done = subprocess.run(
        ["/bin/sh", "-c", command], env=program.environment, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""


def test_setting_that_is_wrong_is_named(program: Program) -> None:
    """A wrong value in the environment is wrong input, not a crash."""
    result = program.run("status", COMPANYOS_PORT="many")
    assert result.code == 2
    assert "port" in result.err
    assert result.out == ""


@pytest.mark.parametrize(
    "arguments", [("up", "--detach"), ("serve",), ("down",), ("doctor",), ("db", "upgrade"), ("status",)]
)
def test_person_without_roles_may_do_nothing(program: Program, arguments: tuple[str, ...]) -> None:
    """Commands of the platform itself are denied like all others, and nothing is made."""
    result = program.run(*arguments, "--json", COMPANYOS_LOCAL_ROLES="")
    assert result.code == 1
    assert result.problem["type"].endswith("/denied")
    assert result.out == ""
    assert not program.home.exists()


def test_denial_is_recorded_where_there_is_a_ledger(program: Program) -> None:
    """A person who tries what the roles do not allow leaves a record."""
    assert program.run("db", "upgrade").code == 0
    assert program.run("doctor", COMPANYOS_LOCAL_ROLES="").code == 1
    from companyos.core.database import Database

    database = Database.open(f"sqlite:///{program.home / 'companyos.db'}")
    try:
        with database.read() as connection:
            bodies = [row[0] for row in connection.exec_driver_sql("SELECT body FROM ledger_entries ORDER BY 1")]
    finally:
        database.close()
    text = [body.decode() if isinstance(body, bytes) else str(body) for body in bodies]
    assert any("platform.doctor" in body and "deny" in body for body in text), text


def test_upgrade_shows_its_plan_and_changes_nothing_before(program: Program) -> None:
    """A dry run prints the statements; the upgrade then does what was planned, once, and is recorded."""
    dry = program.run("db", "upgrade", "--dry-run", "--json").document
    assert dry["dry_run"] is True
    assert dry["current"] is None
    assert "CREATE TABLE" in dry["sql"]
    first = program.run("db", "upgrade", "--json").document
    assert (first["current"], first["pending"]) == (None, dry["pending"])
    second = program.run("db", "upgrade", "--json").document
    assert (second["current"], second["pending"]) == (dry["target"], [])


def test_modules_of_the_command_line_import_heavy_things_inside_functions() -> None:
    """The rule behind quick help, read from the source: no module of the command line imports them at its top."""
    for path in Path(main.__file__).parent.glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.partition(".")[0] for name in names} & HEAVY, path.name
