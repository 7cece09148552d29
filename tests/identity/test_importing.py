from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import text

from companyos.core import access
from companyos.core.access import Caller
from companyos.core.clock import ManualClock
from companyos.core.errors import CompanyOSError, Denied, InvalidInput, TooLarge
from companyos.identity import Identity, importing
from companyos.identity.document import Document, read_document
from companyos.identity.errors import RoleBeyondCaller, RoleExists
from companyos.identity.importing import ImportReport
from companyos.ledger import Journal
from tests.pillar import person, records

FILE = """\
source: hr
roles:
  - {name: buyer, description: Orders things., org_id: acme}
subjects:
  - name: pat
    org_id: acme
    workspace_id: emea
    display_name: Pat
    roles: [viewer, {role: buyer, workspace_id: emea, expires_at: "2026-06-01T00:00:00Z"}]
    attributes:
      clearance: {value: high, ttl: 3600}
      groups: [eu, 7, true]
      level: 3
  - {type: service, name: ci, status: suspended}
orgs:
  acme: {attributes: {country: DE}}
workspaces:
  emea: {attributes: {region: eu}}
"""
TABLES = ("subjects", "role_bindings", "roles", "attributes", "identity_revisions")


def document(source: str | dict[str, Any]) -> Document:
    """Read a file."""
    if isinstance(source, dict):
        return read_document(json.dumps(source).encode(), as_json=True)
    return read_document(source.encode(), as_json=False)


def rows(journal: Journal) -> list[Any]:
    """Everything that an import could change."""
    with journal.read() as connection:
        found = [connection.execute(text(f"SELECT * FROM {table}")).fetchall() for table in TABLES]
    return [sorted(map(str, table)) for table in found]


def told(report: ImportReport) -> list[str]:
    """The changes of a report as words."""
    return [" ".join(filter(None, (one.action, one.target, one.what))) for one in report.changes]


def test_a_file_becomes_true_once(journal: Journal, admin: Caller) -> None:
    """The first import says all that it changes, the second changes nothing and records nothing; on both databases."""
    identity = Identity(journal)
    report = identity.import_document(admin, document(FILE))
    assert told(report) == [
        "create role:buyer",
        "create user:pat",
        "bind user:pat buyer",
        "bind user:pat viewer",
        "create service:ci",
        "suspend service:ci",
        "set user:pat clearance",
        "set user:pat groups",
        "set user:pat level",
        "set org:acme country",
        "set workspace:emea region",
    ]
    profile = identity.profile(admin, "user:pat")
    assert profile.attributes == {
        "clearance": "high",
        "country": "DE",
        "groups": ["eu", 7, True],
        "level": 3,
        "region": "eu",
    }
    assert (profile.roles, profile.subject.display_name) == (["buyer", "viewer"], "Pat")
    assert {one.source for one in profile.said} == {"import:hr"}
    before, size = rows(journal), journal.size()
    again = identity.import_document(admin, document(FILE))
    assert (again.changes, again.unchanged) == ([], 10)
    assert (rows(journal), journal.size()) == (before, size)


def test_a_dry_run_says_the_same_and_does_nothing(identity: Identity, quick: Journal, admin: Caller) -> None:
    """What it shows is what the real run then does."""
    before, size = rows(quick), quick.size()
    shown = identity.import_document(admin, document(FILE), dry_run=True)
    assert (rows(quick), quick.size()) == (before, size)
    done = identity.import_document(admin, document(FILE))
    assert shown.dry_run
    assert not done.dry_run
    assert (shown.changes, shown.unchanged) == (done.changes, done.unchanged)


def test_a_fault_anywhere_changes_nothing(identity: Identity, quick: Journal, admin: Caller) -> None:
    """A role that there is not, in the last subject, undoes what came before."""
    identity.import_document(admin, document(FILE))
    before, size = rows(quick), quick.size()
    broken = {
        "subjects": [
            {"name": "kim", "attributes": {"clearance": "low"}},
            {"name": "pat", "org_id": None, "roles": ["root"]},
        ]
    }
    with pytest.raises(InvalidInput, match="no role 'root'"):
        identity.import_document(admin, document(broken))
    assert (rows(quick), quick.size()) == (before, size)


