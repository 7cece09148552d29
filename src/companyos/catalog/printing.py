"""How the commands of the catalog show its values to people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from companyos.core.console import Console

COLUMNS: Final = ("NAME", "OWNER", "DOMAIN", "TIER", "REGIONS", "UPDATED")
_FACTS: Final = (
    "description",
    "owner",
    "domain",
    "tier",
    "lifecycle",
    "regions",
    "environments",
    "depends_on",
    "labels",
    "links",
)


def owner(service: Mapping[str, Any]) -> str:
    """Return who owns a service, in words."""
    return f"owned by {service['owner']}" if service["owner"] else "which nobody owns"


def row(service: Mapping[str, Any]) -> Sequence[object]:
    """Return a line of the list of services."""
    return (
        service["name"],
        service["owner"] or "no owner",
        service["domain"],
        service["tier"],
        " ".join(service["regions"]) or None,
        service["updated_at"][:19] + "Z",
    )


def show_service(console: Console, service: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> None:
    """Write a service with its facts and what runs for it."""
    console.print(f"{service['name']}, {owner(service)}, version {service['revision']}")
    console.print()
    console.table(("FACT", "VALUE", "SOURCE", "OBSERVED"), [_fact(service, fact) for fact in _FACTS])
    console.print()
    console.table(
        ("ENVIRONMENT", "ARM", "VERSION", "DIGEST", "WEIGHT", "SINCE"),
        [
            (
                run["environment"],
                run["arm"],
                run["version"],
                run["digest"][:19],
                None if run["weight_ratio"] is None else f"{run['weight_ratio']:.1%}",
                run["since"][:19] + "Z",
            )
            for run in runs
        ],
        empty="Nothing is known to run.",
    )


def show_import(console: Console, report: Mapping[str, Any]) -> None:
    """Write what an import did: what changed by name, the rest by number, and what was skipped with its reason."""
    told = Counter(item["outcome"] for item in report["items"])
    changed = [item for item in report["items"] if item["outcome"] in {"created", "updated"}]
    for item in changed:
        console.print(f"{item['outcome']} {item['kind']} {item['name']}")
    for skipped in report["skipped"]:
        console.print(f"skipped {skipped['entity']} of {skipped['source']}: {skipped['reason']}")
    console.print(", ".join(f"{count} {outcome}" for outcome, count in sorted(told.items())) or "Nothing to import.")


def _fact(service: Mapping[str, Any], fact: str) -> Sequence[object]:
    value = service[fact]
    if isinstance(value, dict):
        value = " ".join(f"{key}={text}" for key, text in value.items())
    elif isinstance(value, list):
        value = " ".join(item["url"] if isinstance(item, dict) else item for item in value)
    origin = service["provenance"].get(fact)
    return (fact, value or None, origin and origin["source"], origin and origin["observed_at"][:19] + "Z")
