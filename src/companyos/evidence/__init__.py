"""What is known of artifacts: their bytes, who signed them, which must not run, and what became of their releases.

The public face is ``Evidence`` (use cases), ``admit`` with its ``Facts``, and the values, loaded when first used.
``companyos.evidence.packing`` turns commits into artifacts and back.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from companyos.evidence.admission import Admission, Facts, admit
    from companyos.evidence.model import Artifact, Commit, Denial, Invalid, Missing, PromotionRecord, Verified
    from companyos.evidence.service import Evidence

__all__ = [
    "Admission",
    "Artifact",
    "Commit",
    "Denial",
    "Evidence",
    "Facts",
    "Invalid",
    "Missing",
    "PromotionRecord",
    "Verified",
    "admit",
]

_HOME = dict.fromkeys(__all__, "model") | {
    "Admission": "admission",
    "Facts": "admission",
    "admit": "admission",
    "Evidence": "service",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
