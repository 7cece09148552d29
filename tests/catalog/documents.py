"""Documents that several tests of the catalog read."""

from __future__ import annotations

from datetime import UTC, datetime
from textwrap import dedent
from typing import Any

from hypothesis import strategies as st

from companyos.core.documents import parse_yaml_documents

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.text(max_size=12)
    | st.sampled_from(["a/b", "user:x", "group:y"]),
    lambda child: st.lists(child, max_size=3) | st.dictionaries(st.text(max_size=8), child, max_size=3),
    max_leaves=8,
)
"""Anything that YAML or JSON can say, small."""

COMPONENT = """
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: artist-web
  description: The place to be, for great artists
  labels:
    example.com/custom: custom_label_value
  annotations:
    backstage.io/techdocs-ref: "dir:."
  tags: [java, web]
  links:
    - {url: "https://admin.example-org.com", title: Admin Dashboard, icon: dashboard}
    - {url: "ftp://old.example.com"}
spec:
  type: website
  lifecycle: production
  owner: group:default/artist-relations
  system: public-websites
  dependsOn: ["component:default/artist-lookup", "resource:default/artists-db"]
"""

MANIFEST = """
apiVersion: companyos.dev/v1
kind: Service
metadata:
  name: checkout
  description: Takes the money.
spec:
  owner: team-pay
  domain: commerce
  tier: critical
  regions: [eu-west-1, us-east-1]
  dependsOn: [ledger, risk]
"""


def parsed(text: str) -> list[Any]:
    """Return the documents of a YAML text."""
    return list(parse_yaml_documents(dedent(text).encode(), where="x"))
