from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from companyos.cli.main import run
from tests.catalog.documents import COMPONENT, MANIFEST

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def companyos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], bound: None
) -> Command:
    """Return what runs a command on a home of its own, without a server: exit code, standard output and error."""
    monkeypatch.setenv("COMPANYOS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("COMPANYOS_URL", raising=False)

    def call(*words: str) -> tuple[int, str, str]:
        code = run(words)
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def answer(companyos: Command, *words: str) -> Any:
    """Return what a command says with --json, which must be one document and nothing else."""
    code, out, err = companyos(*words, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def test_a_service_from_add_to_remove(companyos: Command) -> None:
    """As a person would do it, on an empty home."""
    code, out, _ = companyos("service", "add", "shop", "--owner", "team-a", "--region", "eu", "--region", "us")
    assert (code, out) == (0, "Added shop, owned by team-a.\n")
    companyos("service", "add", "cart", "--depends-on", "shop", "--domain", "sales")
    assert [service["name"] for service in answer(companyos, "service", "list")] == ["cart", "shop"]
    assert [service["name"] for service in answer(companyos, "service", "list", "--unowned")] == ["cart"]
    assert [service["name"] for service in answer(companyos, "service", "list", "--sort", "-name", "--limit", "1")] == [
        "shop"
    ]
    shown = answer(companyos, "service", "show", "shop")
    assert (shown["regions"], shown["deployments"]) == (["eu", "us"], [])
    _, out, _ = companyos("service", "show", "shop")
    assert "eu us" in out
    assert "Nothing is known to run." in out
    code, _, err = companyos("service", "remove", "shop", "--yes")
    assert code == 1
    assert "cart depend on it" in err
    assert answer(companyos, "service", "remove", "cart", "--yes") == {"name": "cart", "removed": True}
    assert companyos("service", "remove", "shop", "--yes")[0] == 0
    assert companyos("service", "list")[1] == "No service matches.\n"


def test_removing_asks_somebody(companyos: Command) -> None:
    """Where nobody can be asked, nothing is removed."""
    companyos("service", "add", "shop")
    code, _, err = companyos("service", "remove", "shop")
    assert code == 2
    assert "--yes" in err
    assert companyos("service", "show", "shop")[0] == 0


def test_a_folder_is_imported_whole_or_not_at_all(companyos: Command, tmp_path: Path) -> None:
    """The report says what changed and what was skipped; the second import says that nothing did."""
    repository = tmp_path / "repository"
    (repository / "web").mkdir(parents=True)
    (repository / "companyos.yaml").write_text(MANIFEST)
    (repository / "web" / "catalog-info.yaml").write_text(COMPONENT)
    broken = repository / "web" / "companyos.yaml"
    broken.write_text("apiVersion: companyos.dev/v1\nkind: Service\nmetadata: {name: Web}\nspec: {}\n")
    code, _, err = companyos("service", "import", str(repository))
    assert code == 2
    assert "web/companyos.yaml, metadata.name: Expected 2 to 39 characters" in err
    assert answer(companyos, "service", "list") == []
    broken.unlink()
    code, out, _ = companyos("service", "import", str(repository), "--source", "https://git.example.org/shop")
    assert code == 0
    assert "created service artist-web\ncreated service checkout\n" in out
    assert "skipped Component:default/artist-web spec.dependsOn of backstage:https://git.example.org/shop/web" in out
    report = answer(companyos, "service", "import", str(repository), "--source", "https://git.example.org/shop")
    assert {item["outcome"] for item in report["items"]} == {"unchanged"}
    assert companyos("service", "import", str(tmp_path / "nothing"))[0] == 2


def test_faults_are_one_sentence_with_an_exit_code(companyos: Command) -> None:
    """1 for "no", 2 for bad input; with --json a problem on standard error."""
    code, out, err = companyos("service", "show", "shop")
    assert (code, out) == (1, "")
    assert err.startswith("Error: There is no service 'shop'.\nNext: ")
    code, out, err = companyos("service", "add", "Shop", "--json")
    assert (code, out) == (2, "")
    assert json.loads(err)["field"] == "name"


def test_the_schema_is_printed(companyos: Command) -> None:
    """As JSON, also without --json: it goes into a file."""
    code, out, _ = companyos("service", "schema")
    assert code == 0
    assert json.loads(out) == answer(companyos, "service", "schema")


def test_a_person_without_roles_is_denied(companyos: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Working on the files gives no more than the setting says."""
    monkeypatch.setenv("COMPANYOS_LOCAL_ROLES", "viewer")
    assert companyos("service", "list")[0] == 0
    for words in (("add", "shop"), ("remove", "shop", "--yes"), ("import", str(tmp_path))):
        (tmp_path / "companyos.yaml").write_text(MANIFEST)
        code, out, err = companyos("service", *words)
        assert (code, out) == (1, ""), words
        assert err
    monkeypatch.setenv("COMPANYOS_LOCAL_ROLES", "")
    assert companyos("service", "list")[0] == 1
