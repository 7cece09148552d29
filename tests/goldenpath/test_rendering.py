from __future__ import annotations

import stat

import pytest
from hypothesis import given as any_of
from hypothesis import strategies as st

from companyos.core.documents import parse_yaml_documents
from companyos.core.errors import IntegrityFault, TooLarge
from companyos.goldenpath import rendering
from companyos.goldenpath.rendering import ANSWERS_FILE, quoted, render
from companyos.goldenpath.template import complete
from tests.goldenpath.scaffolding import FILES, TODAY, given, template, working_folder

SMALL = complete(template().definition, "orders", {}, today=TODAY)


def test_marks_are_replaced_and_everything_else_is_text() -> None:
    """Braces of code and charts stay; a file without the ending .jinja is not read for marks at all."""
    made = render(template(), {**SMALL, "motto": 'say "hi"', "public": True})
    assert made["README.md"][0] == b'# orders\npublic\n"say \\"hi\\"" {{ braces }} ${x}\n'
    assert made["data/raw.txt"][0] == b"[= left alone =]\n"
    assert [stat.filemode(mode) for _, mode in (made["run"], made["README.md"])] == ["?rwxr-xr-x", "?rw-r--r--"]


def test_the_same_values_give_the_same_bytes() -> None:
    """Rendering reads no clock, no environment and no file; an update relies on it."""
    first, again = (
        render(working_folder(), complete(working_folder().definition, "orders", {}, today=TODAY)) for _ in range(2)
    )
    assert first == again
    assert list(first) == sorted(first)


def test_the_answers_file_says_how_to_do_it_again() -> None:
    """Template, version, digest and answers can be read back, each answer in its own type."""
    answers = {**SMALL, "motto": "no: # 'yes' [= name =] \\", "public": True}
    made = render(template(), answers)
    (record,) = parse_yaml_documents(made[ANSWERS_FILE][0], where=ANSWERS_FILE)
    assert isinstance(record, dict)
    assert record["answers"] == answers
    assert (record["template"], record["version"], record["digest"]) == ("small", "1.0.0", template().digest)


@any_of(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=100))
def test_an_answer_is_a_value_and_never_a_program(motto: str) -> None:
    """Whatever an answer holds, marks included, it arrives in the file as it was given."""
    for text in (motto, f"[= {motto} =]"):
        made = render(template(), {**SMALL, "motto": text})
        assert quoted(text).encode() in made["README.md"][0]


@pytest.mark.parametrize(
    "marks",
    [
        b"[= ''.__class__.__mro__ =]",
        b"[= name.__class__ =]",
        b"[= name|attr('__class__') =]",
        b"[= ''['__class__'] =]",
        b"[= '{0.__class__}'.format(name) =]",
        b"[= cycler.__init__.__globals__ =]",
        b"[= self._TemplateReference__context =]",
        b"[% include '/etc/passwd' %]",
        b"[% import 'os' as os %]",
        b"[= range(10) =]",
        b"[= nobody_answered_this =]",
        b"[= name|unknown =]",
        b"[% if %]",
        b"[= name",
    ],
)
def test_marks_that_reach_out_are_refused(marks: bytes) -> None:
    """A template sees its answers and nothing else; the fault names the file."""
    with pytest.raises(IntegrityFault, match=r"has a fault in bad\.txt\.jinja"):
        render(template({**FILES, "files/bad.txt.jinja": marks}), SMALL)


@pytest.mark.parametrize(
    "path", ["../x", "a/../../x", ".git/hooks/post-commit", "a/.GIT/x", "a//b", "a b", "a\\b", "/x"]
)
def test_a_path_that_leads_out_is_refused(path: str) -> None:
    """Nothing is written outside the new folder, nor into what git would run."""
    with pytest.raises(IntegrityFault, match="would write"):
        render(template({**FILES, f"files/{path}": b""}), SMALL)


@pytest.mark.parametrize("path", ["README.md", ANSWERS_FILE, f"{ANSWERS_FILE}.jinja"])
def test_no_file_is_made_twice(path: str) -> None:
    """Two sources of one file would hide each other."""
    with pytest.raises(IntegrityFault, match="twice"):
        render(template({**FILES, f"files/{path}": b""}), SMALL)


def test_an_executable_that_is_not_there_is_refused() -> None:
    """The list in template.yaml is true."""
    with pytest.raises(IntegrityFault, match="calls run executable"):
        render(template({"files/a": b""}), SMALL)


def test_what_is_made_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop in a template does not fill the disk."""
    monkeypatch.setattr(rendering, "LIMIT_BYTES", 100)
    with pytest.raises(TooLarge):
        render(template(), {**SMALL, **given(motto="a" * 200)})
