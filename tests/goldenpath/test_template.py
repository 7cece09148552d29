from __future__ import annotations

import pytest

from companyos.core.errors import InvalidInput
from companyos.goldenpath.template import Answer, check_name, complete, read_definition
from tests.goldenpath.scaffolding import DEFINITION, TODAY, given, working_folder


def test_answers_are_complete_and_typed() -> None:
    """What is not given is the default; words of a command line become what the question asks for."""
    definition = read_definition(DEFINITION.encode())
    assert complete(definition, "orders", {}, today=TODAY) == given(
        name="orders", motto="", size="small", port=8000, until="2026-12-25", public=False
    )
    said = given(public="yes", port="1", size="large", until="2027-01-31")
    assert complete(definition, "orders", said, today=TODAY) == given(
        name="orders", motto="", size="large", port=1, until="2027-01-31", public=True
    )


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("port", "eighty", "a whole number and at least 1 and at most 65535"),
        ("port", "0", "at least 1"),
        ("port", "65536", "at most 65535"),
        ("port", "8000.0", "a whole number"),
        ("size", "huge", "one of small, large"),
        ("until", "soon", "a date like 2027-01-31"),
        ("until", "2027-02-30", "a date like 2027-01-31"),
        ("public", "perhaps", "true or false"),
        ("motto", "two\nlines", "one line"),
        ("motto", "\x1b[31m", "one line"),
        ("motto", "a" * 501, "500 characters"),
    ],
)
def test_an_answer_of_the_wrong_kind_is_refused(key: str, value: Answer, expected: str) -> None:
    """The fault names the question, and the next step says what is expected."""
    with pytest.raises(InvalidInput, match=f"^{key} cannot be") as fault:
        complete(read_definition(DEFINITION.encode()), "orders", {key: value}, today=TODAY)
    assert expected in fault.value.next_step


def test_an_answer_that_nobody_asked_for_is_refused() -> None:
    """A typing mistake in a key does not pass in silence."""
    with pytest.raises(InvalidInput, match="does not ask for 'prot'") as fault:
        complete(read_definition(DEFINITION.encode()), "orders", {"prot": 1}, today=TODAY)
    assert fault.value.next_step == "It asks for motto, size, port, until, public."


@pytest.mark.parametrize(
    "name", ["", "a", "A-b", "1a", "a_b", "a/b", "../a", "..", "-a", "a" * 40, "ab\n", "a b", "é-a", "a\0"]
)
def test_a_bad_name_is_refused(name: str) -> None:
    """Names are what the catalog takes, so no path hides in one."""
    with pytest.raises(InvalidInput, match="cannot be called"):
        check_name(name)


@pytest.mark.parametrize(
    ("was", "becomes", "fault"),
    [
        ("default: 8000", "default: 0", "port cannot|default cannot"),
        ("default: small", "default: huge", "default cannot be 'huge'"),
        ("default: +30d", "default: soon", "default cannot be 'soon'"),
        ("default: false", "default: 'no'", "another type"),
        (', pattern: ".*"', "", "pattern or choices"),
        ("  motto:", "  name:", "asks for name"),
        ("version: 1.0.0", "version: 1.0", "version"),
        ("kind: Template", "kind: Template\nother: 1", "other"),
        ("type: integer", "type: number", "type"),
    ],
)
def test_a_definition_that_contradicts_itself_is_refused(was: str, becomes: str, fault: str) -> None:
    """A template with a default that does not answer its own question is never released."""
    assert was in DEFINITION
    with pytest.raises(InvalidInput, match=fault):
        read_definition(DEFINITION.replace(was, becomes, 1).encode())


def test_every_question_of_the_template_helps() -> None:
    """Each has a type, a default, a help text and a rule for what it takes."""
    for key, question in working_folder().definition.answers.items():
        assert question.help.endswith(("?", ".")), key
        assert question.pattern or question.choices or question.type != "text", key
        assert question.pattern is None or question.expected, key
