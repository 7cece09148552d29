"""What we write, a stock OPA loads and verifies.

There is no OPA here, so this checker follows its documentation (openpolicyagent.org/docs/management-bundles: Bundle
File Format, Signature Format, Signature Verification) with other tools than our own code: Python's ``tarfile`` reads
the archive, joserfc checks the signature, and files are hashed the way OPA says, from what they mean.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey

from companyos_sdk.bundle import BundleError, pack, strict_json
from tests.sdk.bundle.forging import PROD, STRANGER, files, good, signed


class Number(str):
    """A number as it stands in the file; OPA keeps it as text."""

    __slots__ = ()


def loaded(data: bytes) -> dict[str, bytes]:
    """The regular files in a bundle, as OPA's loader finds them: a slash at the front makes no difference to it."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        found = [(member.name.removeprefix("/"), archive.extractfile(member)) for member in archive if member.isfile()]
        return {name: file.read() for name, file in found if file is not None}


def verified(data: bytes, key: str, scope: str) -> Mapping[str, Any]:
    """The files by name, when OPA would take the bundle; raises AssertionError or joserfc's own error."""
    found = loaded(data)
    document = json.loads(found.pop(".signatures.json"))
    assert len(document["signatures"]) == 1, "OPA expects exactly one JWT"
    assert "plugin" not in document
    signature = jws.deserialize_compact(document["signatures"][0], ECKey.import_key(key), algorithms=["ES256"])
    payload = json.loads(signature.payload)
    assert signature.headers()["kid"] == payload["keyid"]
    assert payload["scope"] == scope
    listed = {one["name"]: one for one in payload["files"]}
    for name, content in found.items():
        one = listed.pop(name)  # a file that is not included in the signature is an error
        assert one["algorithm"] == "SHA-256"
        assert one["hash"] == hashlib.sha256(meaning(name, content)).hexdigest(), name
    assert not listed, "files specified in bundle signatures but not found in the target bundle"
    return found


def meaning(name: str, content: bytes) -> bytes:
    """What OPA hashes of a file: structured documents by what they say, all others as they are."""
    if name.rsplit("/", 1)[-1] not in {"data.json", ".manifest"}:
        return content
    return walked(json.loads(content, parse_int=Number, parse_float=Number)).encode()


def walked(value: Any) -> str:
    """Objects with their keys in order, without white space; texts as Go writes them with HTML escaping off."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        pairs = [f"{walked(key)}:{walked(value[key])}" for key in sorted(value, key=lambda key: key.encode())]
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(walked(one) for one in value) + "]"
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
        return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return json.dumps(value)


def test_a_stock_opa_would_load_and_verify_the_bundle() -> None:
    """With ES256, the public key of the stage, and the stage as scope."""
    found = verified(good(), PROD.pem, "prod")
    manifest = json.loads(found[".manifest"])
    assert set(manifest) == {"revision", "roots", "rego_version", "metadata"}, "fields that OPA's manifest has"
    assert manifest["rego_version"] == 1


def test_the_checker_is_no_yes_man() -> None:
    """It refuses another key, another scope and a changed file, as OPA does."""
    with pytest.raises(Exception, match="bad_signature"):
        verified(good(), STRANGER.pem, "prod")
    with pytest.raises(AssertionError):
        verified(good(), PROD.pem, "dev")
    with pytest.raises(AssertionError):
        verified(pack({**signed(files()), "plan.json": b"{}"}), PROD.pem, "prod")


def test_no_file_has_a_name_that_opa_takes_for_something_else() -> None:
    """Its loader looks at the last part of a path, in any folder."""
    last = [name.rsplit("/", 1)[-1] for name in loaded(good())]
    assert {name for name in last if not name.endswith(".rego")} == {
        ".manifest",
        ".signatures.json",
        "data.json",
        "plan.json",
    }
    assert all(last.count(name) == 1 for name in last)


def test_everything_lies_within_the_roots() -> None:
    """OPA refuses a module or data outside of the roots, and roots that overlap."""
    found = loaded(good())
    roots = json.loads(found[".manifest"])["roots"]
    tops = {f"{key}" for key in json.loads(found["data.json"])}
    assert all(any(root == top or root.startswith(f"{top}/") for root in roots) for top in tops)
    assert not any(one != other and f"{other}/".startswith(f"{one}/") for one in roots for other in roots)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_the_bytes_that_we_write_are_the_bytes_that_opa_hashes(value: Any) -> None:
    """So a file can be verified before it is parsed."""
    written = strict_json.dumps(value)
    assert written == meaning("data.json", written)
    assert strict_json.loads(written, "data.json") == value


@given(st.text())
def test_half_a_character_is_refused_and_every_other_text_is_kept(text: str) -> None:
    """Lone surrogates have no UTF-8."""
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        with pytest.raises(BundleError):
            strict_json.dumps(text)
    else:
        assert json.loads(strict_json.dumps(text)) == text


def test_numbers_stay_as_they_are() -> None:
    """A whole number stays whole, and a fraction keeps its digits."""
    value = {"a": 1, "b": 1.0, "c": 10**30, "d": 0.1}
    written = strict_json.dumps(value)
    assert written == b'{"a":1,"b":1.0,"c":1000000000000000000000000000000,"d":0.1}'
    assert json.loads(written, parse_float=Decimal)["d"] == Decimal("0.1")
