from __future__ import annotations

import json
import subprocess
import sys
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos_sdk.policy import ids
from companyos_sdk.policy.decision import INVALID_RESULT, MAX_OBLIGATIONS, UNDEFINED_RESULT, Obligation, normalised
from companyos_sdk.rego.values import UNDEFINED


def test_an_answer_of_the_contract_is_taken_as_it_is() -> None:
    """Decision, reason and obligations, with the type from the id and the other keys as properties."""
    answer = {
        "decision": "allow",
        "reason": "dlp.redaction",
        "obligations": [
            {"id": "mask_fields", "policy": "dlp.redaction", "fields": ["iban"]},
            {"id": "mfa-1", "type": "require_mfa", "properties": {"acr_values": ["urn:mfa"]}},
        ],
    }
    assert normalised(answer, UNDEFINED) == (
        True,
        "dlp.redaction",
        (
            Obligation("mask_fields", "mask_fields", {"policy": "dlp.redaction", "fields": ["iban"]}),
            Obligation("mfa-1", "require_mfa", {"acr_values": ["urn:mfa"]}),
        ),
        None,
    )


def test_no_answer_is_a_denial_that_says_so() -> None:
    """An undefined document is `policy.undefined`."""
    assert normalised(UNDEFINED, UNDEFINED)[:2] == (False, UNDEFINED_RESULT)


@pytest.mark.parametrize(
    "answer",
    [
        True,
        "allow",
        None,
        [],
        {},
        {"decision": True, "reason": "r", "obligations": []},
        {"decision": "permit", "reason": "r", "obligations": []},
        {"decision": "allow", "obligations": []},
        {"decision": "allow", "reason": "", "obligations": []},
        {"decision": "allow", "reason": 1, "obligations": []},
        {"decision": "allow", "reason": "a\nb", "obligations": []},
        {"decision": "allow", "reason": "r" * 401, "obligations": []},
        {"decision": "allow", "reason": "r"},
        {"decision": "allow", "reason": "r", "obligation": [{"id": "mask_fields"}]},
        {"decision": "allow", "reason": "r", "obligations": {}},
        {"decision": "allow", "reason": "r", "obligations": ["mask_fields"]},
        {"decision": "allow", "reason": "r", "obligations": [{}]},
        {"decision": "allow", "reason": "r", "obligations": [{"id": 1}]},
        {"decision": "allow", "reason": "r", "obligations": [{"id": ["x"]}]},
        {"decision": "allow", "reason": "r", "obligations": [{"id": "x", "type": None}]},
        {"decision": "allow", "reason": "r", "obligations": [{"id": "x", "type": ""}]},
        {"decision": "allow", "reason": "r", "obligations": [{"id": "x", "properties": None}]},
        {"decision": "allow", "reason": "r", "obligations": [{"id": "x"}] * (MAX_OBLIGATIONS + 1)},
    ],
    ids=json.dumps,
)
def test_any_other_answer_is_a_denial(answer: Any) -> None:
    """What has not the shape of a decision grants nothing."""
    allow, reason, obligations, error = normalised(answer, UNDEFINED)
    assert (allow, reason, obligations) == (False, INVALID_RESULT, ())
    assert error


def test_normalising_leaves_the_answer_alone() -> None:
    """The policy may give the same object again."""
    owed = {"id": "x", "type": "y", "properties": {"a": 1}, "b": 2}
    answer = {"decision": "deny", "reason": "r", "obligations": [owed]}
    before = json.dumps(answer)
    normalised(answer, UNDEFINED)
    assert json.dumps(answer) == before


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["allow", "deny"]),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["decision", "reason", "obligations", "id", "type", "properties"]), inner)
        ),
    )
)
def test_nothing_but_the_exact_word_allows(answer: Any) -> None:
    """Whatever the answer is, it allows only with the word, a reason and a list, and nothing raises."""
    allow, reason, obligations, _ = normalised(answer, UNDEFINED)
    if allow:
        assert answer["decision"] == "allow"
        assert answer["reason"] == reason
        assert len(answer["obligations"]) == len(obligations)


def test_audit_ids_are_uuids_of_version_7_and_differ() -> None:
    """The moment is in the id, and the id is in the form of RFC 9562."""
    made = [ids.stamp(1_790_000_000_123_456_789) for _ in range(2000)]
    assert len({audit_id for audit_id, _ in made}) == 2000
    for audit_id, moment in made:
        parsed = uuid.UUID(audit_id)
        assert (str(parsed), parsed.version, parsed.variant) == (audit_id, 7, uuid.RFC_4122)
        assert parsed.int >> 80 == 1_790_000_000_123
        assert moment == "2026-09-21T14:13:20.123Z"


def test_a_child_after_a_fork_makes_other_ids() -> None:
    """The pool of random digits is not shared with the parent."""
    source = """
import os
from companyos_sdk.policy.ids import stamp
stamp(0)
child = os.fork()
ids = [stamp(0)[0] for _ in range(50)]
if child:
    os.waitpid(child, 0)
print(*ids, sep="\\n", flush=True)
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, timeout=60)
    assert len(set(done.stdout.split())) == 100
