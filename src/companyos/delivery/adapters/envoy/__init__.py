"""``Traffic`` by Envoy: weights by file, requests from the access log, and both checked against Envoy's counters."""

from companyos.delivery.adapters.envoy.adapter import EnvoyTraffic

__all__ = ["EnvoyTraffic"]
