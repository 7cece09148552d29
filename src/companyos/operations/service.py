"""The use cases of operations, gathered: holds, approvals, incidents. Each change ends with its ledger record."""

from __future__ import annotations

from companyos.operations.approving import Approving
from companyos.operations.holding import Holding
from companyos.operations.responding import Responding


class Operations(Holding, Approving, Responding):
    """What any pillar may need from people: ``Holding``, ``Approving`` and ``Responding`` over one journal."""
