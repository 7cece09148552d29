from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from companyos.cli.main import run
from tests.identity.test_importing import FILE

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def companyos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], bound: None
) -> Command:
    """Return what runs ``companyos identity …`` on a home of its own: exit code, standard output and error."""
    monkeypatch.setenv("COMPANYOS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("COMPANYOS_URL", raising=False)

    def call(*words: str) -> tuple[int, str, str]:
        code = run(("identity", *words))
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def answer(companyos: Command, *words: str) -> Any:
    """Return what a command says with --json, which must be one document and nothing else."""
    code, out, err = companyos(*words, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def text(companyos: Command, *words: str) -> str:
    """Return what a command says to a person."""
    code, out, err = companyos(*words)
    assert (code, err) == (0, "")
    return out


def test_a_file_is_looked_at_imported_and_changes_nothing_more(companyos: Command, tmp_path: Path) -> None:
    """The dry run names each change; the second import says that all is so already."""
    file = tmp_path / "people.yaml"
    file.write_text(FILE)
    shown = text(companyos, "import", str(file), "--dry-run")
    assert "set user:pat clearance\n" in shown
    assert shown.endswith("11 would change, 0 are so already.\n")
    assert answer(companyos, "list") == []
    assert text(companyos, "import", str(file)).endswith("11 changed, 0 are so already.\n")
    assert text(companyos, "import", str(file)) == "0 changed, 10 are so already.\n"
    listed = text(companyos, "list")
    assert "user:pat" in listed
    assert "buyer in emea until 2026-06-01T00:00:00Z" in listed
    as_json = tmp_path / "people.json"
    as_json.write_text(json.dumps({"subjects": [{"name": "pat", "roles": []}]}))
    assert [one["action"] for one in answer(companyos, "import", str(as_json))["changes"]] == ["unbind", "unbind"]


def test_a_broken_file_is_one_sentence(companyos: Command, tmp_path: Path) -> None:
    """And a file that is not there another one; nothing is imported."""
    file = tmp_path / "people.yaml"
    file.write_text("subjects: [{name: Pat}]")
    code, out, err = companyos("import", str(file))
    assert (code, out) == (2, "")
    assert err.startswith("Error: The import, subjects[0].name: Expected up to 63")
    assert companyos("import", str(tmp_path / "none"))[0] == 1


def test_what_is_said_is_shown_with_its_source(companyos: Command, tmp_path: Path) -> None:
    """Values are read as YAML; a name without a kind is that of a user; what covers what is to be seen."""
    file = tmp_path / "people.yaml"
    file.write_text("subjects: [{name: pat, org_id: acme}, {name: ci, type: service}]")
    answer(companyos, "import", str(file))
    said = answer(companyos, "set", "pat", "clearance", "high", "--ttl", "30d", "--source", "import:hr")
    assert (said["value"], said["ttl"], said["source"]) == ("high", 30 * 86_400, "import:hr")
    for value, read in (("3", 3), ("true", True), ("null", None), ("'3'", "3"), ("[a, 1]", ["a", 1]), ("", None)):
        assert answer(companyos, "set", "service:ci", "x", value)["value"] == read
    answer(companyos, "set", "org:acme", "clearance", "low")
    answer(companyos, "set", "org:acme", "country", "DE")
    out = text(companyos, "show", "user:pat")
    lines = {tuple(line.split()[:2]): line for line in out.splitlines()}
    assert lines["clearance", "high"].split()[2:4] == ["holds", "until"]
    assert lines["clearance", "high"].split()[-2:] == ["itself", "import:hr"]
    assert lines["clearance", "low"].split()[2] == "covered"
    assert "org:acme" in lines["country", "DE"]
    assert answer(companyos, "show", "pat")["attributes"] == {"clearance": "high", "country": "DE"}
    assert answer(companyos, "unset", "pat", "clearance") == {"holder": "pat", "name": "clearance", "removed": True}
    assert answer(companyos, "show", "pat")["attributes"] == {"clearance": "low", "country": "DE"}


def test_roles_are_made_bound_and_taken(companyos: Command, tmp_path: Path) -> None:
    """With a workspace and an end; a role that somebody has stays."""
    file = tmp_path / "people.yaml"
    file.write_text("subjects: [{name: pat}]")
    answer(companyos, "import", str(file))
    assert "Created the role buyer" in text(companyos, "role", "create", "buyer", "--description", "Buys.")
    assert "Buys." in text(companyos, "role", "list")
    bound = answer(companyos, "bind", "pat", "buyer", "--workspace", "emea", "--ttl", "1h")
    assert [(one["role"], one["workspace_id"], one["expires_at"] is None) for one in bound["bindings"]] == [
        ("buyer", "emea", False)
    ]
    assert answer(companyos, "show", "pat", "--workspace", "emea")["roles"] == ["buyer"]
    assert companyos("role", "delete", "buyer")[0] == 1
    assert len(answer(companyos, "unbind", "pat", "buyer")["bindings"]) == 1
    assert answer(companyos, "unbind", "pat", "buyer", "--workspace", "emea")["bindings"] == []
    assert text(companyos, "role", "delete", "buyer") == "The role buyer is gone.\n"


def test_a_subject_is_suspended_and_made_active(companyos: Command, tmp_path: Path) -> None:
    """Meanwhile it has nothing."""
    file = tmp_path / "people.yaml"
    file.write_text("subjects: [{name: pat, roles: [viewer], attributes: {a: 1}}]")
    answer(companyos, "import", str(file))
    assert text(companyos, "suspend", "pat") == "user:pat is suspended.\n"
    shown = answer(companyos, "show", "pat")
    assert (shown["roles"], shown["attributes"]) == ([], {})
    assert "suspended" in text(companyos, "show", "pat")
    assert text(companyos, "activate", "user:pat") == "user:pat is active.\n"
    assert answer(companyos, "show", "pat")["roles"] == ["viewer"]


def test_bad_usage_is_said_in_one_sentence(companyos: Command) -> None:
    """Of values, times, holders and subjects that are none."""
    for code, words in (
        (2, ("set", "org:acme", "a", "{b: 1}")),
        (2, ("set", "org:acme", "a", "&x 1")),
        (2, ("set", "org:acme", "a", "1", "--ttl", "30")),
        (2, ("set", "org:ACME", "a", "1")),
        (2, ("set", "org:acme", "A", "1")),
        (1, ("set", "pat", "a", "1")),
        (1, ("show", "team:x")),
        (1, ("bind", "pat", "viewer")),
        (1, ("unset", "org:acme", "a")),
    ):
        got, out, err = companyos(*words)
        assert (got, out) == (code, ""), words
        assert err.startswith("Error: "), words
