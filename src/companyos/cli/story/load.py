"""The users of the story: the open-loop generator as a child of the keeper, and what it says."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from companyos.cli.log import Follower
from companyos.cli.story.cast import PATH
from companyos.core import durable
from companyos.core.keeper import ChildSpec
from companyos.delivery.load import Summary

if TYPE_CHECKING:
    from companyos.cli.story.places import Place

CHILD: Final = "demo-load"
"""The name of the generator among the keeper's children."""
GENTLY: Final = 0.1
"""Of the rates of a story: what goes on when it is told, so that the Control Tower has something to show."""
_TIMEOUT_S: Final = 5.0
_GRACE_S: Final = 10.0
_SPAN_LIMIT_S: Final = 3600.0
"""The generator of a story ends by itself when whoever told it is gone."""


class Load:
    """The generator of one place."""

    def __init__(self, place: Place, rates: Mapping[str, float]) -> None:
        """Take how many requests each service gets per second; nothing is started."""
        self.rates = rates
        self._place = place
        self._log = Follower(self._file, from_end=True)

    @property
    def _file(self) -> Path:
        return self._place.home.logs / f"{CHILD}.log"

    def start(self) -> None:
        """Begin to send; what an earlier story left is ended first."""
        self._place.keeper.stop(CHILD)
        self._log = Follower(self._file, from_end=True)
        self._place.keeper.start(self._spec(1.0, _SPAN_LIMIT_S))

    def end(self) -> Summary | None:
        """Stop sending and return what was sent and answered in all; None when the generator did not say."""
        self._place.keeper.stop(CHILD, _GRACE_S)
        lines: list[str] = []
        while new := self._log.new_lines():
            lines += new
        return final(lines)

    def go_on_gently(self) -> None:
        """Send a little until the platform is ended."""
        self._place.keeper.stop(CHILD)
        self._place.keeper.start(self._spec(GENTLY, None))

    def _spec(self, share: float, seconds: float | None) -> ChildSpec:
        profile = self._place.folder / "profile.json"
        durable.write(profile, msgspec.json.encode([{"method": "GET", "path": PATH}]))
        host, port = self._place.traffic
        words = ["--host", host, "--port", str(port), "--profile", str(profile), "--timeout", f"{_TIMEOUT_S:g}"]
        for service, rate in self.rates.items():
            words += ["--service", f"{service}={rate * share:g}"]
        if seconds is not None:
            words += ["--seconds", f"{seconds:g}"]
        return ChildSpec(
            name=CHILD,
            argv=(sys.executable, "-P", "-m", "companyos.delivery.load", *words),
            cwd=str(self._place.home.path),
            env=dict(os.environ),
            log=str(self._file),
            restart="always" if seconds is None else "never",
            grace_s=_GRACE_S,
        )


def final(lines: Sequence[str]) -> Summary | None:
    """Return the summary of a whole run from what the generator wrote, None without one."""
    for line in reversed(lines):
        try:
            said = msgspec.json.decode(line, type=Summary)
        except (msgspec.MsgspecError, UnicodeEncodeError):
            continue
        if said.final:
            return said
    return None
