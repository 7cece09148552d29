"""The parameters that several addresses of operations take."""

from __future__ import annotations

from typing import Annotated

from litestar.params import PathParameter, QueryParameter

from companyos.core.paging import MAX_LIMIT

Cursor = Annotated[str | None, QueryParameter(max_length=1024, description="`next_cursor` of the page before.")]
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="How many items a page has at most.")]
SubjectFilter = Annotated[
    str | None, QueryParameter(max_length=200, description="For example service:checkout or fleet.")
]
Id = Annotated[str, PathParameter(max_length=36)]