def test_what_a_source_says_no_more_is_withdrawn(identity: Identity, admin: Caller) -> None:
    """Only what it said itself, only of holders that the file describes, and only with ``attributes``."""
    identity.import_document(admin, document(FILE))
    identity.set_attribute(admin, "subject", "user:pat", "badge", 17)
    quiet = document({"source": "hr", "subjects": [{"name": "pat"}]})
    assert identity.import_document(admin, quiet).changes == []
    other = document({"source": "lab", "subjects": [{"name": "pat", "attributes": {}}]})
    assert identity.import_document(admin, other).changes == []
    less = document({"source": "hr", "subjects": [{"name": "pat", "attributes": {"level": 4}}]})
    assert told(identity.import_document(admin, less)) == [
        "set user:pat level",
        "remove user:pat clearance",
        "remove user:pat groups",
    ]
    assert identity.profile(admin, "user:pat").attributes == {"badge": 17, "country": "DE", "level": 4, "region": "eu"}


def test_an_expired_attribute_is_confirmed(identity: Identity, admin: Caller, clock: ManualClock) -> None:
    """While it is fresh nothing happens; later the source says it again, and its time starts anew."""
    identity.import_document(admin, document(FILE))
    clock.advance(3599)
    assert identity.import_document(admin, document(FILE)).changes == []
    clock.advance(1)
    assert identity.profile(admin, "user:pat").stale == ["clearance"]
    assert told(identity.import_document(admin, document(FILE))) == ["confirm user:pat clearance"]
    assert identity.profile(admin, "user:pat").attributes["clearance"] == "high"


def test_what_is_left_out_stays(identity: Identity, admin: Caller) -> None:
    """Roles that are given are the whole set, in workspaces too; facts that are null are withdrawn."""
    identity.import_document(admin, document(FILE))
    change = {
        "subjects": [{"name": "pat", "workspace_id": None, "roles": ["operator"]}, {"name": "ci", "type": "service"}]
    }
    assert told(identity.import_document(admin, document(change))) == [
        "change user:pat",
        "unbind user:pat buyer",
        "unbind user:pat viewer",
        "bind user:pat operator",
    ]
    pat = identity.get_subject(admin, "user:pat")
    assert (pat.org_id, pat.workspace_id, pat.display_name) == ("acme", None, "Pat")
    assert identity.get_subject(admin, "service:ci").status == "suspended"


def test_a_subject_leaves_an_org_with_its_roles_only(identity: Identity, admin: Caller) -> None:
    """A role that belongs to the old org must be taken in the same file."""
    identity.import_document(admin, document(FILE))
    with pytest.raises(InvalidInput, match="for subjects of acme"):
        identity.import_document(admin, document({"subjects": [{"name": "pat", "org_id": "other"}]}))
    moved = {"subjects": [{"name": "pat", "org_id": "other", "roles": ["viewer"]}]}
    assert "change user:pat" in told(identity.import_document(admin, document(moved)))


def test_a_role_changes_and_stays_in_its_org_while_it_is_held(identity: Identity, admin: Caller) -> None:
    """Its text may change; its org may not under those who have it."""
    identity.import_document(admin, document(FILE))
    text_only = {"roles": [{"name": "buyer", "description": "Buys.", "org_id": "acme"}]}
    assert told(identity.import_document(admin, document(text_only))) == ["change role:buyer"]
    with pytest.raises(InvalidInput, match="cannot move"):
        identity.import_document(admin, document({"roles": [{"name": "buyer", "org_id": "other"}]}))
    with pytest.raises(RoleExists):
        identity.import_document(admin, document({"roles": [{"name": "admin"}]}))


