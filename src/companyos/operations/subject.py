"""What a hold, an approval or an incident is about: a short text with a kind and a name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from companyos.core.errors import InvalidInput
from companyos.core.ids import NAME, SERVICE_NAME

FLEET: Final = "fleet"
"""Everything that the platform delivers."""

_RELEASE: Final = re.compile(rf"({SERVICE_NAME.pattern})@([A-Za-z0-9][A-Za-z0-9._+-]{{0,127}})")
_KINDS: Final[Mapping[str, re.Pattern[str]]] = {
    "service": SERVICE_NAME,
    "release": _RELEASE,
    "domain": NAME,
    "environment": NAME,
    "region": NAME,
    "policy": re.compile(rf"{NAME.pattern}/{NAME.pattern}@[0-9A-Za-z][0-9A-Za-z.+-]{{0,63}}"),
}


class Named(msgspec.Struct, frozen=True):
    """The service and the release that a subject names, for the ledger; None where it names none."""

    service: str | None = None
    release: str | None = None


def check_subject(text: str) -> str:
    """Return the subject unchanged, or raise InvalidInput that says which forms there are.

    These are ``fleet``, ``service:<name>``, ``release:<name>@<version>``, ``domain:<name>``, ``environment:<name>``,
    ``region:<name>`` and ``policy:<domain>/<service>@<version>``.
    """
    kind, _, name = text.partition(":")
    if text != FLEET and not (kind in _KINDS and _KINDS[kind].fullmatch(name)):
        raise InvalidInput(
            f"{text[:80]!r} is no subject.",
            next_step=f"Use {FLEET}, service:<name>, release:<name>@<version>, or one of {', '.join(_KINDS)}.",
            field="subject",
        )
    return text


def named(subject: str) -> Named:
    """Return the service and the release in a subject that was checked."""
    kind, _, name = subject.partition(":")
    if kind == "service":
        return Named(service=name)
    if kind == "release":
        return Named(service=name.partition("@")[0], release=name)
    return Named()


def covering(subject: str) -> tuple[str, ...]:
    """Return the subjects whose holds stop this one, itself first: a release, its service, the fleet."""
    about = named(subject)
    wider = [f"service:{about.service}"] if about.release else []
    return tuple(dict.fromkeys([subject, *wider, FLEET]))
