"""Every setting of the platform, in one documented table.

The environment wins over the home's ``config.toml``, which wins over the defaults.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_type_hints

import msgspec
from msgspec import Meta

from companyos.core.errors import InvalidInput
from companyos.core.home import Home

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX: Final = "COMPANYOS_"
_CONFIG_LIMIT_BYTES: Final = 64 * 1024


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of one process; ``load`` makes it, nothing changes it."""

    home: Annotated[str, Meta(description="Folder of all local state; see `companyos doctor` for which one was found.")]
    host: Annotated[str, Meta(description="Address that the server binds.", max_length=255)] = "127.0.0.1"
    port: Annotated[int, Meta(description="Port that the server binds; 0 takes a free one.", ge=0, le=65535)] = 8700
    public_url: Annotated[
        str,
        Meta(description="Address that people use when a proxy stands in front; its scheme decides secure cookies."),
    ] = ""
    database_url: Annotated[
        str, Meta(description="`postgresql://…` moves the state to a server; empty means SQLite in the home.")
    ] = ""
    local_roles: Annotated[
        tuple[str, ...],
        Meta(description="Roles of a person who works on the files as `os:<user>`; comma-separated, empty for none."),
    ] = ("admin",)
    session_ttl_s: Annotated[int, Meta(description="How long a browser session lasts.", ge=60, le=2_592_000)] = 43_200
    login_code_ttl_s: Annotated[
        int, Meta(description="How long a one-time sign-in link can be used.", ge=30, le=86_400)
    ] = 900
    sign_in_attempts: Annotated[
        int, Meta(description="Failed sign-ins of one address in a minute before it must wait.", ge=1, le=1000)
    ] = 10
    body_limit_bytes: Annotated[int, Meta(description="Largest request body that is read.", ge=1024, le=67_108_864)] = (
        1_048_576
    )
    request_timeout_s: Annotated[
        float, Meta(description="Longest time that a request body may take to arrive.", gt=0)
    ] = 15.0
    ledger_origin: Annotated[
        str, Meta(description="Name of the ledger in its checkpoints (C2SP origin line).", pattern=r"^[^\s+]{1,200}$")
    ] = "companyos.local/ledger"
    ledger_personal_days: Annotated[
        int, Meta(description="Days after which personal values of ledger records are erased; proofs stay.", ge=1)
    ] = 2557
    tower_stale_after_s: Annotated[int, Meta(description="Age at which an observed fact is shown as stale.", ge=1)] = (
        86_400
    )
    notify_webhook_url: Annotated[
        str,
        Meta(
            description="Where notifications are sent (Standard Webhooks); empty keeps them in the outbox.",
            max_length=2000,
            pattern=r"^(https?://[^\s\u0000-\u001f\u007f]+)?$(?!\n)",
        ),
    ] = ""
    notify_webhook_secret: Annotated[
        str,
        Meta(
            description="Secret that signs notifications: `whsec_` and 24 to 64 random bytes in base64.",
            pattern=r"^(whsec_[A-Za-z0-9+/]{32,88}={0,2})?$(?!\n)",
        ),
    ] = ""
    alert_stale_after_s: Annotated[
        int, Meta(description="Age at which an alert that fires and is not repeated counts no more.", ge=60)
    ] = 14_400
    environment: Annotated[
        str,
        Meta(
            description="Name of the environment that this platform delivers to.",
            pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$",
        ),
    ] = "production"
    traffic_port: Annotated[
        int, Meta(description="Port on which users reach the services; 0 takes a free one.", ge=0, le=65535)
    ] = 8780
    policy_stage: Annotated[Literal["dev", "staging", "prod"], Meta(description="Stage whose bundles decide here.")] = (
        "prod"
    )
    policy_bundle: Annotated[
        str,
        Meta(
            description="Bundle that decides when a request names none; empty for the only one besides the platform's.",
            pattern=r"^([a-z0-9][a-z0-9._-]{0,62}/[a-z0-9][a-z0-9._-]{0,62})?$(?!\n)",
        ),
    ] = ""
    policy_log_full: Annotated[
        Literal["deny", "block"],
        Meta(description="What requests for decisions meet while the decision log takes no more: a denial or a wait."),
    ] = "deny"
    log_level: Annotated[
        str, Meta(description="Least severe level that is logged.", pattern="^(DEBUG|INFO|WARN|ERROR)$")
    ] = "INFO"

    @property
    def folder(self) -> Home:
        """Return the home with its parts."""
        return Home(Path(self.home))

    @property
    def resolved_database_url(self) -> str:
        """Return the database address, the SQLite file of the home when none is set."""
        return self.database_url or self.folder.database_url


class Setting(msgspec.Struct, frozen=True):
    """One row of the documented table."""

    name: str
    environment: str
    default: str
    description: str


def _table() -> tuple[Setting, ...]:
    hints = get_type_hints(Settings, include_extras=True)
    rows = []
    for field in msgspec.structs.fields(Settings):
        description = next(
            m.description for m in hints[field.name].__metadata__ if isinstance(m, Meta) and m.description
        )
        default = "found (see the manual)" if field.default is msgspec.NODEFAULT else _as_text(field.default)
        rows.append(Setting(field.name, PREFIX + field.name.upper(), default, description))
    return tuple(rows)


def _as_text(value: Any) -> str:  # noqa: ANN401 - any default of the struct
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _from_file(home: Home) -> dict[str, Any]:
    try:
        with home.config_file.open("rb") as file:
            data = file.read(_CONFIG_LIMIT_BYTES + 1)
    except FileNotFoundError:
        return {}
    if len(data) > _CONFIG_LIMIT_BYTES:
        raise InvalidInput(f"{home.config_file} is larger than {_CONFIG_LIMIT_BYTES} bytes.", next_step="Shorten it.")
    try:
        return tomllib.loads(data.decode())
    except ValueError as fault:
        raise InvalidInput(f"{home.config_file} is not TOML: {fault}", next_step="Mend that line.") from fault


def load(home: Home, environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings for a home, or raise InvalidInput that names the setting and where it was set.

    Environment variables of other names under the prefix are left alone: the command line and the SDK have some too.
    """
    environment = os.environ if environment is None else environment
    values = _from_file(home)
    for row in SETTINGS:
        text = environment.get(row.environment)
        if text is None:
            continue
        if row.name == "local_roles":
            values[row.name] = [part.strip() for part in text.split(",") if part.strip()]
        else:
            values[row.name] = text
    values["home"] = str(home.path)
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as fault:
        raise InvalidInput(
            f"A setting is wrong: {fault}",
            next_step=f"Mend it in the environment ({PREFIX}…) or in {home.config_file}.",
        ) from fault


SETTINGS: Final = _table()
"""The documented table, one row a setting."""
