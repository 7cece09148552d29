"""``Runtime`` on one machine: releases as supervised processes, each on a port of its own."""

from companyos.delivery.adapters.local.adapter import LocalRuntime

__all__ = ["LocalRuntime"]
