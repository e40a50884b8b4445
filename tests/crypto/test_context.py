from dataclasses import replace
from uuid import UUID

from hypothesis import assume, given
from hypothesis import strategies as st

from secrets_app.crypto.context import EncryptionContext, WrappedKek, encode_parts, kek_aad

KEK = WrappedKek(UUID(int=1), 1, "local:x", b"blob")
CONTEXT = EncryptionContext(UUID(int=1), UUID(int=2), "a/b", 3, "note", KEK)


def test_the_encoding_is_pinned():
    assert encode_parts(b"ab", b"", b"c") == bytes.fromhex("00000002 6162 00000000 00000001 63")


parts = st.lists(st.binary(max_size=4), max_size=5)


@given(parts, parts)
def test_no_two_lists_of_parts_have_the_same_encoding(one, other):
    assume(one != other)
    assert encode_parts(*one) != encode_parts(*other)


def test_every_part_of_the_context_counts():
    others = [
        replace(CONTEXT, vault_id=UUID(int=9)),
        replace(CONTEXT, secret_id=UUID(int=9)),
        replace(CONTEXT, path="a/c"),
        replace(CONTEXT, version=4),
        replace(CONTEXT, type="file"),
        # Text that moves from one part to its neighbour is another context too.
        replace(CONTEXT, path="a/bn", type="ote"),
    ]
    aads = {c.value_aad() for c in [CONTEXT, *others]} | {c.dek_aad() for c in [CONTEXT, *others]}
    assert len(aads) == 2 * (len(others) + 1)


def test_a_kek_is_bound_to_vault_and_version():
    assert len({kek_aad(UUID(int=v), n) for v in range(3) for n in range(3)}) == 9
    assert KEK.aad() == kek_aad(UUID(int=1), 1)
