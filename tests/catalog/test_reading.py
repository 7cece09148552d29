from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.catalog.model import SourceFile
from companyos.catalog.reading import LIMITS, read_files
from companyos.core.errors import InvalidInput, TooLarge
from tests.catalog.documents import COMPONENT, MANIFEST

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"


def file(text: str, path: str = "companyos.yaml") -> SourceFile:
    """Return a file with this text."""
    return SourceFile(path=path, text=text)


def test_each_statement_has_the_file_it_came_from() -> None:
    """Both kinds of document may stand in one import, and in one file."""
    plan = read_files([file(f"{MANIFEST}---{COMPONENT}", "a/b.yaml")])
    assert [(statement.name, statement.source) for statement in plan.statements] == [
        ("checkout", "manifest:a/b.yaml"),
        ("artist-web", "backstage:a/b.yaml"),
    ]


def test_json_is_read_too() -> None:
    """A manifest that a program wrote."""
    text = json.dumps({"apiVersion": "companyos.dev/v1", "kind": "Service", "metadata": {"name": "shop"}, "spec": {}})
    assert [statement.name for statement in read_files([file(text)]).statements] == ["shop"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("", "no document", id="empty"),
        pytest.param("---\n---\n", "no document", id="empty documents"),
        pytest.param("a: [", "bad.yaml, line", id="not YAML"),
        pytest.param("{}", "no manifest of ours", id="no apiVersion"),
        pytest.param("just text", "no manifest of ours", id="text"),
        pytest.param("apiVersion: v1\nkind: Pod", "no manifest of ours", id="Kubernetes"),
        pytest.param(f"{MANIFEST}---\napiVersion: v1", "document 2", id="second document"),
        pytest.param(BOMB, "anchor or alias", id="bomb"),
        pytest.param("!!python/object:os.system {}", "tag", id="tag"),
        pytest.param("a: 1\na: 2", "repeats the key", id="repeated key"),
        pytest.param("[" * 100 + "]" * 100, "nests deeper", id="depth"),
        pytest.param("\ud800", "UTF-8", id="surrogate"),
        pytest.param(f"{MANIFEST}---{MANIFEST}", "described twice", id="twice"),
    ],
)
def test_one_broken_document_refuses_all(text: str, sentence: str) -> None:
    """The fault names the file and, where there are several, the document."""
    with pytest.raises(InvalidInput, match=sentence) as caught:
        read_files([file(COMPONENT, "good.yaml"), file(text, "bad.yaml")] if text.strip("-\n") else [file(text)])
    assert caught.value.next_step


def test_names_that_meet_after_mapping_are_refused() -> None:
    """Two components of Backstage cannot become one service without anybody noticing."""
    other = COMPONENT.replace("name: artist-web", "name: Artist_Web")
    with pytest.raises(InvalidInput, match="'artist-web' is described twice"):
        read_files([file(COMPONENT, "a.yaml"), file(other, "b.yaml")])


def test_size_counts_over_all_files() -> None:
    """Many files are no way around the limit."""
    half = "# " + "x" * (LIMITS.bytes // 2)
    with pytest.raises(TooLarge):
        read_files([file(half), file(half), file(MANIFEST)])
    with pytest.raises(TooLarge):
        read_files([file("x" * 10_000_000)])


def test_documents_count_over_all_files() -> None:
    """The same for documents: each file alone would be read."""
    one = "--- {apiVersion: backstage.io/v1alpha1, kind: API, metadata: {name: x}}\n"
    half = one * (LIMITS.documents // 2 + 1)
    assert len(read_files([file(half)]).skipped) == LIMITS.documents // 2 + 1
    with pytest.raises(TooLarge, match="documents"):
        read_files([file(half), file(half)])


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda data: data.decode("latin-1")))
def test_no_text_makes_it_fail_otherwise(text: str) -> None:
    """Whatever is sent is read or refused."""
    with pytest.raises((InvalidInput, TooLarge)):
        read_files([file(text)])
