"""What a service links. Heavy parts are imported where they are used, so importing this costs next to nothing.

import companyos_sdk

companyos_sdk.configure(endpoint, settings)
decision = companyos_sdk.authorize(subject, "read", resource, environment, context)
document = companyos_sdk.with_obligations(lambda: load(id), decision, facts)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from companyos_sdk.policy.client import Client, Settings
    from companyos_sdk.policy.decision import Decision
    from companyos_sdk.policy.transport import Endpoint

__version__ = "0.1.0"

_T = TypeVar("_T")
_client: Client | None = None


class NotConfigured(RuntimeError):
    """There is nothing to decide with yet."""

    def __init__(self) -> None:
        super().__init__(
            "This process decides nothing yet: call companyos_sdk.configure(endpoint, settings) at its start."
        )


def configure(
    endpoint: Endpoint | None = None, settings: Settings | None = None, *, client: Client | None = None
) -> Client:
    """The client that this process decides with from now on, made of an endpoint and settings or given ready.

    The one before is closed. Raises UncoveredObligations, ValueError and OSError as ``Client`` does.
    """
    global _client
    if client is None:
        if endpoint is None or settings is None:
            raise TypeError("configure takes an endpoint and settings, or a client.")
        from companyos_sdk.policy.client import Client as Made

        client = Made(endpoint, settings)
    before, _client = _client, client
    if before is not None and before is not client:
        before.close()
    return client


def authorize(
    subject: dict[str, Any],
    action: str,
    resource: dict[str, Any],
    environment: dict[str, Any],
    context: dict[str, Any] | None = None,
) -> Decision:
    """Whether the subject may do this to the resource here and now.

    A fault of the policy, the request or the log is a denial with a reason. Raises TypeError for a wrong type, and
    NotConfigured before ``configure``.
    """
    if _client is None:
        raise NotConfigured
    return _client.authorize(subject, action, resource, environment, context)


@overload
def with_obligations(
    handler: Callable[[], Awaitable[_T]], decision: Decision, facts: Mapping[str, Any] | None = None
) -> Awaitable[_T]: ...


@overload
def with_obligations(handler: Callable[[], _T], decision: Decision, facts: Mapping[str, Any] | None = None) -> _T: ...


def with_obligations(handler: Callable[[], Any], decision: Decision, facts: Mapping[str, Any] | None = None) -> Any:
    """What the handler gives, once every obligation of the decision is fulfilled, masked where that is due.

    Awaitable when the handler is a coroutine function. Raises AccessDenied for a denial, its kind ObligationUnfulfilled
    when an obligation stands in the way, and NotConfigured before ``configure``.
    """
    if _client is None:
        raise NotConfigured
    return _client.with_obligations(handler, decision, facts)
