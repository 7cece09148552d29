"""The floors of the house: who may import whom. `lint-imports` checks the arrows, these tests check its plan."""

from __future__ import annotations

import tomllib

from tests.needs import ROOT

_BESIDE_THE_FLOORS = {"migrations"}  # imports no pillar and is loaded by path, by `core.schema`


def contracts() -> list[dict[str, object]]:
    """The import contracts of the project."""
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found: list[dict[str, object]] = configuration["tool"]["importlinter"]["contracts"]
    return found


def floors() -> list[set[str]]:
    """Names of the packages on each floor, the highest first."""
    layers = next(contract["layers"] for contract in contracts() if contract["type"] == "layers")
    assert isinstance(layers, list)
    return [{name.strip().removeprefix("companyos.") for name in layer.split("|")} for layer in layers]


def test_every_package_stands_on_a_floor() -> None:
    """A new package is not free to import everything: it gets its place in pyproject.toml first."""
    source = ROOT / "src" / "companyos"
    packages = {path.parent.name for path in source.glob("*/*.py")}
    modules = {path.stem for path in source.glob("*.py")} - {"__init__", "__main__"}
    placed = set().union(*floors())
    assert packages - placed - _BESIDE_THE_FLOORS == set()
    assert placed - packages == set()
    assert modules == set(), "modules live in packages"


def test_no_package_stands_on_two_floors() -> None:
    """The plan is a list, not a net."""
    names = [name for floor in floors() for name in floor]
    assert sorted(names) == sorted(set(names))


def test_migrations_may_import_no_pillar() -> None:
    """A migration describes the tables of its own day, so it never follows a pillar that changed since."""
    forbidden = next(c["forbidden_modules"] for c in contracts() if c.get("source_modules") == ["companyos.migrations"])
    assert isinstance(forbidden, list)
    assert {name.removeprefix("companyos.") for name in forbidden} == set().union(*floors()) - {"core"}


def test_the_picture_shows_every_floor() -> None:
    """ARCHITECTURE.md draws each package that exists, and explains it below."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    picture = text.split("```mermaid")[1].split("```")[0]
    names = set().union(*floors())
    assert {name for name in names if f"<b>{name}</b>" not in picture} == set()
    assert {name for name in names if f"| `{name}` |" not in text} == set()
