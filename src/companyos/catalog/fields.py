"""The types of the fields of the catalog, made of those in ``core.fields``."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta

from companyos.core.fields import END, Key, Line, Name, ServiceName, Text

Labels: TypeAlias = Annotated[dict[Key, Line], Meta(max_length=64)]
Annotations: TypeAlias = Annotated[dict[Key, Text], Meta(max_length=64)]
Names: TypeAlias = Annotated[list[Name], Meta(max_length=64)]
ServiceNames: TypeAlias = Annotated[list[ServiceName], Meta(max_length=256)]
Members: TypeAlias = Annotated[list[Line], Meta(max_length=1000)]
Digest: TypeAlias = Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}" + END)]
Version: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}" + END)]
Ratio: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