def test_nobody_imports_more_than_they_may(identity: Identity, admin: Caller) -> None:
    """Roles of others are given and taken by who has them; who may not write identity imports nothing."""
    with pytest.raises(Denied):
        identity.import_document(person("olga", "operator"), document(FILE))

    class Everything:
        def decide(self, caller: Caller, action: str, resource: str, facts: object = None) -> access.Verdict:
            return access.Verdict(allowed=bool((caller, action, resource, facts)), policy="test", reason="")

    identity.import_document(admin, document({"subjects": [{"name": "pat", "roles": ["admin"]}]}))
    access.bind(Everything())
    for roles in ([], ["admin", "operator"]):
        with pytest.raises(RoleBeyondCaller):
            identity.import_document(person("ivo", "viewer"), document({"subjects": [{"name": "pat", "roles": roles}]}))
    same: dict[str, Any] = {"subjects": [{"name": "pat", "roles": ["admin"]}]}
    assert identity.import_document(person("ivo", "viewer"), document(same)).changes == []


def test_names_and_values_of_people_are_personal(identity: Identity, quick: Journal, admin: Caller) -> None:
    """Sixteen values go into a record, because that is what a record holds; all of them can be erased."""
    many = {f"a{number:02}": f"secret {number}" for number in range(40)}
    identity.import_document(admin, document({"subjects": [{"name": "pat", "email": "p@x.io", "attributes": many}]}))
    assert [(one.verb, len(one.personal)) for one in records(quick)] == [
        ("subject.create", 1),
        ("attribute.set", 16),
        ("attribute.set", 16),
        ("attribute.set", 8),
    ]
    assert "secret" not in str([one.details for one in records(quick)])


def test_a_holder_has_so_many_attributes_and_no_more(
    identity: Identity, admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What others said counts too."""
    monkeypatch.setattr(importing, "MAX_ATTRIBUTES", 2)
    identity.set_attribute(admin, "org", "acme", "c", 1)
    with pytest.raises(InvalidInput, match="more than 2"):
        identity.import_document(admin, document({"orgs": {"acme": {"attributes": {"a": 1, "b": 2}}}}))


BAD = [
    "",
    "[]",
    "subjects: {}",
    "subject: []",
    "subjects: [{name: Pat}]",
    "subjects: [{name: pat, id: x}]",
    "subjects: [{name: pat}, {name: pat}]",
    "roles: [{name: a}, {name: a}]",
    "subjects: [{name: pat, type: robot}]",
    "subjects: [{name: pat, attributes: {A: 1}}]",
    "subjects: [{name: pat, attributes: {a: {value: 1, ttl: 0}}}]",
    "subjects: [{name: pat, attributes: {a: {value: {b: 1}}}}]",
    "subjects: [{name: pat, attributes: {a: {b: 1}}}]",
    "subjects: [{name: pat, attributes: {a: [[1]]}}]",
    "subjects: [{name: pat, attributes: {a: " + "x" * 1100 + "}}]",
    "subjects: [{name: pat, roles: [{role: viewer, expires_at: '2026-01-01T00:00:00'}]}]",
    "subjects: [{name: pat, roles: [viewer, viewer]}]",
    "subjects: [{name: pat, status: gone}]",
    "orgs: {'A B': {attributes: {}}}",
    "orgs: {acme: {}}",
    "source: 'a b'",
    "subjects: &a [*a]",
    "a: 1\na: 2",
    "--- {}\n--- {}",
    "subjects: !!python/object:os.system []",
]


@pytest.mark.parametrize("source", BAD)
def test_bad_files_change_nothing(identity: Identity, quick: Journal, admin: Caller, source: str) -> None:
    """Each is refused in one sentence, before or within the transaction."""
    with pytest.raises(CompanyOSError) as caught:
        identity.import_document(admin, document(source))
    assert isinstance(caught.value, InvalidInput | TooLarge)
    assert quick.size() == 0


def test_json_with_a_repeated_key_is_refused() -> None:
    """Two readers must not understand two files."""
    with pytest.raises(InvalidInput):
        read_document(b'{"subjects": [], "subjects": []}', as_json=True)
