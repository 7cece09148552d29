"""The Merkle tree of RFC 6962 §2.1: hashes, and proofs that a leaf is in a tree or that one tree extends another.

A tree is read through a function ``hash_at(level, index)``: the root of the perfect subtree over the leaves
``index << level`` up to, not including, ``(index + 1) << level``; level 0 are the leaf hashes. Proofs are made by the
recursive definitions of RFC 6962 and checked by the iterative algorithms of RFC 9162 §2.1.3.2 and §2.1.4.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final, TypeAlias

from companyos.core.errors import IntegrityFault

HASH_BYTES: Final = 32
"""The size of every hash in the tree: SHA-256."""

EMPTY_ROOT: Final = sha256(b"").digest()
"""The root of the tree without leaves."""

MAX_PROOF_HASHES: Final = 64
"""More hashes than any proof in a tree of less than 2**63 leaves has."""

HashAt: TypeAlias = Callable[[int, int], bytes]
"""``hash_at(level, index)``, asked only for subtrees whose leaves are all in the tree."""


def leaf_hash(body: bytes) -> bytes:
    """Return the hash of a leaf; the prefix keeps a leaf from passing for an inner node (RFC 6962 §2.1)."""
    return sha256(b"\x00" + body).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node over its two children."""
    return sha256(b"\x01" + left + right).digest()


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """Return the root over hashes of equal height, whose number is a power of two."""
    while len(hashes) > 1:
        pairs = iter(hashes)
        hashes = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
    return hashes[0]


def root_hash(hash_at: HashAt, size: int) -> bytes:
    """Return the root over the first ``size`` leaves: MTH(D[size])."""
    return _range_root(hash_at, 0, size) if size else EMPTY_ROOT


def inclusion_proof(hash_at: HashAt, index: int, size: int) -> list[bytes]:
    """Return the path from leaf ``index`` to the root over ``size`` leaves, lowest first: PATH(index, D[size]).

    Raises ValueError unless ``0 <= index < size``.
    """
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size} leaves")
    proof: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(_range_root(hash_at, middle, end))
            end = middle
        else:
            proof.append(_range_root(hash_at, start, middle))
            start = middle
    proof.reverse()
    return proof


def consistency_proof(hash_at: HashAt, first: int, second: int) -> list[bytes]:
    """Return what shows that the tree of ``second`` leaves extends that of ``first``: PROOF(first, D[second]).

    Empty when the two are the same. Raises ValueError unless ``0 < first <= second``.
    """
    if not 0 < first <= second:
        raise ValueError(f"no consistency proof leads from {first} to {second} leaves")
    proof: list[bytes] = []
    start, end, is_whole = 0, second, True
    while end > first:
        middle = start + _split(end - start)
        if first <= middle:
            proof.append(_range_root(hash_at, middle, end))
            end = middle
        else:
            proof.append(_range_root(hash_at, start, middle))
            start, is_whole = middle, False
    if not is_whole:
        # The verifier knows the old root already when the old tree is this very subtree.
        proof.append(_range_root(hash_at, start, end))
    proof.reverse()
    return proof


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Return when the proof leads from the leaf hash at ``index`` to the root; raise IntegrityFault otherwise."""
    if not 0 <= index < size:
        raise IntegrityFault(f"Record {index} cannot be in a tree of {size} records.")
    node, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise IntegrityFault("The inclusion proof is longer than the tree is high.")
        if node & 1 or node == last:
            found = node_hash(sibling, found)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise IntegrityFault("The inclusion proof is shorter than the tree is high.")
    if found != root:
        raise IntegrityFault(f"The inclusion proof of record {index} does not lead to the root.")


def verify_consistency(first: int, second: int, proof: Sequence[bytes], first_root: bytes, second_root: bytes) -> None:
    """Return when the second tree extends the first; raise IntegrityFault otherwise. An empty tree fits everything."""
    if not 0 <= first <= second:
        raise IntegrityFault(f"A tree of {second} records cannot extend one of {first}.")
    if first in {0, second}:
        expected = second_root if first == second else EMPTY_ROOT
        if proof or first_root != expected or (first == 0 and first_root != EMPTY_ROOT):
            raise IntegrityFault(f"The two trees of {first} and {second} records have roots that do not fit.")
        return
    old, new = _roots_from(first, second, proof, first_root)
    if old != first_root or new != second_root:
        raise IntegrityFault(f"The tree of {second} records does not extend the one of {first}: history was rewritten.")


def _roots_from(first: int, second: int, proof: Sequence[bytes], first_root: bytes) -> tuple[bytes, bytes]:
    """Return the two roots that a consistency proof leads to."""
    # When the old tree is a perfect subtree of the new one, its root is the first hash, which is not sent.
    path = [first_root, *proof] if first & (first - 1) == 0 else list(proof)
    if not path:
        raise IntegrityFault("The consistency proof is empty.")
    node, last = first - 1, second - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise IntegrityFault("The consistency proof is longer than the tree is high.")
        if node & 1 or node == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise IntegrityFault("The consistency proof is shorter than the tree is high.")
    return old, new


def _split(width: int) -> int:
    """Return the largest power of two that is smaller than ``width`` (the k of RFC 6962)."""
    return 1 << ((width - 1).bit_length() - 1)


def _range_root(hash_at: HashAt, start: int, end: int) -> bytes:
    """Return the root over the leaves of a range that begins where a subtree of its size begins."""
    width = end - start
    if width & (width - 1) == 0:
        level = width.bit_length() - 1
        return hash_at(level, start >> level)
    middle = start + _split(width)
    return node_hash(_range_root(hash_at, start, middle), _range_root(hash_at, middle, end))
