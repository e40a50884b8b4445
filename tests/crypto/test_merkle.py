import hashlib

import pytest

from secrets_app.crypto.merkle import inclusion_proof, leaf_hash, root_from_proof, root_of


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def rfc_root(leaves):
    """RFC 6962, 2.1, word for word: split at the largest power of two below n."""
    if not leaves:
        return sha()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha(b"\x01", rfc_root(leaves[:k]), rfc_root(leaves[k:]))


def rfc_path(index, leaves):
    """RFC 6962, 2.1.1."""
    if len(leaves) == 1:
        return []
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if index < k:
        return [*rfc_path(index, leaves[:k]), rfc_root(leaves[k:])]
    return [*rfc_path(index - k, leaves[k:]), rfc_root(leaves[:k])]


def leaves_of(count):
    return [leaf_hash(n.to_bytes(2, "big")) for n in range(count)]


def test_published_values():
    """Those of the empty tree and the empty leaf, as in the test data of Certificate Transparency."""
    assert root_of([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    empty_leaf = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert leaf_hash(b"").hex() == empty_leaf


@pytest.mark.parametrize("size", [*range(1, 35), 63, 64, 65, 100])
def test_roots_and_proofs_are_the_rfcs(size):
    leaves = leaves_of(size)
    root = rfc_root(leaves)
    assert root_of(leaves) == root
    for index, leaf in enumerate(leaves):
        path = inclusion_proof(leaves, index)
        assert path == rfc_path(index, leaves)
        assert root_from_proof(leaf, index, size, path) == root


@pytest.mark.parametrize("size", [2, 3, 7, 8, 11])
def test_no_other_leaf_place_size_or_path_leads_to_the_root(size):
    leaves = leaves_of(size)
    root = root_of(leaves)
    for index, leaf in enumerate(leaves):
        path = inclusion_proof(leaves, index)
        wrong = [
            (leaf_hash(b"other"), index, size, path),
            (leaf, index, size, path[:-1]),
            (leaf, index, size, [*path, leaf]),
            (leaf, index, size, path[::-1]) if path != path[::-1] else (leaf, -1, size, path),
            (leaf, size, size, path),
            *((leaf, other, size, path) for other in range(size) if other != index),
        ]
        for case in wrong:
            assert root_from_proof(*case) != root


def test_there_is_no_proof_of_what_is_not_there():
    for index in (-1, 3):
        with pytest.raises(IndexError):
            inclusion_proof(leaves_of(3), index)
