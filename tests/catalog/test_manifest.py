from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import jsonschema_rs
import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from companyos.catalog import manifest
from companyos.catalog.facts import restate
from companyos.catalog.manifest import manifest_schema, read_manifest, register_section, write_manifest
from companyos.catalog.model import FACTS, Service
from companyos.core.documents import parse_yaml_documents
from companyos.core.errors import InvalidInput

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
PUBLISHED = jsonschema_rs.validator_for(manifest_schema())
service_names = st.from_regex(r"[a-z][a-z0-9-]{1,38}", fullmatch=True)
names = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)
lines = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=40)
keys = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40)
urls = st.sampled_from(["https://example.org/runbook", "http://10.0.0.1:8080/?a=b#c"])
manifests = st.fixed_dictionaries(
    {
        "apiVersion": st.just("companyos.dev/v1"),
        "kind": st.just("Service"),
        "metadata": st.fixed_dictionaries(
            {"name": service_names},
            optional={
                "description": lines,
                "labels": st.dictionaries(keys, lines, max_size=3),
                "annotations": st.dictionaries(keys, lines, max_size=3),
                "links": st.lists(st.fixed_dictionaries({"url": urls}, optional={"title": lines}), max_size=2),
            },
        ),
        "spec": st.fixed_dictionaries(
            {},
            optional={
                "owner": names,
                "domain": names,
                "tier": names,
                "lifecycle": names,
                "regions": st.lists(names, max_size=3),
                "environments": st.lists(names, max_size=3),
            },
        ),
    }
)


class Budget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A section as a pillar would register it."""

    availability_ratio: float
    note: str = ""


@pytest.fixture
def budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register a section for one test."""
    monkeypatch.setattr(manifest, "_sections", {})
    register_section("budget", Budget)


def document(**spec: Any) -> dict[str, Any]:
    """Return the manifest of a shop with this spec."""
    return {"apiVersion": "companyos.dev/v1", "kind": "Service", "metadata": {"name": "shop"}, "spec": spec}


def read(value: Any) -> dict[str, Any]:
    """Return what a manifest says."""
    return read_manifest(value, source="manifest:x", where="x").said


@given(manifests)
def test_a_manifest_that_is_written_says_what_was_read(value: dict[str, Any]) -> None:
    """Read, known, written, read again: the same facts, through YAML too; and the published schema takes both."""
    first = read_manifest(value, source="manifest:x", where="x")
    known = restate(None, first, NOW).entity
    assert isinstance(known, Service)
    written = write_manifest(known)
    (parsed,) = parse_yaml_documents(yaml.safe_dump(written, default_style='"').encode(), where="x")
    second = restate(None, read_manifest(parsed, source="manifest:x", where="x"), NOW).entity
    assert {fact: getattr(second, fact) for fact in FACTS["service"]} == {
        fact: getattr(known, fact) for fact in FACTS["service"]
    }
    assert PUBLISHED.is_valid(value)
    assert PUBLISHED.is_valid(written)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "Servise"}, "kind"),
        ({"apiVersion": "companyos.dev/v2"}, "apiVersion"),
        ({"metadata": {}}, "metadata"),
        ({"metadata": {"name": "Shop"}}, "metadata.name"),
        ({"metadata": {"name": "shop\n"}}, "metadata.name"),
        ({"metadata": {"name": 7}}, "metadata.name"),
        ({"metadata": {"name": "shop", "nmae": "x"}}, "metadata"),
        ({"metadata": {"name": "shop", "description": "a\0b"}}, "metadata.description"),
        ({"metadata": {"name": "shop", "description": "a" * 4001}}, "metadata.description"),
        ({"metadata": {"name": "shop", "links": [{"url": "javascript:alert(1)"}]}}, "metadata.links[0].url"),
        ({"metadata": {"name": "shop", "labels": {"a": 1}}}, "metadata.labels[...]"),
        ({"spec": {"owner": "Team X"}}, "spec.owner"),
        ({"spec": {"owner": ["x"]}}, "spec.owner"),
        ({"spec": {"regions": "eu"}}, "spec.regions"),
        ({"spec": {"regions": ["eu", None]}}, "spec.regions[1]"),
        ({"spec": {"dependsOn": ["shop"]}}, "spec.dependsOn"),
        ({"spec": {"depends_on": ["cart"]}}, "spec.depends_on"),
        ({"spec": None}, "spec"),
        ({"spec": []}, "spec"),
        ({"status": {}}, None),
    ],
)
def test_a_wrong_manifest_is_refused_at_its_field(change: dict[str, Any], field: str | None) -> None:
    """The fault names the place, and the published schema refuses the same manifest."""
    value = document() | change
    with pytest.raises(InvalidInput) as caught:
        read(value)
    assert caught.value.field == field
    assert caught.value.next_step
    if change.get("spec") != {"dependsOn": ["shop"]}:  # That a service is not its own dependency, no schema can say.
        assert not PUBLISHED.is_valid(value)


