"""The functions of Rego that a policy may call: the ones that do not reach outside.

The modules fill the table in `registry` when they are imported here. What is not in the table is refused while a policy
is made, with the reason that ``OUTSIDE`` has for it.
"""

from __future__ import annotations

from companyos_sdk.rego.builtins import (  # noqa: F401 - importing them fills the table
    aggregates,
    arithmetic,
    arrays,
    bits,
    encoding,
    formatting,
    globs,
    graphs,
    hashes,
    identifiers,
    intersections,
    jsonpaths,
    jsons,
    networks,
    numbers,
    objects,
    operators,
    regexes,
    schemas,
    semver,
    sets,
    strings,
    templates,
    times,
    tokens,
    types,
    units,
    yamls,
)
from companyos_sdk.rego.builtins.registry import TABLE, Builtin

__all__ = ["OUTSIDE", "TABLE", "Builtin"]

OUTSIDE: dict[str, str] = {
    "http.send": "a decision asks nobody over the network; put what it needs into the input",
    "net.lookup_ip_addr": "a decision asks nobody over the network; put what it needs into the input",
    "opa.runtime": "it hands the environment of the process to a policy",
    "print": "a policy writes nothing; `companyos policy explain` shows what it did",
    "rand.intn": "a decision must come out the same when it is made again",
    "rego.parse_module": "it is for tools that read policies, not for policies",
    "time.now_ns": "a decision must come out the same when it is made again; read input.environment.time",
    "trace": "a policy writes nothing; `companyos policy explain` shows what it did",
    "uuid.rfc4122": "a decision must come out the same when it is made again",
}
"""Functions of OPA that are left out on purpose, each with what to do instead."""
