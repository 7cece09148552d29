"""Recorded decisions decided again by a candidate: what would a promotion have changed? Pure.

A record holds what the policy of its day read of the request. The candidate can be asked again when it reads nothing
else; a record that lacks something is counted with the path that it lacks, never guessed. So the report says three
things: how much of the record could be decided again, what would have been decided otherwise, and that there was
nothing to decide, which is no proof of anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias

import msgspec

from companyos.policy.differences import Flip, Flips, compare
from companyos_sdk.policy import decision as reasons
from companyos_sdk.policy.decision import Obligation, Verdict, normalised
from companyos_sdk.policy.faults import failure
from companyos_sdk.policy.record import dotted
from companyos_sdk.rego.values import UNDEFINED

InputPath: TypeAlias = tuple[str, ...]
"""The keys that lead to a part of the input: ``("resource", "region")``; the empty one is the whole input."""

MAX_RECORDS: Final = 1_000_000
"""How many records one replay decides again; the report says when there were more."""

_MAX_REASONS: Final = 50
_EVERYTHING: Final = "the whole input"
_ABSENT: Final = object()

NOT_OF_THE_POLICY: Final = frozenset({reasons.STALE, reasons.NO_BUNDLE, reasons.UNLOGGED})
"""Denials that no policy has decided; they say nothing about what one would change."""

_NOT_RECORDED: Final = frozenset({reasons.BAD_INPUT, reasons.LIMIT})
"""Denials of requests that were too large or too odd to be written down."""

_REQUEST: Final = "the request itself, which could not be recorded"


class RecordedDecision(NamedTuple):
    """A decision as the log has it."""

    audit_id: str
    action: str
    allowed: bool
    reason: str
    obligations: tuple[Obligation, ...]
    paths: tuple[InputPath, ...]
    """What the policy of that day could read of the input. Records of one policy share the tuple."""
    values: tuple[Any, ...]
    """What it found there, one for each path; UNDEFINED where nothing was."""


class DecisionSource(Protocol):
    """Where recorded decisions come from: the log of decisions, or a list in memory."""

    def records(self, bundle_id: str, stage: str) -> Iterator[RecordedDecision]:
        """Yield the decisions that bundles of this id made in the stage, each once, newest first.

        Records that are erased or cannot be read any more are left out. Nothing is kept in memory.
        """
        ...


class Candidate(NamedTuple):
    """What decides again."""

    input_paths: tuple[InputPath, ...]
    """Every part of the input that it can read."""
    decide: Callable[[Any], Verdict]
    """It returns a denial for whatever goes wrong, and raises nothing."""


class Program(Protocol):
    """A compiled policy, as ``companyos_sdk.rego.load`` gives it."""

    @property
    def input_paths(self) -> tuple[InputPath, ...]:
        """Every part of the input that it can read."""
        ...

    def observe(self, input: Any) -> tuple[Any, tuple[Any, ...]]:  # noqa: ANN401 - JSON
        """Return the decision, and what was at each of the paths."""
        ...


def candidate(program: Program) -> Candidate:
    """Return what decides as a service with this program would, without its log."""
    observe = program.observe

    def decide(input: Any) -> Verdict:  # noqa: ANN401 - JSON
        try:
            return normalised(observe(input)[0], UNDEFINED)
        except Exception as fault:  # noqa: BLE001 - whatever goes wrong while deciding is a denial
            return failure(fault)

    return Candidate(input_paths=program.input_paths, decide=decide)


class ReplayReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a candidate would have decided otherwise."""

    outcome: Literal["replayed", "nothing"]
    """``nothing``: there was no recorded decision, so that nothing is known."""
    total: int
    replayable: int
    """Records that hold all that the candidate reads; only they were decided again."""
    replayable_ratio: float
    """Their share, 0 to 1; 0 where there was nothing."""
    same: int
    """Decided as before, with the same obligations."""
    deny_to_allow: int = 0
    allow_to_deny: int = 0
    obligations_lost: int = 0
    """Decisions that stay what they are and owe less than before."""
    obligations_gained: int = 0
    flips: tuple[Flip, ...] = ()
    """Every kind of difference, those that need a sign-off first."""
    lacking: dict[str, int] = {}
    """Records that could not be decided again, by the dotted path that they lack."""
    truncated: bool = False
    """There were more than ``MAX_RECORDS`` records, and the others were left out."""


