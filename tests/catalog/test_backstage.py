from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from companyos.catalog.backstage import is_backstage, our_name, parse_ref, read_entities
from companyos.catalog.facts import restate
from companyos.catalog.model import ImportPlan, Statement
from companyos.core.ids import NAME, SERVICE_NAME
from tests.catalog.documents import COMPONENT, NOW, json_values, parsed

kinds = st.sampled_from(["Component", "Group", "System", "Domain", "User", "API", "Resource", "Location", "x", ""])
fields = st.sampled_from(
    [
        "name",
        "namespace",
        "annotations",
        "labels",
        "links",
        "tags",
        "title",
        "description",
        "url",
        "owner",
        "system",
        "domain",
        "members",
        "memberOf",
        "dependsOn",
        "profile",
        "displayName",
        "lifecycle",
        "type",
    ]
)
entities = st.fixed_dictionaries(
    {"apiVersion": st.just("backstage.io/v1alpha1"), "kind": kinds | json_values},
    optional={
        "metadata": st.dictionaries(fields, json_values, max_size=6) | json_values,
        "spec": st.dictionaries(fields, json_values, max_size=6) | json_values,
    },
)


def read(text: str) -> ImportPlan:
    """Return what the documents of a file say."""
    return read_entities([("backstage:x", document) for document in parsed(text)])


