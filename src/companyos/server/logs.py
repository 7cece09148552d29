"""Log lines: one JSON object each, with the time, the level, a constant event and fields; never a secret."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Any, Final

import msgspec

from companyos.core.clock import rfc3339

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_SECRETS: Final = frozenset({"authorization", "code", "cookie", "csrf", "password", "secret", "token"})
_TRACE_LIMIT: Final = 16_000

_OWN: Final = "companyos"
_LEVEL_OF_OTHERS: Final = logging.WARNING
_LEVELS: Final = {"DEBUG": logging.DEBUG, "INFO": logging.INFO, "WARN": logging.WARNING, "ERROR": logging.ERROR}


class JsonFormatter(logging.Formatter):
    """Writes a record with what was given as ``extra`` as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        from datetime import UTC, datetime

        line: dict[str, Any] = {
            "timestamp": rfc3339(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname,
            "event": record.getMessage(),
            "logger": record.name,
        }
        for name, value in vars(record).items():
            if name not in _STANDARD:
                line[name] = "(withheld)" if name in _SECRETS else value
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = type(record.exc_info[1]).__name__
            line["trace"] = "".join(traceback.format_exception(record.exc_info[1]))[-_TRACE_LIMIT:]
        return msgspec.json.encode(line, enc_hook=str).decode()


def configure(level: str) -> None:
    """Send all log lines of this process to standard error; other people's libraries only from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(_LEVEL_OF_OTHERS)
    logging.getLogger(_OWN).setLevel(_LEVELS[level])
