"""The keeper: a small process that is the parent of the server and of every other process the platform runs.

A crash of the command line or of the server stops nothing else, because neither is a parent. When the keeper itself is
killed its children go on, and the next keeper adopts them from its state file. It has no opinion about what it runs.

    keeper = Keeper(home.run, home.logs)
    keeper.ensure()
    keeper.start(ChildSpec(name="server", argv=(…), cwd=…, env=…, log=…))
"""

from companyos.core.keeper.client import Keeper, Started
from companyos.core.keeper.protocol import ChildSpec, ChildStatus

__all__ = ["ChildSpec", "ChildStatus", "Keeper", "Started"]
