"""The faults that only a server meets; everything else is in ``companyos.core.errors``."""

from __future__ import annotations

from companyos.core.errors import CompanyOSError, Denied


class RequestTimeout(CompanyOSError):
    """The body of the request did not arrive in time (RFC 9110 §15.5.9)."""

    status, slug, title, exit_code = 408, "request-timeout", "Request too slow", 3


class Misdirected(CompanyOSError):
    """The request names a host that this server is not (RFC 9110 §15.5.20); browsers send that after DNS rebinding."""

    status, slug, title, exit_code = 421, "misdirected", "Not this host", 2


class HeadersTooLarge(CompanyOSError):
    """The header fields are more or longer than the server reads (RFC 6585 §5)."""

    status, slug, title, exit_code = 431, "headers-too-large", "Headers too large", 2


class CrossSite(Denied):
    """A browser sent this with its cookie from the page of another site, or from a form without our token."""

    slug, title = "cross-site", "From another site"
