"""Rules that hold for every file of the repository."""

from __future__ import annotations

import re
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

from tests.needs import ROOT

LONGEST = 350
LONGER: dict[str, str] = {
    "src/companyos/migrations/versions/0001_ground_floor.py": "one revision makes every table of the first release",
    "tests/catalog/test_service.py": "one use case after the other, on one catalog",
    "tests/core/test_keys.py": "one key store, and every fault that its files can have",
    "tests/ledger/test_tampering.py": "one list of attacks on a ledger; a gap shows only when they stand together",
}
"""Python files beyond that length, each with the reason why it is still one thing."""

_GENERATED = {"LICENSE", "requirements.lock", "requirements-native.lock", "requirements-optional.lock"}
# Written in two halves, because this file is searched too.
_REGISTRIES = ("pypi" + ".org", "pythonhosted" + ".org", "npmjs" + ".org", "npmjs" + ".com", "yarnpkg" + ".com")


@cache
def tracked() -> tuple[Path, ...]:
    """The files that are committed or would be, relative to the checkout; all of them where git does not know it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
    if listed.returncode == 0:
        paths = [Path(name) for name in listed.stdout.split("\0") if name]
    else:
        paths = [path.relative_to(ROOT) for path in ROOT.rglob("*") if not _is_made(path.relative_to(ROOT))]
    return tuple(sorted(path for path in paths if (ROOT / path).is_file()))


def _is_made(path: Path) -> bool:
    folders = set(path.parent.parts)
    return bool(folders & {"__pycache__", "node_modules"}) or any(name[0] == "." for name in folders - {".ci"})


def texts() -> list[tuple[Path, str]]:
    """Every tracked file that is text, with its text."""
    found = []
    for path in tracked():
        data = (ROOT / path).read_bytes()
        if b"\0" not in data:
            found.append((path, data.decode()))
    return found


def lines_with(pattern: str, *, suffix: str = "") -> list[str]:
    """`path:line: text` of every line of the repository that matches."""
    expression = re.compile(pattern)
    return [
        f"{path}:{number}: {line.strip()[:120]}"
        for path, text in texts()
        if path.name.endswith(suffix)
        for number, line in enumerate(text.splitlines(), 1)
        if expression.search(line)
    ]


@pytest.mark.parametrize("host", _REGISTRIES)
def test_no_registry_is_named(host: str) -> None:
    """Which registry to use is the affair of each machine; a stored address would go around its choice."""
    assert lines_with(re.escape(host)) == []


def test_locks_store_no_address() -> None:
    """A lock holds names, versions and hashes; an address in it would decide where everybody installs from."""
    assert lines_with(r"://|^\s*--?(index|extra-index|find-links|trusted-host)", suffix=".lock") == []
    assert lines_with(r'"resolved"', suffix="package-lock.json") == []


def test_every_pin_has_a_hash() -> None:
    """Whatever a registry serves, only the locked bytes are installed."""
    for lock in ROOT.glob("*.lock"):
        entries = re.split(r"\n(?=[A-Za-z0-9])", lock.read_text(encoding="utf-8"))
        bare = [entry.splitlines()[0] for entry in entries if "==" in entry and "--hash=sha256:" not in entry]
        assert entries, lock.name
        assert bare == [], lock.name


def test_no_path_of_one_machine() -> None:
    """A checkout works wherever it lies; nothing refers to the folder or the home in which it was written."""
    everybodys = {Path("/"), Path("/tmp"), Path(tempfile.gettempdir())}
    here = "|".join(re.escape(f"{path}/") for path in {ROOT.parent, Path.home()} - everybodys)
    assert lines_with(rf"(?:{here}|/home/[a-z]|/Users/[A-Za-z])") == []


def test_python_files_are_short() -> None:
    """A file has one reason to change; one that is longer than the limit is listed above with its reason."""
    long = {
        str(path): count
        for path, text in texts()
        if path.suffix == ".py" and (count := len(text.splitlines())) > LONGEST and str(path) not in LONGER
    }
    assert long == {}


def test_the_list_of_longer_files_is_true() -> None:
    """An entry goes when its file has become short again."""
    short = [name for name in LONGER if len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= LONGEST]
    assert short == []


def test_every_suppression_is_explained() -> None:
    """`# noqa: S603 - the reason`, and in the product also `# type: ignore[misc] # the reason`."""
    noqa = lines_with(r"#\s*noqa(?!: [A-Z]+[0-9]+(, ?[A-Z]+[0-9]+)* - \S)", suffix=".py")
    ignores = lines_with(r"#\s*type:\s*ignore(?!\[[a-z-]+(, ?[a-z-]+)*\]\s+# \S)", suffix=".py")
    assert noqa + [line for line in ignores if line.startswith(("src/", "sdk/"))] == []


def test_regopy_is_loaded_in_processes_of_its_own() -> None:
    """It ends a process that has google-re2 too, sooner or later; these files run in one of their own, or ask one."""
    apart = {
        "bench/_policy_peers.py",
        "sdk/python/src/companyos_sdk/rego/regopy_process.py",
        "src/companyos/policy/authoring/regopy_oracle.py",
        "tests/sdk/rego/builtins/test_oracle.py",
        "tests/sdk/rego/opinion.py",
        "tests/sdk/rego/oracle.py",
    }
    loading = lines_with(r"^\s*(import|from) regopy\b|import_module\(.regopy.\)", suffix=".py")
    assert {line.partition(":")[0] for line in loading} == apart


def test_texts_end_with_one_newline_and_have_no_tabs_or_trailing_blanks() -> None:
    """What .editorconfig asks for, for editors that do not read it."""
    wrong = [
        str(path)
        for path, text in texts()
        if path.name not in _GENERATED
        and (
            (text and not text.endswith("\n"))
            or text.endswith("\n\n")
            or re.search(r"[ \t]+$", text, re.MULTILINE)
            or "\r" in text
            or ("\t" in text and path.name != "Makefile" and path.suffix != ".rego")  # as `opa fmt` writes it
        )
    ]
    assert wrong == []
