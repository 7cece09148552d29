from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.errors import IntegrityFault
from companyos.ledger.merkle import HashAt, consistency_proof, inclusion_proof, leaf_hash, perfect_root, root_hash
from companyos.ledger.tiles import WIDTH, Frontier, Tile, hashes_of, split

LEAVES = [leaf_hash(b"%d" % number) for number in range(WIDTH**2 + 3 * WIDTH + 5)]


def over(leaves: list[bytes]) -> HashAt:
    """Return a tree that computes each hash from its leaves."""
    return lambda level, index: perfect_root(leaves[index << level : (index + 1) << level])


def stored(tiles: list[Tile]) -> dict[tuple[int, int], bytes]:
    """Return tiles as a database would hold them."""
    return {(tile.level, tile.index): tile.hashes for tile in tiles}


def test_one_by_one_every_root_is_that_of_the_tree() -> None:
    """A frontier that grows leaf by leaf always has the root of RFC 6962, and survives being stored."""
    frontier = Frontier()
    assert frontier.root() == root_hash(over([]), 0)
    for size, leaf in enumerate(LEAVES, 1):
        frontier, _ = frontier.extend([leaf])
        assert frontier.root() == root_hash(over(LEAVES), size)
        assert Frontier.decode(size, frontier.encode()) == frontier


@given(st.lists(st.integers(0, 70), max_size=12))
def test_it_does_not_matter_in_which_batches_leaves_come(batches: list[int]) -> None:
    """Any way of cutting the leaves into batches leads to the same frontier and the same tiles."""
    total = sum(batches)
    leaves = [leaf_hash(b"%d" % number) for number in range(total)]
    whole, tiles = Frontier().extend(leaves)
    grown, collected, start = Frontier(), [], 0
    for count in batches:
        grown, new = grown.extend(leaves[start : start + count])
        collected += new
        start += count
    assert grown == whole
    assert stored(collected) == stored(tiles)
    assert len(collected) == len(tiles)


@given(st.integers(1, len(LEAVES)), st.data())
def test_proofs_from_tiles_are_those_of_the_tree(size: int, data: st.DataObject) -> None:
    """What is stored gives the same proofs as all the leaves do."""
    frontier, tiles = Frontier().extend(LEAVES[:size])
    hash_at = hashes_of(frontier, lambda level, index: stored(tiles).get((level, index)))
    index = data.draw(st.integers(0, size - 1))
    first = data.draw(st.integers(1, size))
    assert inclusion_proof(hash_at, index, size) == inclusion_proof(over(LEAVES), index, size)
    assert consistency_proof(hash_at, first, size) == consistency_proof(over(LEAVES), first, size)
    assert root_hash(hash_at, first) == root_hash(over(LEAVES), first)


def test_full_tiles_hold_the_hashes_of_their_level() -> None:
    """Level 0 holds leaf hashes sixteen by sixteen, level 1 the roots of the tiles below."""
    _, tiles = Frontier().extend(LEAVES)
    found = stored(tiles)
    assert split(found[0, 2]) == LEAVES[2 * WIDTH : 3 * WIDTH]
    assert split(found[1, 0]) == [perfect_root(LEAVES[n * WIDTH : (n + 1) * WIDTH]) for n in range(WIDTH)]
    assert sorted(found) == [*((0, n) for n in range(WIDTH + 3)), (1, 0)]


@pytest.mark.parametrize("damage", [b"", b"\x00" * 32])
def test_a_frontier_that_does_not_fit_its_size_is_refused(damage: bytes) -> None:
    """A head whose frontier is cut short or too long cannot be read."""
    frontier, _ = Frontier().extend(LEAVES[:21])
    data = frontier.encode()[:-32] + damage * 2
    with pytest.raises(IntegrityFault, match="21 records"):
        Frontier.decode(21, data)


def test_a_negative_size_is_refused() -> None:
    """A head that says fewer than no records cannot be read."""
    with pytest.raises(IntegrityFault):
        Frontier.decode(-1, b"")


@pytest.mark.parametrize("tile", [None, b"short"])
def test_a_missing_tile_is_a_fault_and_no_wrong_proof(tile: bytes | None) -> None:
    """A proof that needs a tile which is gone or cut short is not made at all."""
    frontier, _ = Frontier().extend(LEAVES[:40])
    with pytest.raises(IntegrityFault, match="Tile 0 on level 0"):
        inclusion_proof(hashes_of(frontier, lambda _level, _index: tile), 3, 40)