@pytest.mark.parametrize("value", [None, [], "x", 7, {}, {"spec": {}}, {"metadata": None, "spec": {"owner": 1}}])
def test_what_is_no_manifest_is_bad_input(value: object) -> None:
    """Never another kind of fault."""
    with pytest.raises(InvalidInput):
        read(value)


def test_a_section_belongs_to_the_pillar_that_registers_it(budget: None) -> None:
    """Its value is checked by its type, kept with defaults filled in, and written again."""
    said = read(document(budget={"availability_ratio": 0.999}))
    assert said["sections"] == {"budget": {"availability_ratio": 0.999, "note": ""}}
    known = restate(
        None, read_manifest(document(budget={"availability_ratio": 1.0}), source="s", where="x"), NOW
    ).entity
    assert isinstance(known, Service)
    assert write_manifest(known)["spec"]["budget"] == {"availability_ratio": 1.0, "note": ""}


def test_a_wrong_section_is_refused_at_its_field(budget: None) -> None:
    """By the pillar's own type; a NUL, which no database keeps, wherever it stands."""
    for section in ({}, {"availability_ratio": "high"}, {"availability_ratio": 1, "x": 1}):
        with pytest.raises(InvalidInput, match=r"spec\.budget"):
            read(document(budget=section))
    with pytest.raises(InvalidInput, match="NUL"):
        read(document(budget={"availability_ratio": 1, "note": "a\0"}))


def test_an_unknown_section_is_refused_with_those_that_are_known(budget: None) -> None:
    """A typing error in a section would otherwise switch it off."""
    with pytest.raises(InvalidInput, match=r"spec\.bugdet") as caught:
        read(document(bugdet={}))
    assert "budget" in caught.value.next_step
    assert "owner" in caught.value.next_step


def test_the_schema_has_the_sections_and_is_valid(budget: None) -> None:
    """Editors complete and check sections of pillars as well."""
    schema = manifest_schema()
    jsonschema_rs.meta.validate(schema)
    validator = jsonschema_rs.validator_for(schema)
    assert validator.is_valid(document(budget={"availability_ratio": 0.9}))
    assert not validator.is_valid(document(budget={}))
    assert not validator.is_valid(document(bugdet={}))


def test_registering_is_checked_when_the_program_starts(budget: None) -> None:
    """The same again is quiet; a taken name, a bad name and a lenient type are mistakes in the program."""

    class Lenient(msgspec.Struct):
        pass

    class Other(msgspec.Struct, forbid_unknown_fields=True):
        pass

    register_section("budget", Budget)
    for name, kind in (("budget", Other), ("owner", Other), ("Bad", Other), ("a b", Other), ("fine", Lenient)):
        with pytest.raises(ValueError, match=r"cannot be called|must forbid"):
            register_section(name, kind)
