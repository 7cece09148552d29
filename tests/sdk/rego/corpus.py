"""The cases in `cases/*.yaml`: what a program of Rego says, by topic, each declared by hand.

A case has a `name`, its `modules` (or `rego`: the body of a module `policy.rego` in package `t`, whose rows count from
2), `data`, `input`, `entry` (default `data.t.p`), `strict`, and what is expected: `want` (a value), `undefined: true`,
or `error` (the class of the error, with `file`, `row` and `builtin` where they matter). `regopy: false` says that
regopy cannot be asked: it lacks a function, would not come back, or says something else than OPA does. What is declared
is what OPA 1.21.3 says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from companyos_sdk.rego import UNDEFINED
from companyos_sdk.rego import errors as kinds

FOLDER: Final = Path(__file__).parent / "cases"


class Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One case; see the top of this file."""

    name: str
    rego: str | None = None
    modules: dict[str, str] | None = None
    data: dict[str, Any] = {}
    input: Any = UNDEFINED
    entry: str = "data.t.p"
    strict: bool = False
    want: Any = UNDEFINED
    undefined: bool = False
    error: str | None = None
    file: str | None = None
    row: int | None = None
    builtin: str | None = None
    or_undefined: bool = False
    """Whether an undefined result is as good as the error."""
    regopy: bool = True

    @property
    def sources(self) -> dict[str, str]:
        """The modules, file name to source."""
        return self.modules or {"policy.rego": f"package t\n{self.rego}"}

    @property
    def expected_error(self) -> type[Exception] | None:
        """The class of the error, if one is expected."""
        return getattr(kinds, self.error) if self.error else None

    def given(self) -> Any:
        """The input, a new one every time; UNDEFINED where there is none."""
        return built(self.input)


def built(value: Any) -> Any:
    """The value with what is too long to write: `{repeat, times}`, `{text, times, end}` and `{nest}` (arrays)."""
    if isinstance(value, list):
        return [built(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"nest"}:
        nested: list[Any] = []
        for _ in range(value["nest"]):
            nested = [nested]
        return nested
    if value.keys() >= {"repeat", "times"}:
        return value["repeat"] * value["times"]
    if value.keys() >= {"text", "times"}:
        return value["text"] * value["times"] + value.get("end", "")
    return {name: built(item) for name, item in value.items()}


def cases() -> list[tuple[str, Case]]:
    """Every case, with its topic and name."""
    found: list[tuple[str, Case]] = []
    for file in sorted(FOLDER.glob("*.yaml")):
        for entry in yaml.safe_load(file.read_text(encoding="utf-8")):
            case = msgspec.convert(entry, Case)
            says = (case.want is not UNDEFINED, case.undefined, case.error is not None)
            assert sum(says) == 1, f"{file.name}: {case.name} must expect one thing."
            found.append((f"{file.stem}: {case.name}", case))
    return found


def same(left: Any, right: Any) -> bool:
    """Whether two JSON values are equal in Rego: true is never 1, and 1 is 1.0."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(item, right[name]) for name, item in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)