def said(plan: ImportPlan) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what is said, by kind and name."""
    return {(statement.kind, statement.name): statement.said for statement in plan.statements}


def test_a_component_becomes_a_service() -> None:
    """With owner, domain, links, dependencies and its annotations; what has no place is named with its reason."""
    plan = read(COMPONENT)
    assert said(plan) == {
        ("service", "artist-web"): {
            "description": "The place to be, for great artists",
            "owner": "artist-relations",
            "domain": "public-websites",
            "lifecycle": "production",
            "depends_on": ("artist-lookup",),
            "labels": {"example.com/custom": "custom_label_value"},
            "annotations": {
                "backstage.io/techdocs-ref": "dir:.",
                "companyos.dev/backstage-tags": "java,web",
                "companyos.dev/backstage-type": "website",
            },
            "links": plan.statements[0].said["links"],
        }
    }
    assert [(link.url, link.title) for link in plan.statements[0].said["links"]] == [
        ("https://admin.example-org.com", "Admin Dashboard")
    ]
    assert [(skipped.entity, skipped.reason) for skipped in plan.skipped] == [
        ("Component:default/artist-web spec.dependsOn", "'resource:default/artists-db' is no service here"),
        ("Component:default/artist-web metadata.links", "'ftp://old.example.com' is no link to http or https"),
    ]


def test_a_service_is_in_the_domain_of_its_system() -> None:
    """The system itself is left out then, and says why; without a domain it stands for one."""
    inside = read(
        """
        {apiVersion: backstage.io/v1alpha1, kind: Component, metadata: {name: web}, spec: {system: site}}
        ---
        {apiVersion: backstage.io/v1alpha1, kind: System, metadata: {name: site}, spec: {domain: artists}}
        ---
        {apiVersion: backstage.io/v1alpha1, kind: Domain, metadata: {name: artists, title: Artists}}
        """
    )
    assert said(inside)["service", "web"]["domain"] == "artists"
    assert said(inside)["domain", "artists"] == {"title": "Artists"}
    assert [skipped.entity for skipped in inside.skipped] == ["System:default/site"]
    alone = read("{apiVersion: backstage.io/v1alpha1, kind: System, metadata: {name: site}, spec: {owner: team-a}}")
    assert said(alone) == {("domain", "site"): {"owner": "team-a"}}


def test_a_group_becomes_a_team_with_all_its_members() -> None:
    """Those that it lists and those that say so themselves; a user without a team is skipped."""
    plan = read(
        """
        apiVersion: backstage.io/v1alpha1
        kind: Group
        metadata: {name: infra, annotations: {companyos.dev/oncall: rota-infra}}
        spec: {type: team, profile: {displayName: Infra}, members: [jdoe, "user:default/amelia"], children: []}
        ---
        {apiVersion: backstage.io/v1alpha1, kind: User, metadata: {name: zoe}, spec: {memberOf: [infra]}}
        ---
        {apiVersion: backstage.io/v1alpha1, kind: User, metadata: {name: max}, spec: {memberOf: [elsewhere]}}
        """
    )
    team = {"title": "Infra", "oncall": "rota-infra", "members": ("amelia", "jdoe", "zoe")}
    assert said(plan) == {("team", "infra"): team}
    assert [skipped.entity for skipped in plan.skipped] == ["User:default/max"]


def test_every_other_kind_is_skipped_with_its_reason() -> None:
    """Nothing is dropped in silence."""
    documents = [
        {"apiVersion": "backstage.io/v1alpha1", "kind": kind, "metadata": {"name": "x"}, "spec": {}}
        for kind in ("API", "Resource", "Location", "Template", "User", "Robot")
    ]
    plan = read_entities([("backstage:x", document) for document in documents])
    assert plan.statements == ()
    assert len({skipped.reason for skipped in plan.skipped}) == 6


def test_an_owner_who_is_a_person_is_no_team() -> None:
    """The service has no owner then, and the report says why."""
    plan = read(
        "{apiVersion: backstage.io/v1alpha1, kind: Component, metadata: {name: web}, spec: {owner: user:default/jdoe}}"
    )
    assert "owner" not in plan.statements[0].said
    assert [skipped.entity for skipped in plan.skipped] == ["Component:default/web spec.owner"]


def test_names_are_mapped_to_our_rule() -> None:
    """Case, dots and underscores are brought in line; a namespace comes first; the rest cannot be mapped."""
    assert our_name("default", "Artist_Web.v2", service=True) == "artist-web-v2"
    assert our_name("media", "artist-web", service=True) == "media-artist-web"
    assert our_name("media", "Team_A", service=False) == "media.team_a"
    assert our_name("default", "3d-viewer", service=True) is None
    assert our_name("default", "x", service=True) is None
    assert our_name("default", "x" * 40, service=True) is None


def test_a_name_that_cannot_be_mapped_is_skipped_with_the_rule() -> None:
    """Its owner reads what a name may be."""
    plan = read("{apiVersion: backstage.io/v1alpha1, kind: Component, metadata: {name: 3d}, spec: {}}")
    (skipped,) = plan.skipped
    assert "2 to 39 letters" in skipped.reason


def test_references_have_defaults() -> None:
    """``[kind:][namespace/]name``, as Backstage writes them."""
    assert parse_ref("group:default/a", kind="user") == parse_ref("a", kind="group")
    assert parse_ref("media/a", kind="group") == parse_ref("Group:media/a", kind="x")
    for wrong in ("", ":", "a:b:c", "a/b/c", "a b", None, 7, ["a"], "ä"):
        assert parse_ref(wrong, kind="group") is None


@given(st.lists(entities | json_values, max_size=6))
def test_no_document_makes_it_fail(documents: list[Any]) -> None:
    """Whatever stands in the fields, the outcome is statements that the catalog takes, and reasons."""
    plan = read_entities([("backstage:x", document) for document in documents])
    for statement in plan.statements:
        _check(statement)
    assert all(skipped.reason for skipped in plan.skipped)
    assert len(plan.statements) + len(plan.skipped) >= sum(not _is_member(document) for document in documents)


def _check(statement: Statement) -> None:
    form = SERVICE_NAME if statement.kind == "service" else NAME
    assert form.fullmatch(statement.name)
    known = restate(None, statement, NOW).entity
    assert "\0" not in str(known)


def _is_member(document: Any) -> bool:
    """Tell whether a document may go without a statement and a reason: a User who is a member of a team."""
    return is_backstage(document) and str(document.get("kind")).lower() == "user"
