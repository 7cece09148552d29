"""What there is: services, teams, domains, regions, and what runs where, each fact with who said it and when.

The public face is ``Catalog`` (use cases), ``register_section`` (a pillar's own part of the manifest) and the values
they take and return. They are loaded when they are first used, because the command line imports ``catalog.commands``
for its help.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from companyos.catalog.deployment import Observed
    from companyos.catalog.manifest import manifest_schema, register_section
    from companyos.catalog.model import (
        Counts,
        Deployment,
        Domain,
        ImportReport,
        Link,
        Projected,
        Provenance,
        Service,
        ServiceQuery,
        SourceFile,
        Team,
    )
    from companyos.catalog.service import Catalog

__all__ = [
    "Catalog",
    "Counts",
    "Deployment",
    "Domain",
    "ImportReport",
    "Link",
    "Observed",
    "Projected",
    "Provenance",
    "Service",
    "ServiceQuery",
    "SourceFile",
    "Team",
    "manifest_schema",
    "register_section",
]

_HOME = dict.fromkeys(__all__, "model") | {
    "Catalog": "service",
    "Observed": "deployment",
    "manifest_schema": "manifest",
    "register_section": "manifest",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
