"""Where people reach this platform, for links in what it sends out."""

from __future__ import annotations

from companyos.core import client
from companyos.core.settings import Settings


def public_address(settings: Settings) -> str:
    """Return the address without a slash at its end: the public one, else the running server's, else the configured."""
    if settings.public_url:
        return settings.public_url.rstrip("/")
    noted = client.noted_server(settings.folder)
    return noted.url if noted is not None else f"http://{settings.host}:{settings.port}"
