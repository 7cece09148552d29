"""The tree as it is stored: full tiles of 16 hashes, and a frontier that holds the tiles which are not full yet.

The idea is that of C2SP tlog-tiles with a smaller tile. Tile level 0 holds leaf hashes, and a hash on level ``n + 1``
is the root of a full tile on level ``n``. The frontier is rewritten with every append, so narrow tiles keep a write
small: 38 hashes for a million records on average, and a full tile for every sixteenth record. A proof reads about one
tile a level.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import msgspec

from companyos.core.errors import IntegrityFault
from companyos.ledger.merkle import EMPTY_ROOT, HASH_BYTES, HashAt, node_hash, perfect_root

HEIGHT: Final = 4
"""How many levels of the tree one tile spans."""

WIDTH: Final = 1 << HEIGHT
"""How many hashes a full tile holds."""


class Tile(msgspec.Struct, frozen=True):
    """A full tile."""

    level: int
    index: int
    hashes: bytes
    """``WIDTH`` hashes, one behind the other."""


class Frontier(msgspec.Struct, frozen=True):
    """The right edge of a tree of ``size`` leaves: on each tile level the hashes behind the last full tile."""

    size: int = 0
    levels: tuple[tuple[bytes, ...], ...] = ()

    @classmethod
    def decode(cls, size: int, data: bytes) -> Frontier:
        """Return the frontier that ``encode`` gave; raises IntegrityFault when the bytes do not fit the size."""
        levels = []
        offset = 0
        rest = size
        while rest > 0:
            end = offset + rest % WIDTH * HASH_BYTES
            levels.append(tuple(split(data[offset:end])))
            offset, rest = end, rest >> HEIGHT
        if size < 0 or offset != len(data):
            raise IntegrityFault(
                f"The head of the ledger says {size} records, and its frontier has {len(data)} bytes, not {offset}.",
                next_step="Run `companyos ledger verify`, and restore the database from a backup.",
            )
        return cls(size, tuple(levels))

    def encode(self) -> bytes:
        """Return all hashes, lowest level first; how many are on each follows from the size."""
        return b"".join(b"".join(level) for level in self.levels)

    def extend(self, hashes: Sequence[bytes]) -> tuple[Frontier, list[Tile]]:
        """Return the frontier with these leaf hashes behind it, and the tiles that they filled."""
        tiles: list[Tile] = []
        levels: list[tuple[bytes, ...]] = []
        carried: Sequence[bytes] = hashes
        first = self.size >> HEIGHT
        while carried or len(levels) < len(self.levels):
            held = (*self.levels[len(levels)], *carried) if len(levels) < len(self.levels) else tuple(carried)
            full = len(held) // WIDTH
            groups = [held[start : start + WIDTH] for start in range(0, full * WIDTH, WIDTH)]
            tiles += [Tile(len(levels), first + offset, b"".join(group)) for offset, group in enumerate(groups)]
            levels.append(held[full * WIDTH :])
            carried = [perfect_root(group) for group in groups]
            first >>= HEIGHT
        return Frontier(self.size + len(hashes), tuple(levels)), tiles

    def root(self) -> bytes:
        """Return the root of the tree (RFC 6962 §2.1)."""
        root: bytes | None = None
        for level in self.levels:
            end = len(level)
            while end:
                width = end & -end
                subtree = perfect_root(level[end - width : end])
                root = subtree if root is None else node_hash(subtree, root)
                end -= width
        return EMPTY_ROOT if root is None else root


ReadTile: TypeAlias = Callable[[int, int], bytes | None]
"""``read_tile(level, index)``: the hashes of a full tile, or None when it is not stored."""


def hashes_of(frontier: Frontier, read_tile: ReadTile) -> HashAt:
    """Return ``hash_at`` over the stored tree; it raises IntegrityFault when a tile that must exist is missing."""

    def hash_at(level: int, index: int) -> bytes:
        tile_level, inside = divmod(level, HEIGHT)
        tile_index, offset = divmod(index << inside, WIDTH)
        if tile_index == frontier.size >> HEIGHT * (tile_level + 1):
            hashes: Sequence[bytes] = frontier.levels[tile_level]
        else:
            data = read_tile(tile_level, tile_index)
            if data is None or len(data) != WIDTH * HASH_BYTES:
                raise IntegrityFault(
                    f"Tile {tile_index} on level {tile_level} of the ledger's tree is missing or cut short.",
                    next_step="Run `companyos ledger verify`, and restore the database from a backup.",
                )
            hashes = split(data)
        return perfect_root(hashes[offset : offset + (1 << inside)])

    return hash_at


def split(data: bytes) -> list[bytes]:
    """Return the hashes that are written one behind the other."""
    return [data[start : start + HASH_BYTES] for start in range(0, len(data), HASH_BYTES)]
