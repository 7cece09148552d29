"""How long the demo story takes: three services, three releases, one good, one bad, one slow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.harness import AtMost, Row

_COMMAND = str(Path(sys.executable).with_name("companyos"))
_PATIENCE_S = 300.0


def run(scale: float) -> Iterator[Row]:
    """Rows for one telling, whatever the scale: the whole, and how long the bad and the slow release stayed."""
    del scale
    told = tell()
    yield Row(
        room="story",
        name="companyos demo --headless, once installed",
        value=told["seconds_total"],
        unit="s",
        target=AtMost(60),
        note=f"{sum(told['load']['asked_per_s'].values()):g} requests/s, {told['load']['skipped']} not sent",
    )
    for key, name in (
        ("rolled_back", "5 % fail: first failed request → traffic moved"),
        ("slow", "30 % slow: first slow request → traffic moved"),
    ):
        back = told[key]
        yield Row(
            room="story",
            name=name,
            value=back["seconds_to_rollback"],
            unit="s",
            note=f"canary at 1 % of the traffic, {back['failed_requests']} failed requests, one telling",
        )


def tell() -> dict[str, Any]:
    """The JSON of one telling; RuntimeError with its end when not all of it happened."""
    done = subprocess.run(
        [_COMMAND, "demo", "--headless", "--json"],
        env={**os.environ, "COMPANYOS_TRAFFIC_PORT": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the story ended with {done.returncode}: {(done.stdout or done.stderr)[-400:]}")
    document: dict[str, Any] = json.loads(done.stdout)
    return document
