"""The one exception base of the platform, and the kinds of fault that a caller can tell apart.

Each kind carries the HTTP status that the server answers with (RFC 9110, RFC 6585), the slug of its problem type
(RFC 9457) and the exit code of the command line: 1 "the answer is no", 2 "the input is wrong", 3 "could not find out".
A message names the thing at fault in one sentence; ``next_step`` says what to do about it.
"""

from __future__ import annotations

from typing import ClassVar


class CompanyOSError(Exception):
    """Any fault that the platform expects and can explain; ``str()`` gives its one sentence."""

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"
    exit_code: ClassVar[int] = 3

    def __init__(self, detail: str, *, next_step: str = "", field: str | None = None) -> None:
        """Take the sentence, what to do next, and the dotted path of the offending field when there is one."""
        super().__init__(detail)
        self.detail = detail
        self.next_step = next_step
        self.field = field


class InvalidInput(CompanyOSError):
    """The input cannot be understood or breaks a stated limit; nothing was changed."""

    status, slug, title, exit_code = 400, "invalid-input", "Invalid input", 2


class Unauthenticated(CompanyOSError):
    """No credential came with the request, or it is unknown, expired or revoked."""

    status, slug, title, exit_code = 401, "unauthenticated", "Sign-in needed", 1


class Denied(CompanyOSError):
    """The caller is known and may not do this; the denial is recorded in the ledger."""

    status, slug, title, exit_code = 403, "denied", "Not allowed", 1

    def __init__(
        self, detail: str, *, next_step: str = "", action: str = "", resource: str = "", policy: str | None = None
    ) -> None:
        """Keep what was asked and which policy said no, so that the denial can be recorded."""
        super().__init__(detail, next_step=next_step)
        self.action = action
        self.resource = resource
        self.policy = policy


class NotFound(CompanyOSError):
    """The thing that was named does not exist."""

    status, slug, title, exit_code = 404, "not-found", "Not found", 1


class MethodNotAllowed(CompanyOSError):
    """The address exists and does not take this HTTP method."""

    status, slug, title, exit_code = 405, "method-not-allowed", "Method not allowed", 2


class Conflict(CompanyOSError):
    """The state of the thing forbids this: a name that is taken, a decision that was made already."""

    status, slug, title, exit_code = 409, "conflict", "Conflict", 1


class PreconditionFailed(CompanyOSError):
    """The thing changed since the caller read it (``If-Match`` names an older version)."""

    status, slug, title, exit_code = 412, "precondition-failed", "Changed meanwhile", 1


class TooLarge(CompanyOSError):
    """The input is larger than the limit that the message states."""

    status, slug, title, exit_code = 413, "too-large", "Too large", 2


class UnsupportedMediaType(CompanyOSError):
    """The body is of a type that this address does not read."""

    status, slug, title, exit_code = 415, "unsupported-media-type", "Unsupported media type", 2


class PreconditionRequired(CompanyOSError):
    """A change of an existing thing must say which version it changes (RFC 6585 §3)."""

    status, slug, title, exit_code = 428, "precondition-required", "If-Match needed", 2


class TooManyRequests(CompanyOSError):
    """The caller must wait ``retry_after_s`` seconds (RFC 6585 §4)."""

    status, slug, title, exit_code = 429, "too-many-requests", "Too many requests", 3

    def __init__(self, detail: str, *, retry_after_s: int, next_step: str = "") -> None:
        """Take the sentence and the seconds to wait."""
        super().__init__(detail, next_step=next_step or f"Wait {retry_after_s} s and try again.")
        self.retry_after_s = retry_after_s


class IntegrityFault(CompanyOSError):
    """Stored bytes are not what was stored: a digest, a signature or a proof does not hold."""

    status, slug, title, exit_code = 500, "integrity-fault", "Integrity fault", 1


class Unavailable(CompanyOSError):
    """Something that is needed for the answer cannot be reached: neither yes nor no."""

    status, slug, title, exit_code = 503, "unavailable", "Unavailable", 3


class NewerSchema(Unavailable):
    """The database was migrated by a newer release than this one."""

    slug, title = "newer-schema", "Newer schema"


BY_SLUG: dict[str, type[CompanyOSError]] = {
    kind.slug: kind
    for kind in (
        CompanyOSError,
        InvalidInput,
        Unauthenticated,
        Denied,
        NotFound,
        MethodNotAllowed,
        Conflict,
        PreconditionFailed,
        TooLarge,
        UnsupportedMediaType,
        PreconditionRequired,
        IntegrityFault,
        Unavailable,
        NewerSchema,
    )
}
"""The kinds that need nothing but a sentence, by the last part of their problem type."""
