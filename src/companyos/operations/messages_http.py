"""The HTTP face of what comes from Alertmanager and of what goes out to people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, QueryParameter
from litestar.types import ControllerRouterHandler

from companyos.core.access import Caller
from companyos.core.paging import DEFAULT_LIMIT, Page
from companyos.operations.alertmanager import Delivery
from companyos.operations.model import Alert, AlertReceipt, AlertStatus, Notification, NotificationStatus
from companyos.operations.parameters import Cursor, Limit
from companyos.operations.service import Operations

ServiceFilter = Annotated[str | None, QueryParameter(max_length=39, description="The name of a service.")]


@get("/alerts", sync_to_thread=True)
def list_alerts(
    caller: NamedDependency[Caller],
    operations: NamedDependency[Operations],
    service: ServiceFilter = None,
    status: FromQuery[AlertStatus | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[Alert]:
    """List alerts as they were heard last, the newest beginning first."""
    return operations.list_alerts(caller, service=service, status=status, cursor=cursor, limit=limit)


@post("/alerts", status_code=200, sync_to_thread=True)
def receive_alerts(
    caller: NamedDependency[Caller], operations: NamedDependency[Operations], data: JSONBody[Delivery]
) -> AlertReceipt:
    """Take a delivery of Alertmanager (webhook, version 4); the label `service` or `companyos_service` names whose."""
    return operations.receive_alerts(caller, data)


@get("/notifications", sync_to_thread=True)
def list_notifications(
    caller: NamedDependency[Caller],
    operations: NamedDependency[Operations],
    status: FromQuery[NotificationStatus | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[Notification]:
    """List notifications, newest first, with how their delivery goes."""
    return operations.list_notifications(caller, status=status, cursor=cursor, limit=limit)


handlers: Final[Sequence[ControllerRouterHandler]] = (
    list_alerts,
    receive_alerts,
    list_notifications,
)
