"""Lines of Python, and the loops that stand for the blocks of a plan.

A block is ``while True`` and what ends it is ``break``; the body of a scan is the body of a ``for`` and what ends it is
``continue``. A block that nothing ends early is no loop at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Frame:
    """One block around the current line."""

    scan: bool
    used: bool = False
    """Whether something leaves it."""
    pending: str = ""
    """The variable that counts how many more blocks are to be left, where something leaves more than this one."""


@dataclass
class Writer:
    """Collects lines with their depth."""

    lines: list[tuple[int, str]] = field(default_factory=list)
    depth: int = 0
    frames: list[Frame] = field(default_factory=list)
    serial: int = 0
    outside: str = "return U"
    """What ends everything that is written: the function, or the part of it that is a function of its own."""

    def line(self, text: str) -> None:
        """Add a line at the current depth."""
        self.lines.append((self.depth, text))

    def name(self, prefix: str) -> str:
        """A variable that nothing else is called."""
        self.serial += 1
        return f"{prefix}{self.serial}"

    def leave(self) -> str:
        """The statement that ends the current block."""
        if not self.frames:
            return self.outside
        frame = self.frames[-1]
        frame.used = True
        return "continue" if frame.scan else "break"

    def leave_more(self, levels: int) -> None:
        """End the current block and this many around it."""
        if levels >= len(self.frames):
            self.line(self.outside)
        elif levels == 0:
            self.line(self.leave())
        else:
            pending = next((one.pending for one in self.frames[-levels:] if one.pending), "") or self.name("q")
            for frame in self.frames[-levels:]:
                frame.used, frame.pending = True, pending
            self.line(f"{pending} = {levels}")
            self.line("break")

    def open(self, *, scan: bool = False) -> int:
        """Begin a block; the lines of its body follow. Gives what ``close`` wants."""
        mark = len(self.lines)
        self.frames.append(Frame(scan))
        self.depth += 1
        return mark

    def close(self, mark: int) -> Frame:
        """End a block: make it a loop if something leaves it, and go on leaving where more is to be left."""
        frame = self.frames.pop()
        self.depth -= 1
        if frame.scan:
            if len(self.lines) == mark or self.lines[-1][0] <= self.depth:
                self.lines.append((self.depth + 1, "pass"))
        elif frame.used:
            self.lines.insert(mark, (self.depth, "while True:"))
            if frame.pending:
                self.lines.insert(mark, (self.depth, f"{frame.pending} = 0"))
            self.lines.append((self.depth + 1, "break"))
        else:
            self.lines[mark:] = [(depth - 1, text) for depth, text in self.lines[mark:]]
        return frame

    def resume(self, frame: Frame) -> None:
        """Behind a block: leave more blocks, if that is pending."""
        if not frame.pending:
            return
        self.line(f"if {frame.pending}:")
        self.depth += 1
        self.line(f"{frame.pending} -= 1")
        if self.frames and self.frames[-1].scan:
            self.line(f"if {frame.pending}: break")
        self.line(self.leave())
        self.depth -= 1

    def source(self) -> str:
        """The text."""
        return "\n".join(["\t" * depth + text for depth, text in self.lines]) + "\n"
