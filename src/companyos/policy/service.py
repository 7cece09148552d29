"""The use cases of bundles: published, promoted, taken back, looked at."""

from __future__ import annotations

from companyos.policy.looking import Looking
from companyos.policy.promoting import Promoting
from companyos.policy.publishing import Publishing
from companyos.policy.returning import Returning


class Policies(Publishing, Promoting, Returning, Looking):
    """What is known of policies, for whoever may ask."""
