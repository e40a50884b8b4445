import hashlib
import hmac
from dataclasses import replace

import pytest

from secrets_app.crypto.aead import Cipher
from secrets_app.crypto.audit_key import AuditKey
from secrets_app.crypto.keyring import Keyring
from secrets_app.crypto.signing import is_signed
from secrets_app.errors import OpenError
from tests.crypto.test_keyring import CountingProvider, UnboundProvider

SECRET = bytes(range(32))


def test_macs_and_signatures_have_keys_of_their_own():
    key = AuditKey(SECRET)
    # RFC 5869, 2.3, with one block.
    mac_key = hmac.digest(SECRET, b"vaultsite/v1/audit-mac\x01", hashlib.sha256)
    assert key.mac(b"content") == hmac.digest(mac_key, b"content", hashlib.sha256)
    assert key.has_mac(b"content", key.mac(b"content"))
    assert not key.has_mac(b"content2", key.mac(b"content"))
    assert not key.has_mac(b"content", b"")
    signature = key.sign(b"content")
    assert is_signed(b"content", signature, key.public_key)
    assert not is_signed(b"content2", signature, key.public_key)
    assert not is_signed(b"content", signature, AuditKey(bytes(32)).public_key)
    assert not is_signed(b"content", signature[:-1], key.public_key)
    assert not is_signed(b"content", signature, b"short")


def test_seeds_of_second_factors_have_a_key_of_their_own():
    key = AuditKey(SECRET)
    seed_key = hmac.digest(SECRET, b"vaultsite/v1/second-factor\x01", hashlib.sha256)
    assert key.seed(b"salt") == hmac.digest(seed_key, b"salt", hashlib.sha256)[:20]
    assert key.seed(b"salt") != key.seed(b"another")
    assert key.seed(b"salt") != key.mac(b"salt")[:20]


def test_the_secrets_of_second_factors_have_a_cipher_of_their_own():
    box = AuditKey(SECRET).factor_cipher.encrypt(b"seed", b"")
    seal_key = hmac.digest(SECRET, b"vaultsite/v1/second-factor-seal\x01", hashlib.sha256)
    assert Cipher(seal_key).decrypt(box, b"") == b"seed"
    with pytest.raises(OpenError):
        AuditKey(bytes(32)).factor_cipher.decrypt(box, b"")


def test_nothing_secret_is_shown():
    shown = repr(AuditKey(SECRET)) + str(vars(AuditKey(SECRET)).keys())
    assert SECRET.hex() not in shown
    assert repr(SECRET) not in repr(AuditKey(SECRET))


@pytest.mark.parametrize("provider", [CountingProvider, UnboundProvider])
def test_the_wrapped_key_is_bound_to_its_number(provider):
    ring = Keyring([provider()], kek_cache_ttl=60)
    wrapped = ring.create_audit_key(1)
    public_key = ring.open_audit_key(wrapped).public_key
    assert ring.open_audit_key(ring.rewrap(wrapped)).public_key == public_key
    with pytest.raises(OpenError):
        ring.open_audit_key(replace(wrapped, number=2))
