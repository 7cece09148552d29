"""Definition files for tests."""

from __future__ import annotations

DIGEST = "sha256:" + "a" * 64
OTHER_DIGEST = "sha256:" + "b" * 64


def file(*keys: str, default: bool = False) -> bytes:
    """Return a definition file with these flags."""
    return "".join(
        f"- key: {key}\n  description: About {key}.\n  owner: checkout\n  default: {str(default).lower()}\n"
        f"  expires: 2026-12-31\n  cleanup: Delete it.\n"
        for key in keys
    ).encode()
