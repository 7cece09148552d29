"""The first start: an admin with a token in the home, and a one-time link that signs the first person in."""

from __future__ import annotations

from companyos.core.access import Caller
from companyos.identity import Identity


def greet(identity: Identity, url: str, *, always: bool) -> str | None:
    """Return the one-time link when this is the first start, or ``always``; None otherwise.

    Of several processes that start together on one database, one makes the admin and gets the link.
    """
    issued = identity.bootstrap_admin()
    if issued is None and not always:
        return None
    system = Caller(subject="system:server", roles=frozenset({"admin"}))
    return f"{url}/sign-in?code={identity.issue_login_code(system).code}"
