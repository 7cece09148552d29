"""A service made from the real template, as an artifact."""

from __future__ import annotations

from datetime import date
from functools import cache

from companyos.evidence import archive
from companyos.evidence.archive import Archive, Entry
from companyos.goldenpath.archives import load_template
from companyos.goldenpath.rendering import Files, render
from companyos.goldenpath.template import complete

LOCK = "requirements.lock"


@cache
def files() -> Files:
    """Return the files of a new service ``shop``."""
    template = load_template("api-python")
    return render(template, complete(template.definition, "shop", {}, today=date(2026, 1, 1)))


def artifact() -> bytes:
    """Return them as an artifact."""
    entries = tuple(
        Entry(path=path, kind="program" if mode & 0o100 else "file", data=data)
        for path, (data, mode) in files().items()
    )
    return archive.write(Archive(entries=entries, notes={"comment": "c0ffee" + "0" * 34}))
