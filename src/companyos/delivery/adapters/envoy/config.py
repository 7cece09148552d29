"""What Envoy is told, as plain documents: the bootstrap, one cluster per release, one virtual host per service. Pure.

Field names are those of the v3 API. Every text that comes from outside, a header or a path, has a limit where it enters
the access log, because a client chooses it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec

from companyos.delivery.ports import Route, Target

STAT_PREFIX: Final = "ingress"
ROUTE_CONFIG: Final = "services"
VERSION_HOST: Final = "router.companyos.internal"
"""The host whose answer is the version of the routes in effect; a service name holds no dot, so it cannot collide."""
WEIGHT_TOTAL: Final = 1000
CONNECT_TIMEOUT_S: Final = 1.0
UPSTREAM_IDLE_S: Final = 3.0
"""Below the 5 s after which common Python servers close an idle connection: whoever closes first must be the router,
because a request that meets a closing connection is answered 503."""
CONNECTIONS_LIMIT: Final = 4096
_TYPES: Final = "type.googleapis.com/envoy"
_HCM: Final = f"{_TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_RETRY_ON: Final = "connect-failure,refused-stream,reset-before-request"

LINE: Final[Mapping[str, str]] = {
    "at": "%START_TIME(%s.%6f)%",
    "route": "%ROUTE_NAME%",
    "arm": "%UPSTREAM_CLUSTER_RAW%",
    "status": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
    "ms": "%DURATION%",
    "us": "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%",
    "session": "%REQ(X-SESSION-ID):128%",
    "trace": "%REQ(TRACEPARENT):64%",
    "id": "%REQ(X-REQUEST-ID):64%",
    "method": "%REQ(:METHOD):16%",
    "path": "%PATH(NQ:PATH):200%",
}
"""One line of the access log, as one JSON object."""


def bootstrap(*, port: int, access_log: Path, admin: Path, probe: Path, cds: Path, rds: Path) -> dict[str, Any]:
    """Return the static part: the users' listener on 127.0.0.1, a private one for the version, and admin."""
    return {
        "node": {"id": "router", "cluster": "companyos"},
        "admin": {"address": {"pipe": {"path": str(admin), "mode": 0o600}}},
        "dynamic_resources": {"cds_config": _watched(cds)},
        "static_resources": {
            "listeners": [
                _listener("users", {"socket_address": {"address": "127.0.0.1", "port_value": port}}, rds, access_log),
                _listener("probe", {"pipe": {"path": str(probe), "mode": 0o600}}, rds, None),
            ]
        },
        "overload_manager": {
            "refresh_interval": "0.25s",
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": f"{_TYPES}.extensions.resource_monitors.downstream_connections.v3."
                        "DownstreamConnectionsConfig",
                        "max_active_downstream_connections": CONNECTIONS_LIMIT,
                    },
                }
            ],
        },
    }


def clusters(targets: Mapping[str, Target]) -> dict[str, Any]:
    """Return the cluster file: one static cluster per release, named by its id."""
    return _versioned([_cluster(name, targets[name]) for name in sorted(targets)])


def routes(wanted: Sequence[Route]) -> dict[str, Any]:
    """Return the route file; its ``version_info`` is a digest of its content and is what ``VERSION_HOST`` answers."""
    hosts = [_virtual_host(route) for route in sorted(wanted, key=lambda route: route.service)]
    version = _digest(hosts)
    fixed = [
        _answer("version", [VERSION_HOST], 200, version),
        _answer(
            "unknown", ["*"], 404, "No service of this name is reachable here; the Host header names the service.\n"
        ),
    ]
    configuration = {
        "@type": f"{_TYPES}.config.route.v3.RouteConfiguration",
        "name": ROUTE_CONFIG,
        "virtual_hosts": [*hosts, *fixed],
    }
    return {"version_info": version, "resources": [configuration]}


def targets_of(wanted: Sequence[Route]) -> dict[str, Target]:
    """Return every target that a route names, by its release."""
    arms = [arm for route in wanted for arm in (route.stable, route.canary) if arm is not None]
    return {arm.release_id: arm for arm in arms}


def _watched(path: Path) -> dict[str, Any]:
    return {
        "resource_api_version": "V3",
        "initial_fetch_timeout": "5s",
        "path_config_source": {"path": str(path), "watched_directory": {"path": str(path.parent)}},
    }


