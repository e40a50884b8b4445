import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secrets_app.crypto.envelope import HEADER_BYTES, MAX_ENVELOPE_BYTES, Envelope
from secrets_app.crypto.keyring import Keyring
from secrets_app.errors import CryptoError, EnvelopeError
from secrets_app.providers.local import LocalProvider
from tests.crypto.make_vectors import context_of

VECTORS = json.loads((Path(__file__).parent / "vectors.json").read_text())


@pytest.mark.parametrize("vector", VECTORS)
def test_published_vectors_open(vector):
    ring = Keyring([LocalProvider([bytes.fromhex(vector["root_key"])])], kek_cache_ttl=0)
    context = context_of(vector)
    assert context.value_aad().hex() == vector["value_aad"]
    opened = ring.open(bytes.fromhex(vector["envelope"]), context)
    assert opened.reveal().decode() == vector["value"]


@pytest.mark.parametrize("vector", VECTORS)
def test_every_truncation_and_every_flipped_bit_is_one_clear_error(vector):
    ring = Keyring([LocalProvider([bytes.fromhex(vector["root_key"])])], kek_cache_ttl=60)
    context, envelope = context_of(vector), bytes.fromhex(vector["envelope"])
    for length in range(len(envelope)):
        with pytest.raises(CryptoError):
            ring.open(envelope[:length], context)
    for position in range(len(envelope)):
        for bit in range(8):
            damaged = bytearray(envelope)
            damaged[position] ^= 1 << bit
            with pytest.raises(CryptoError):
                ring.open(bytes(damaged), context)


def test_an_envelope_is_its_parts_and_back():
    raw = b"\x01" + b"d" * 60 + b"v" * 28
    assert Envelope.from_bytes(raw) == Envelope(b"d" * 60, b"v" * 28)
    assert Envelope.from_bytes(raw).to_bytes() == raw


@pytest.mark.parametrize("version", [0, 2, 255])
def test_an_unknown_format_version_is_refused(version):
    with pytest.raises(EnvelopeError):
        Envelope.from_bytes(bytes([version]) + bytes(HEADER_BYTES + 40))


def test_an_oversized_envelope_is_refused_before_it_is_looked_at():
    with pytest.raises(EnvelopeError):
        Envelope.from_bytes(b"\x01" + bytes(MAX_ENVELOPE_BYTES))


# Random bytes are hardly ever an envelope, and what comes after would not be tried.
any_bytes = st.binary(max_size=200) | st.builds(
    lambda version, rest: bytes([version]) + rest,
    st.sampled_from([1, 1, 1, 0, 2]),
    st.binary(min_size=HEADER_BYTES, max_size=HEADER_BYTES + 100),
)


def test_any_bytes_are_an_envelope_or_one_clear_error():
    parsed = []

    @given(any_bytes)
    def judge(raw):
        is_one = len(raw) >= HEADER_BYTES + 28 and raw[0] == 1
        try:
            envelope = Envelope.from_bytes(raw)
        except EnvelopeError:
            assert not is_one
        else:
            assert is_one
            assert envelope.to_bytes() == raw
            parsed.append(raw)

    judge()
    assert len(parsed) > 10


@given(any_bytes)
def test_no_bytes_open_that_nobody_sealed(raw):
    vector = VECTORS[0]
    ring = Keyring([LocalProvider([bytes.fromhex(vector["root_key"])])], kek_cache_ttl=60)
    with pytest.raises(CryptoError):
        ring.open(raw, context_of(vector))