class Recorded:
    """Decisions in memory, for tests and for whoever has no log."""

    def __init__(self, decisions: Mapping[tuple[str, str], Sequence[RecordedDecision]] | None = None) -> None:
        """Take the decisions by bundle id and stage."""
        self._decisions = decisions or {}

    def records(self, bundle_id: str, stage: str) -> Iterator[RecordedDecision]:
        """Yield the decisions of a bundle in a stage."""
        yield from self._decisions.get((bundle_id, stage), ())


def replay(records: Iterable[RecordedDecision], candidate: Candidate, *, limit: int = MAX_RECORDS) -> ReplayReport:
    """Return what the candidate decides otherwise on the recorded inputs. Nothing of a record is changed."""
    decide = candidate.decide
    sources: dict[tuple[InputPath, ...], _Source] = {}
    counts: Counter[str] = Counter()
    lacking: Counter[str] = Counter()
    flips = Flips()
    total = replayable = same = 0
    stream = iter(records)
    for record in islice(stream, limit):
        if record.reason in NOT_OF_THE_POLICY:
            continue
        total += 1
        if record.reason in _NOT_RECORDED:
            lacking[_REQUEST] += 1
            continue
        source = sources.get(record.paths)
        if source is None:
            source = sources[record.paths] = _Source(record.paths, candidate.input_paths)
        if source.lacks is not None:
            lacking[source.lacks] += 1
            continue
        replayable += 1
        allowed, reason, owed, _ = decide(source.input_of(record.values))
        if allowed is record.allowed and not owed and not record.obligations:
            same += 1
            continue
        found = compare(record.allowed, record.obligations, allowed, owed)
        if not found:
            same += 1
            continue
        counts.update({kind for kind, _ in found})
        for kind, what in found:
            about = what or (record.reason if kind == "deny_to_allow" else reason)
            flips.add(kind, record.action, about, record.reason, reason, record.audit_id)
    return ReplayReport(
        outcome="replayed" if total else "nothing",
        total=total,
        replayable=replayable,
        replayable_ratio=replayable / total if total else 0.0,
        same=same,
        deny_to_allow=counts["deny_to_allow"],
        allow_to_deny=counts["allow_to_deny"],
        obligations_lost=counts["obligation_lost"],
        obligations_gained=counts["obligation_gained"],
        flips=flips.all(),
        lacking=dict(lacking.most_common(_MAX_REASONS)),
        truncated=next(stream, None) is not None,
    )


class _Source:
    """How the input is made again from the values at one list of paths, and what it lacks for the candidate."""

    def __init__(self, recorded: tuple[InputPath, ...], wanted: tuple[InputPath, ...]) -> None:
        known = set(recorded)
        lost = next((path for path in wanted if not _covered(path, known)), None)
        self.lacks = None if lost is None else dotted(lost) or _EVERYTHING
        # A path below another recorded one is part of its value; only the outermost ones are put together.
        self._places = [
            (place, path)
            for place, path in enumerate(recorded)
            if not any(path[:length] in known for length in range(len(path)))
        ]

    def input_of(self, values: tuple[Any, ...]) -> Any:  # noqa: ANN401 - an input is any JSON value
        """Return the input with these values; the values themselves are shared with the record."""
        made: dict[str, Any] = {}
        for place, path in self._places:
            value = values[place]
            if value is UNDEFINED:
                continue
            if not path:
                return value
            inside = made
            for key in path[:-1]:
                deeper = inside.get(key, _ABSENT)
                if deeper is _ABSENT:
                    deeper = inside[key] = {}
                inside = deeper
            inside[path[-1]] = value
        return made


def input_of(paths: tuple[InputPath, ...], values: tuple[Any, ...]) -> Any:  # noqa: ANN401 - an input is any JSON value
    """Return the input that holds these values at these paths, and nothing else."""
    return _Source(paths, ()).input_of(values)


def _covered(path: InputPath, known: set[InputPath]) -> bool:
    """Tell whether the value at the path can be taken from what is known."""
    return any(path[:length] in known for length in range(len(path) + 1))
