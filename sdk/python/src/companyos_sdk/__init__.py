"""What a service links. Heavy parts are imported where they are used, so importing this costs next to nothing."""

from __future__ import annotations

__version__ = "0.1.0"
