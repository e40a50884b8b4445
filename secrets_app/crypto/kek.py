"""Use an unwrapped KEK: seal, open and rewrap the DEKs of a vault and the values under them."""

from secrets_app.crypto.aead import Cipher, generate_key
from secrets_app.crypto.context import EncryptionContext
from secrets_app.crypto.envelope import Envelope
from secrets_app.crypto.plaintext import Plaintext


class Kek:
    """A key-encryption key, ready for use. The key cannot be read back from it."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        """Take a key of exactly 32 bytes; raises ValueError for any other length."""
        self._cipher = Cipher(key)

    def seal(self, plaintext: Plaintext, context: EncryptionContext) -> bytes:
        """Encrypt a value under a new DEK. Returns envelope bytes."""
        dek = generate_key()
        return Envelope(
            wrapped_dek=self._cipher.encrypt(dek, context.dek_aad()),
            box=Cipher(dek).encrypt(plaintext.reveal(), context.value_aad()),
        ).to_bytes()

    def open(self, raw: bytes, context: EncryptionContext) -> Plaintext:
        """Decrypt envelope bytes. Raises EnvelopeError, OpenError."""
        envelope = Envelope.from_bytes(raw)
        dek = self._cipher.decrypt(envelope.wrapped_dek, context.dek_aad())
        return Plaintext(Cipher(dek).decrypt(envelope.box, context.value_aad()))

    def check(self, raw: bytes, context: EncryptionContext) -> None:
        """Check that an envelope opens, and drop the value. Raises EnvelopeError, OpenError."""
        self.open(raw, context)

    def rewrap(self, raw: bytes, context: EncryptionContext, to: "Kek") -> bytes:
        """Wrap an envelope's DEK under another KEK. The value's ciphertext does not change.

        Raises EnvelopeError, OpenError.
        """
        envelope = Envelope.from_bytes(raw)
        aad = context.dek_aad()
        wrapped_dek = to._cipher.encrypt(self._cipher.decrypt(envelope.wrapped_dek, aad), aad)
        return Envelope(wrapped_dek=wrapped_dek, box=envelope.box).to_bytes()

    def seal_digest(self, digest: bytes, aad: bytes) -> bytes:
        """Encrypt a digest of something secret, bound to `aad`."""
        return self._cipher.encrypt(digest, aad)

    def open_digest(self, box: bytes, aad: bytes) -> bytes:
        """Decrypt what `seal_digest` returned. Raises OpenError."""
        return self._cipher.decrypt(box, aad)
