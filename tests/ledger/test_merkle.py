from __future__ import annotations

import hashlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.errors import IntegrityFault
from companyos.ledger.merkle import (
    EMPTY_ROOT,
    HashAt,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_hash,
    verify_consistency,
    verify_inclusion,
)

# The eight leaves and the roots that the test suites of Certificate Transparency logs share.
KNOWN_LEAVES = [bytes.fromhex(text) for text in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"
)]  # fmt: skip
KNOWN_ROOTS = {
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}
BODIES = [b"record %d" % number for number in range(300)]
LEAVES = [hashlib.sha256(b"\x00" + body).digest() for body in BODIES]


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 §2.1, word by word and without any storage."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 6962 §2.1.1: PATH(m, D[n])."""
    if len(leaves) == 1:
        return []
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    if index < k:
        return [*naive_path(index, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(index - k, leaves[k:]), naive_root(leaves[:k])]


def naive_proof(first: int, leaves: list[bytes], *, is_whole: bool = True) -> list[bytes]:
    """RFC 6962 §2.1.2: SUBPROOF(m, D[n], b)."""
    if first == len(leaves):
        return [] if is_whole else [naive_root(leaves)]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    if first <= k:
        return [*naive_proof(first, leaves[:k], is_whole=is_whole), naive_root(leaves[k:])]
    return [*naive_proof(first - k, leaves[k:], is_whole=False), naive_root(leaves[:k])]


def over(leaves: list[bytes]) -> HashAt:
    """Return a tree that computes each hash from its leaves, by the definition."""
    return lambda level, index: naive_root(leaves[index << level : (index + 1) << level])


@pytest.mark.parametrize("size", sorted(KNOWN_ROOTS))
def test_the_root_is_that_of_other_implementations(size: int) -> None:
    """The published leaves of Certificate Transparency lead to the published roots."""
    leaves = [leaf_hash(body) for body in KNOWN_LEAVES[:size]]
    assert root_hash(over(leaves), size).hex() == KNOWN_ROOTS[size]


def test_the_root_is_the_one_of_the_definition_for_every_size() -> None:
    """Every tree of up to 300 leaves has the root that the recursive definition gives."""
    assert root_hash(over([]), 0) == EMPTY_ROOT == naive_root([])
    for size in range(1, 301):
        assert root_hash(over(LEAVES), size) == naive_root(LEAVES[:size])


def test_every_inclusion_proof_is_the_one_of_the_definition_and_holds() -> None:
    """In every tree of up to 70 leaves each leaf has the proof of the definition, and it leads to the root."""
    for size in range(1, 71):
        root = naive_root(LEAVES[:size])
        for index in range(size):
            proof = inclusion_proof(over(LEAVES), index, size)
            assert proof == naive_path(index, LEAVES[:size])
            verify_inclusion(LEAVES[index], index, size, proof, root)


def test_every_consistency_proof_is_the_one_of_the_definition_and_holds() -> None:
    """For every pair of sizes up to 70 the proof is that of the definition, and it joins the two roots."""
    roots = [naive_root(LEAVES[:size]) for size in range(71)]
    for second in range(1, 71):
        for first in range(1, second + 1):
            proof = consistency_proof(over(LEAVES), first, second)
            assert proof == naive_proof(first, LEAVES[:second])
            verify_consistency(first, second, proof, roots[first], roots[second])


def test_large_trees_are_proven_too() -> None:
    """Around 256 leaves, where a tree grows by a level, each leaf and each older size is proven."""
    for size in (255, 256, 257, 300):
        root = naive_root(LEAVES[:size])
        for index in (*range(0, size, 7), size - 1):
            verify_inclusion(LEAVES[index], index, size, inclusion_proof(over(LEAVES), index, size), root)
        for first in (*range(1, size, 13), size):
            proof = consistency_proof(over(LEAVES), first, size)
            verify_consistency(first, size, proof, naive_root(LEAVES[:first]), root)


@given(st.data())
def test_a_changed_inclusion_proof_fails(data: st.DataObject) -> None:
    """An inclusion proof does not survive a flipped bit, a hash too many or too few, or another leaf, index or size."""
    size = data.draw(st.integers(2, 300))
    index = data.draw(st.integers(0, size - 1))
    root = naive_root(LEAVES[:size])
    proof = inclusion_proof(over(LEAVES), index, size)
    place = data.draw(st.integers(0, len(proof) - 1))
    bit = data.draw(st.integers(0, 255))
    flipped = (int.from_bytes(proof[place]) ^ 1 << bit).to_bytes(32)
    other = data.draw(st.integers(0, size - 1).filter(lambda other: other != index))
    for leaf, at, tree, hashes in (
        (LEAVES[index], index, size, [*proof[:place], flipped, *proof[place + 1 :]]),
        (LEAVES[index], index, size, proof[:place] + proof[place + 1 :]),
        (LEAVES[index], index, size, [*proof, LEAVES[0]]),
        (LEAVES[other], index, size, proof),
        (LEAVES[index], other, size, proof),
        (LEAVES[index], index, index, proof),
        (LEAVES[index], -1, size, proof),
    ):
        with pytest.raises(IntegrityFault):
            verify_inclusion(leaf, at, tree, hashes, root)


@given(st.data())
def test_a_changed_consistency_proof_fails(data: st.DataObject) -> None:
    """A consistency proof does not survive a flipped bit, a hash too many or too few, or another root."""
    second = data.draw(st.integers(2, 300))
    first = data.draw(st.integers(1, second - 1))
    old, new = naive_root(LEAVES[:first]), naive_root(LEAVES[:second])
    proof = consistency_proof(over(LEAVES), first, second)
    place = data.draw(st.integers(0, len(proof) - 1))
    flipped = (int.from_bytes(proof[place]) ^ 1 << data.draw(st.integers(0, 255))).to_bytes(32)
    for hashes, old_root, new_root in (
        ([*proof[:place], flipped, *proof[place + 1 :]], old, new),
        (proof[:place] + proof[place + 1 :], old, new),
        ([*proof, LEAVES[0]], old, new),
        (proof, node_hash(old, old), new),
        (proof, old, node_hash(new, new)),
    ):
        with pytest.raises(IntegrityFault):
            verify_consistency(first, second, hashes, old_root, new_root)


def test_a_rewritten_leaf_breaks_consistency() -> None:
    """When one old leaf is replaced, no proof made from the new leaves fits the old root."""
    for changed in range(7):
        rewritten = [*LEAVES[:changed], leaf_hash(b"other"), *LEAVES[changed + 1 : 20]]
        proof = consistency_proof(over(rewritten), 7, 20)
        with pytest.raises(IntegrityFault, match="rewritten"):
            verify_consistency(7, 20, proof, naive_root(LEAVES[:7]), naive_root(rewritten))


def test_a_root_is_no_proof_of_itself() -> None:
    """An inner hash that is passed off as a leaf or as an older tree, with a proof cut short to fit, is refused."""
    for size in (2, 3, 8, 20):
        root = naive_root(LEAVES[:size])
        with pytest.raises(IntegrityFault, match="shorter"):
            verify_inclusion(root, 0, size, [], root)
        with pytest.raises(IntegrityFault):
            verify_consistency(1, size, [], root, root)
    pair = node_hash(LEAVES[0], LEAVES[1])
    with pytest.raises(IntegrityFault, match="shorter"):
        verify_inclusion(pair, 0, 4, [node_hash(LEAVES[2], LEAVES[3])], naive_root(LEAVES[:4]))
    with pytest.raises(IntegrityFault, match="shorter"):
        verify_consistency(1, 4, [node_hash(LEAVES[2], LEAVES[3])], pair, naive_root(LEAVES[:4]))


def test_trees_at_the_ends_are_consistent_only_with_themselves() -> None:
    """An empty tree is extended by every tree and equal trees need no proof; anything else at the ends is refused."""
    root = naive_root(LEAVES[:5])
    verify_consistency(0, 5, [], EMPTY_ROOT, root)
    verify_consistency(5, 5, [], root, root)
    verify_consistency(0, 0, [], EMPTY_ROOT, EMPTY_ROOT)
    for first, second, proof, old, new in (
        (0, 5, [LEAVES[0]], EMPTY_ROOT, root),
        (0, 5, [], LEAVES[0], root),
        (5, 5, [], root, LEAVES[0]),
        (0, 0, [], EMPTY_ROOT, LEAVES[0]),
        (0, 0, [], LEAVES[0], LEAVES[0]),
        (5, 4, [], root, root),
        (-1, 5, [], root, root),
        (3, 5, [], naive_root(LEAVES[:3]), root),
    ):
        with pytest.raises(IntegrityFault):
            verify_consistency(first, second, proof, old, new)


def test_proofs_outside_the_tree_are_no_proofs() -> None:
    """A proof for a leaf or a size that the tree does not have is refused when it is asked for."""
    for index, size in ((-1, 3), (3, 3), (0, 0)):
        with pytest.raises(ValueError, match="not in a tree"):
            inclusion_proof(over(LEAVES), index, size)
    for first, second in ((0, 3), (4, 3)):
        with pytest.raises(ValueError, match="no consistency proof"):
            consistency_proof(over(LEAVES), first, second)


def test_a_leaf_is_no_node() -> None:
    """A leaf with the bytes of two hashes does not have the hash of the node over them (second preimages)."""
    for left, right in pairwise(LEAVES[:5]):
        assert leaf_hash(left + right) != node_hash(left, right)
