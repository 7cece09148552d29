"""The tree grown again from the records alone, and where it leaves the stored tree and the signed one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import msgspec

from companyos.ledger.checkpoint import Checkpoint
from companyos.ledger.merkle import HASH_BYTES, leaf_hash
from companyos.ledger.tiles import HEIGHT, WIDTH, Frontier, Tile, split


class StoredTiles(Protocol):
    """The full tiles that are stored."""

    def tiles(self, wanted: Sequence[Tile]) -> dict[tuple[int, int], bytes]:
        """Return the stored hashes at the places of these tiles, by level and index; absent ones are left out."""
        ...

    def tiles_of_level(self, level: int, size: int) -> Iterator[bytes]:
        """Yield the hashes of the full tiles that a tree of this size has on a level, as far as they are stored."""
        ...


class Difference(msgspec.Struct, frozen=True):
    """A stored hash that is not what the records lead to, as the range of the records under it."""

    index: int
    through: int


class Replay:
    """The append done again: it keeps the first difference from the stored tree on each tile level."""

    def __init__(self, stored: StoredTiles, older: Iterable[Checkpoint]) -> None:
        """Take the stored tiles, and older checkpoints that the growing tree must pass through."""
        self.frontier = Frontier()
        self.differences: dict[int, Difference] = {}
        self.kept = 0
        """The size of the largest older checkpoint that the records lead to."""
        self.rewritten: Checkpoint | None = None
        """The smallest older checkpoint that they do not lead to."""
        self._stored = stored
        self._older = sorted(older, key=lambda one: one.size)

    def add(self, bodies: Sequence[bytes]) -> None:
        """Grow the tree by the next records."""
        leaves = [leaf_hash(body) for body in bodies]
        while self._older and self._older[0].size <= self.frontier.size + len(leaves):
            older = self._older.pop(0)
            grown, _ = self.frontier.extend(leaves[: older.size - self.frontier.size])
            if grown.root() == older.root:
                self.kept = older.size
            else:
                self.rewritten = self.rewritten or older
        self.frontier, tiles = self.frontier.extend(leaves)
        stored = self._stored.tiles(tiles)
        for tile in tiles:
            self._compare(tile.level, tile.index, tile.hashes, stored.get((tile.level, tile.index), b""))

    def compare_edge(self, head: Frontier) -> None:
        """Compare the hashes behind the last full tiles with the stored head, or with the tile that continues them."""
        for level, hashes in enumerate(self.frontier.levels):
            place = self.frontier.size >> HEIGHT * (level + 1)
            if place < head.size >> HEIGHT * (level + 1):
                tile = self._stored.tiles([Tile(level, place, b"")]).get((level, place), b"")
                known = tile[: len(hashes) * HASH_BYTES]
            else:
                known = b"".join(head.levels[level]) if level < len(head.levels) else b""
            if head.size != self.frontier.size:
                known = known[: len(hashes) * HASH_BYTES]
            self._compare(level, place, b"".join(hashes), known)

    @property
    def unreached(self) -> Checkpoint | None:
        """The largest older checkpoint that there are too few records for."""
        return self._older[-1] if self._older else None

    def first_difference(self) -> Difference | None:
        """Return the difference at the lowest index, or None when all that is stored fits the records."""
        return min(self.differences.values(), key=lambda one: (one.index, one.through), default=None)

    def _compare(self, level: int, place: int, computed: bytes, stored: bytes) -> None:
        if computed == stored or level in self.differences:
            return
        known = split(stored)
        expected = split(computed)
        offset = next((at for at, one in enumerate(expected) if known[at : at + 1] != [one]), len(expected))
        width = WIDTH**level
        index = (place * WIDTH + offset) * width
        self.differences[level] = Difference(index, index + width - 1)


def locate(replay: Replay, stored: StoredTiles, head: Frontier, root: bytes) -> Difference | None:
    """Return where the records leave the tree with the signed root, as closely as the stored tree can tell.

    The hashes on a tile level are trusted when they lead to that root; the lowest such level is the closest. None when
    nothing that is stored leads there.
    """
    for level in sorted(replay.differences):
        if level < len(head.levels) and _root_from(level, stored, head) == root:
            return replay.differences[level]
    return None


def _root_from(level: int, stored: StoredTiles, head: Frontier) -> bytes | None:
    """Return the root that the stored hashes on a tile level lead to, with the stored edge below that level."""
    grown = Frontier()
    for tile in stored.tiles_of_level(level, head.size):
        if len(tile) != WIDTH * HASH_BYTES:
            return None
        grown, _ = grown.extend(split(tile))
    grown, _ = grown.extend(head.levels[level])
    if grown.size != head.size >> HEIGHT * level:
        return None
    return Frontier(head.size, (*head.levels[:level], *grown.levels)).root()
