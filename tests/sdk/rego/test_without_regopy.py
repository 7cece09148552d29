"""At run time nobody needs regopy: a plan that was made elsewhere decides where it cannot be imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from companyos_sdk import rego
from tests.needs import needs

SOURCE: Final = """
package t

import rego.v1

default p := {"decision": "deny"}

p := {"decision": "allow", "names": names, "id": crypto.sha256(input.who)} if {
    input.level in data.levels
    every n in input.names { startswith(n, "a") }
    names := {upper(n) | some n in input.names}
    net.cidr_contains("10.0.0.0/8", input.ip)
}
"""
RUN: Final = """
import json, sys
for name in ("regopy", "re2", "yaml", "jsonschema_rs"):
    sys.modules[name] = None
from companyos_sdk import rego
plan = open(sys.argv[1], "rb").read()
program = rego.load(plan, {"levels": [1, 2]}, "data.t.p")
print(json.dumps([program.evaluate(json.loads(text)) for text in sys.argv[2:]]))
try:
    rego.compile({"t.rego": "package t"}, {}, "data.t.p")
except rego.errors.RegoError as fault:
    print(fault)
assert not [name for name in sys.modules if name.startswith("regopy.")]
"""
ALLOWED: Final = {"level": 1, "names": ["a", "ab"], "ip": "10.1.1.1", "who": "ada"}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan on disk."""
    path = tmp_path_factory.mktemp("plans") / "plan.json"
    path.write_bytes(rego.plan({"t.rego": SOURCE}, ["data.t.p"]).to_bytes())
    return path


@needs("rego")
def test_a_saved_plan_decides_without_it(saved: Path) -> None:
    """Nor does it need the other optional packages, unless a policy calls for them."""
    inputs = [ALLOWED, ALLOWED | {"level": True}, ALLOWED | {"ip": "11.1.1.1"}]
    here = rego.load(saved.read_bytes(), {"levels": [1, 2]}, "data.t.p")
    expected = [here.evaluate(facts) for facts in inputs]
    assert [value["decision"] for value in expected] == ["allow", "deny", "deny"]
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", RUN, str(saved), *map(json.dumps, inputs)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    decided, refusal = ran.stdout.splitlines()
    assert json.loads(decided) == expected
    assert "companyos-sdk[compile]" in refusal


def test_the_package_is_imported_without_any_optional_package() -> None:
    """Importing pulls in none of them, so that a service without the extras starts."""
    script = (
        "import sys\n"
        "for name in ('regopy', 're2', 'yaml', 'jsonschema_rs'): sys.modules[name] = None\n"
        "import companyos_sdk.rego, companyos_sdk.rego.builtins\n"
        "print(len(companyos_sdk.rego.builtins.TABLE))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(ran.stdout) > 150
