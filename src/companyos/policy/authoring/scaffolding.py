"""The start of a policy: a folder that is right from its first minute, with tests that pass."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Final

from companyos.core.errors import Conflict, InvalidInput
from companyos.policy.authoring import about
from companyos_sdk.bundle.metadata import BUNDLE_ID, VERSION, version_key

_INDENT: Final = " " * 4
_POLICY: Final = """\
# The decision about one request. What is not allowed below is denied, and so is a request with missing parts.
package {package}

import rego.v1

import data.{package}.config

default decision := {{"decision": "deny", "reason": "request.incomplete", "obligations": []}}

decision := {{"decision": "deny", "reason": "action.unknown", "obligations": []}} if {{
    complete
    not known
}}

decision := {{"decision": "allow", "reason": "action.known", "obligations": []}} if {{
    complete
    known
}}

complete if {{
    is_string(input.subject.id)
    input.subject.id != ""
    is_string(input.action)
    is_string(input.resource.id)
}}

known if input.action in config.actions
"""

_TEST: Final = """\
package {package}_test

import rego.v1

import data.{package} as policy

request := {{
    "subject": {{"id": "ana", "type": "user", "attributes": {{}}}},
    "action": "read",
    "resource": {{"id": "1", "type": "thing"}},
    "environment": {{}},
    "context": {{}},
}}

decided(asked) := found if {{
    found := policy.decision with input as asked
}}

test_a_known_action_is_allowed if {{
    decided(request) == {{"decision": "allow", "reason": "action.known", "obligations": []}}
}}

test_an_unknown_action_is_denied if {{
    found := decided(json.patch(request, [{{"op": "replace", "path": "/action", "value": "print"}}]))
    found == {{"decision": "deny", "reason": "action.unknown", "obligations": []}}
}}

test_a_request_without_subject_is_denied if {{
    found := decided(json.patch(request, [{{"op": "remove", "path": "/subject"}}]))
    found == {{"decision": "deny", "reason": "request.incomplete", "obligations": []}}
}}

test_an_empty_name_is_no_subject if {{
    found := decided(json.patch(request, [{{"op": "replace", "path": "/subject/id", "value": ""}}]))
    found.decision == "deny"
}}
"""

_DATA: Final = """\
{{
  "{domain}": {{
    "{service}": {{
      "config": {{
        "actions": ["read"]
      }}
    }}
  }}
}}
"""

_ABOUT: Final = """\
owner: {owner}
entrypoint: data.{package}.decision
obligations: []
tests:
  files:
    - policy_test.rego
  coverage: 1.0
changes:
  - version: {version}
    date: {today}
    change: The first version.
"""


def new(policies: Path, bundle_id: str, owner: str, today: date, *, version: str = "1.0.0") -> Path:
    """Make ``<policies>/<domain>/<service>/dev/<version>/`` and return it; its checks and tests pass.

    Raises InvalidInput for a name or version that cannot be one, Conflict when the folder is there already.
    """
    if BUNDLE_ID.fullmatch(bundle_id) is None:
        raise InvalidInput(
            f"{bundle_id[:100]!r} is no name of a policy.",
            next_step="Write <domain>/<service>, as in finance/invoices.",
        )
    if VERSION.fullmatch(version) is None:
        raise InvalidInput(f"{version[:40]!r} is no version.", next_step="Write three numbers, as in 1.4.0.")
    if not owner.isprintable() or not owner.strip() or len(owner) > 200 or set(owner) & set(":#'\"{}[]&*!|>%@`"):  # noqa: PLR2004 - as in metadata.yaml
        raise InvalidInput(f"{owner[:100]!r} is no owner.", next_step="Name a team in plain letters.")
    folder = policies / bundle_id / "dev" / version
    domain, service = bundle_id.replace("-", "_").split("/")
    words = {
        "domain": domain,
        "service": service,
        "package": f"{domain}.{service}",
        "owner": owner.strip(),
        "version": version,
        "today": today.isoformat(),
    }
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise Conflict(f"{folder} is there already.", next_step="Change it, or give another version.") from None
    for name, text in (
        ("policy.rego", _POLICY),
        ("policy_test.rego", _TEST),
        ("data.json", _DATA),
        (about.FILE, _ABOUT),
    ):
        filled = text.format(**words)
        if name.endswith(".rego"):
            filled = filled.replace(_INDENT, "\t")  # as `opa fmt` writes it
        (folder / name).write_text(filled, encoding="utf-8")
    return folder


def versions(policies: Path, bundle_id: str) -> list[str]:
    """The versions of a policy that have a folder for dev, in their order."""
    found = [path.name for path in (policies / bundle_id / "dev").glob("*") if VERSION.fullmatch(path.name)]
    return sorted(found, key=version_key)
