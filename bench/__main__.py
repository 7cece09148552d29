"""`python -m bench`: run the benchmarks and print one table with the conditions under which it was taken.

Exit code 0 when every target is reached, 1 when one is missed, 2 for bad usage, 3 when a number could not be found out.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import bench
from bench.harness import Conditions, Row, conditions, number

_NOT_BENCHMARKS = {"__main__", "harness"}
_TABLE_WIDTH = 132


class Fault(msgspec.Struct, frozen=True):
    """A benchmark that could not finish, and why."""

    room: str
    reason: str


class Report(msgspec.Struct, frozen=True):
    """What one run found."""

    conditions: Conditions
    rows: tuple[Row, ...]
    faults: tuple[Fault, ...]

    @property
    def exit_code(self) -> int:
        """3 when something could not be measured, else 1 when a target was missed, else 0."""
        if self.faults:
            return 3
        return int(any(row.verdict == "miss" for row in self.rows))


def rooms() -> list[str]:
    """The names of the benchmarks in this folder, in alphabetical order."""
    found = (module.name for module in pkgutil.iter_modules(bench.__path__))
    return sorted(name for name in found if name not in _NOT_BENCHMARKS and not name.startswith("_"))


def measure(names: Sequence[str], scale: float) -> Report:
    """The report of the named benchmarks; a benchmark that fails leaves a fault and the others still run."""
    taken_under = conditions(scale)
    rows: list[Row] = []
    faults: list[Fault] = []
    for name in names:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        try:
            rows.extend(importlib.import_module(f"bench.{name}").run(scale))
        except Exception as fault:  # noqa: BLE001 - one broken benchmark must not hide the numbers of the others
            faults.append(Fault(name, f"{type(fault).__name__}: {fault}"))
    return Report(taken_under, tuple(rows), tuple(faults))


def show(report: Report) -> None:
    """Print the report for people."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _TABLE_WIDTH
    table = Table(title="CompanyOS, measured", title_justify="left")
    for heading in ("room", "what", "measured", "target", ""):
        table.add_column(
            heading, justify="right" if heading in ("measured", "target") else "left", no_wrap=heading != "what"
        )
    table.add_column("conditions and peers")
    for row in report.rows:
        remarks = "; ".join(text for text in (row.note, row.peer) if text)
        target = f"{row.target} {row.unit}" if row.target else ""
        colour = {"pass": "green", "miss": "red"}.get(row.verdict, "")
        verdict = f"[{colour}]{row.verdict}[/]" if colour else ""
        table.add_row(row.room, escape(row.name), f"{number(row.value)} {row.unit}", target, verdict, escape(remarks))
    console.print(table)
    under = report.conditions
    console.print(
        f"{under.measured_at} · {under.system} · {under.processor}, {under.cores} cores, load {under.load_1m:g} · "
        f"{under.python} · SQLite {under.sqlite} · one fsync {under.fsync_ms:g} ms · scale {under.scale:g}"
    )
    for fault in report.faults:
        console.print(f"[red]could not measure {fault.room}[/]: {escape(fault.reason)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure speed and size.")
    parser.add_argument("--only", action="append", choices=rooms(), metavar="ROOM", help=f"one of {', '.join(rooms())}")
    parser.add_argument("--scale", type=float, default=1.0, help="amount of work; 1.0 gives the documented numbers")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the table")
    options = parser.parse_args(arguments)
    if not 0 < options.scale <= 100:
        parser.error("--scale must be above 0 and at most 100.")
    report = measure(options.only or rooms(), options.scale)
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        show(report)
    return report.exit_code


if __name__ == "__main__":
    sys.exit(main())
