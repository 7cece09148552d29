"""Asking an instance whether it is ready: one GET of its readiness path, with a limit on time and on what is read."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

TIMEOUT_S: Final = 1.0
_STATUS_LINE_LIMIT: Final = 512
_OK: Final = 200


async def probe(address: tuple[str, int], path: str, within_s: float = TIMEOUT_S) -> str:
    """Return "" when the path answers 200 in time, else what happened, in a sentence without a full stop."""
    try:
        async with asyncio.timeout(within_s):
            status = await _status(address, path)
    except TimeoutError:
        return f"GET {path} did not answer within {within_s:g} s"
    except ConnectionRefusedError:
        return f"Nothing listens on {address[0]}:{address[1]} yet"
    except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as fault:
        return f"GET {path} failed: {type(fault).__name__}"
    return "" if status == _OK else f"GET {path} answered {status}"


async def _status(address: tuple[str, int], path: str) -> int:
    """Return the status of the answer; its rest is not read. Raises OSError, and ValueError for what is no HTTP."""
    reader, writer = await asyncio.open_connection(*address, limit=_STATUS_LINE_LIMIT)
    try:
        request = (
            f"GET {path} HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\n"
            "User-Agent: companyos-readiness\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        )
        writer.write(request.encode("ascii"))
        line = await reader.readuntil(b"\n")
        protocol, status = line.split(None, 2)[:2]
        if not protocol.startswith(b"HTTP/1."):
            raise ValueError("no HTTP")
        return int(status)
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
