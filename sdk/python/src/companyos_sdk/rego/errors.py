"""What can go wrong with a policy: while it is made, and while it decides."""

from __future__ import annotations


class RegoError(Exception):
    """Base of all errors of this package; the message names the fault and, where there is one, the next step."""


class CompileError(RegoError):
    """A policy that cannot be made into a program: bad syntax, an unsafe variable, an unknown entrypoint."""

    def __init__(
        self, message: str, *, file: str | None = None, row: int | None = None, col: int | None = None
    ) -> None:
        super().__init__(_at(file, row, col) + message)
        self.sentence = message
        """The message without the place, for whoever shows that beside it."""
        self.file, self.row, self.col = file, row, col


class ForbiddenBuiltin(CompileError):
    """A policy calls a function that reaches outside, depends on chance, or that we do not have."""

    def __init__(self, name: str, reason: str, *, file: str | None = None, row: int | None = None) -> None:
        super().__init__(f"{name} cannot be used in a policy: {reason}", file=file, row=row)
        self.name = name


class PlanError(RegoError):
    """A stored plan that is not one, or that this version does not understand."""


class EvaluationError(RegoError):
    """A decision that could not be made. Whoever asked must treat it as a denial."""


class ConflictError(EvaluationError):
    """Two rules, or two entries of an object, gave different values for one thing (OPA: `eval_conflict_error`)."""


class LimitExceeded(EvaluationError):
    """A decision needed more steps, depth or memory than a decision may."""


class BuiltinError(EvaluationError):
    """A built-in function could not work with its arguments: the call is undefined, in strict mode an error."""


def _at(file: str | None, row: int | None, col: int | None) -> str:
    places = [file or "policy", *(str(place) for place in (row, col) if place is not None)]
    return ":".join(places) + ": " if file or row else ""
