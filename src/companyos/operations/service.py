"""The use cases of operations, gathered. Each change ends with its ledger record."""

from __future__ import annotations

from companyos.operations.alerting import Alerting
from companyos.operations.approving import Approving
from companyos.operations.holding import Holding
from companyos.operations.notifying import Notifying
from companyos.operations.responding import Responding


class Operations(Holding, Approving, Responding, Notifying, Alerting):
    """What any pillar may need from people: holds, approvals, incidents, notifications and alerts over one journal."""