def _listener(name: str, address: Mapping[str, Any], rds: Path, access_log: Path | None) -> dict[str, Any]:
    manager: dict[str, Any] = {
        "@type": _HCM,
        "stat_prefix": STAT_PREFIX if access_log else name,
        "codec_type": "HTTP1",
        "rds": {"route_config_name": ROUTE_CONFIG, "config_source": _watched(rds)},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": f"{_TYPES}.extensions.filters.http.router.v3.Router",
                    "suppress_envoy_headers": True,
                },
            }
        ],
        "strip_any_host_port": True,
        "server_header_transformation": "PASS_THROUGH",
        # Nobody is trusted: without this, a client on this machine could set timeouts and retries by x-envoy headers.
        "use_remote_address": True,
        "internal_address_config": {
            "unix_sockets": False,
            "cidr_ranges": [{"address_prefix": "192.0.2.1", "prefix_len": 32}],
        },
        "normalize_path": True,
        "common_http_protocol_options": {
            "idle_timeout": "300s",
            "max_headers_count": 100,
            "headers_with_underscores_action": "DROP_HEADER",
        },
        "max_request_headers_kb": 32,
        "request_headers_timeout": "10s",
        "stream_idle_timeout": "60s",
        "request_timeout": "300s",
        "drain_timeout": "5s",
    }
    if access_log:
        manager["access_log"] = [
            {
                "name": "envoy.access_loggers.file",
                "typed_config": {
                    "@type": f"{_TYPES}.extensions.access_loggers.file.v3.FileAccessLog",
                    "path": str(access_log),
                    "log_format": {"json_format": dict(LINE)},
                },
            }
        ]
    return {
        "name": name,
        "address": dict(address),
        # A second router on the same port would silently take half of the requests.
        "enable_reuse_port": False,
        "per_connection_buffer_limit_bytes": 1_048_576,
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }


def _cluster(name: str, target: Target) -> dict[str, Any]:
    address = {"socket_address": {"address": target.host, "port_value": target.port}}
    limits = {"max_connections": 1024, "max_pending_requests": 1024, "max_requests": 4096, "max_retries": 64}
    return {
        "@type": f"{_TYPES}.config.cluster.v3.Cluster",
        "name": name,
        "type": "STATIC",
        "connect_timeout": f"{CONNECT_TIMEOUT_S}s",
        "per_connection_buffer_limit_bytes": 1_048_576,
        "circuit_breakers": {"thresholds": [limits]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{_TYPES}.extensions.upstreams.http.v3.HttpProtocolOptions",
                "common_http_protocol_options": {"idle_timeout": f"{UPSTREAM_IDLE_S}s"},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }


def _virtual_host(route: Route) -> dict[str, Any]:
    stable = {"cluster": route.stable.release_id}
    arms = [_route(route, _weighted(route), forced=False)]
    if route.canary is not None:
        canary = {"cluster": route.canary.release_id}
        arms = [
            _route(route, canary, forced=True, header="always"),
            _route(route, stable, forced=True, header="never"),
            *arms,
        ]
    return {"name": route.service, "domains": [route.service, f"{route.service}.localhost"], "routes": arms}


def _weighted(route: Route) -> dict[str, Any]:
    weight = round(route.canary_ratio * WEIGHT_TOTAL)
    if route.canary is None or weight == 0:
        return {"cluster": route.stable.release_id}
    if weight == WEIGHT_TOTAL:
        return {"cluster": route.canary.release_id}
    arms = [
        {"name": route.stable.release_id, "weight": WEIGHT_TOTAL - weight},
        {"name": route.canary.release_id, "weight": weight},
    ]
    return {"weighted_clusters": {"clusters": arms}}


def _route(route: Route, where: Mapping[str, Any], *, forced: bool, header: str = "") -> dict[str, Any]:
    match: dict[str, Any] = {"prefix": "/"}
    if header:
        match["headers"] = [{"name": "x-canary", "string_match": {"exact": header}}]
    return {
        "name": route_name(route, forced=forced),
        "match": match,
        "route": {
            **where,
            "timeout": f"{route.timeout_s:.3f}s",
            "idle_timeout": f"{route.timeout_s + 5:.3f}s",
            "retry_policy": {"retry_on": _RETRY_ON, "num_retries": 1},
        },
    }


def route_name(route: Route, *, forced: bool) -> str:
    """Return the name that comes back with every line: service, rollout, number of the interval, forced or weighted."""
    return f"{route.service}|{route.rollout}|{route.number}|{'forced' if forced else 'weighted'}"


def _answer(name: str, domains: Sequence[str], status: int, text: str) -> dict[str, Any]:
    response = {"status": status, "body": {"inline_string": text}}
    return {
        "name": name,
        "domains": list(domains),
        "routes": [{"name": name, "match": {"prefix": "/"}, "direct_response": response}],
    }


def _versioned(resources: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"version_info": _digest(resources), "resources": list(resources)}


def _digest(value: object) -> str:
    return sha256(msgspec.json.encode(value, order="sorted")).hexdigest()[:32]
