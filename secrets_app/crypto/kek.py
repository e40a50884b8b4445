"""An unwrapped KEK at work: seals, opens and rewraps the DEKs of one vault, and what lies under them."""

from secrets_app.crypto.aead import Cipher, generate_key
from secrets_app.crypto.context import EncryptionContext
from secrets_app.crypto.envelope import Envelope
from secrets_app.crypto.plaintext import Plaintext


class Kek:
    """One key-encryption key, ready for use. The key cannot be read back from it."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        """Take a key of exactly 32 bytes; raises ValueError for any other length."""
        self._cipher = Cipher(key)

    def seal(self, plaintext: Plaintext, context: EncryptionContext) -> bytes:
        """Seal a value under a fresh DEK. Returns envelope bytes."""
        dek = generate_key()
        return Envelope(
            wrapped_dek=self._cipher.encrypt(dek, context.dek_aad()),
            box=Cipher(dek).encrypt(plaintext.reveal(), context.value_aad()),
        ).to_bytes()

    def open(self, raw: bytes, context: EncryptionContext) -> Plaintext:
        """Open envelope bytes. Raises EnvelopeError, OpenError."""
        envelope = Envelope.from_bytes(raw)
        dek = self._cipher.decrypt(envelope.wrapped_dek, context.dek_aad())
        return Plaintext(Cipher(dek).decrypt(envelope.box, context.value_aad()))

    def check(self, raw: bytes, context: EncryptionContext) -> None:
        """Return when the envelope opens; the value is dropped here. Raises EnvelopeError, OpenError."""
        self.open(raw, context)

    def rewrap(self, raw: bytes, context: EncryptionContext, to: "Kek") -> bytes:
        """Move an envelope's DEK under another KEK; the value's ciphertext is untouched.

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
        """The digest that `seal_digest` took. Raises OpenError."""
        return self._cipher.decrypt(box, aad)
