"""Writing policies: reading their folder, checking it, running its tests, building it, starting one, comparing two.

Everything here works on files alone, without a server; the command line and the server's own check are on top of it.
"""

from __future__ import annotations
