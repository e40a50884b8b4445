"""Wrap with a hardware security module, by PKCS #11: a URI of RFC 7512. Needs the extra `pkcs11`.

    pkcs11:token=vault;object=root?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/pin

The key is an AES-256 key that never leaves the token; KEKs are wrapped by CKM_AES_GCM with the
context as AAD. A wrapped KEK is `nonce (12) | ciphertext | tag (16)`.

A process holds one session with each token. python-pkcs11 initialises a library without locking
(C_Initialize without CKF_OS_LOCKING_OK), so calls into one library take turns.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pkcs11
from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, ObjectClass
from pkcs11 import exceptions as p11

from secrets_app.crypto.aead import NONCE_BYTES, OVERHEAD_BYTES, TAG_BYTES
from secrets_app.errors import ConfigurationError, OpenError, ProviderError, ProviderUnavailable
from secrets_app.providers.credential import Credential
from secrets_app.providers.pkcs11_uri import KeyUri, parse

_T = TypeVar("_T")

# The token refused, and would refuse again. Any other error may be temporary.
_REFUSED = (
    p11.AttributeTypeInvalid,
    p11.FunctionNotSupported,
    p11.KeyTypeInconsistent,
    p11.KeySizeRange,
    p11.MechanismInvalid,
    p11.MechanismParamInvalid,
    p11.MultipleTokensReturned,
    p11.TokenWriteProtected,
)
_WRONG_PIN = (p11.PinIncorrect, p11.PinInvalid, p11.PinLenRange, p11.PinLocked, p11.PinExpired)
_DOES_NOT_OPEN = (p11.EncryptedDataInvalid, p11.EncryptedDataLenRange)
# SoftHSM and others answer this to a wrong tag, and to much else.
_AMBIGUOUS = (p11.GeneralError, p11.FunctionFailed)


def from_url(url: str, *, timeout_s: float) -> "Pkcs11Provider":  # noqa: ARG001
    """Make the provider of a URI, without touching the token. Raises ConfigurationError."""
    uri = parse(url)
    if not Path(uri.module_path).is_file():
        raise ConfigurationError(
            f"The PKCS #11 library {uri.module_path} (module-path of a pkcs11: entry) is not there."
        )
    pin = Credential.at(uri.pin_source, what="The pin-source of a pkcs11: entry")
    return Pkcs11Provider(uri, pin)


def create_key(url: str) -> str:
    """Generate an AES-256 key inside the token, sensitive and not extractable. Returns its name.

    Raises ConfigurationError when the token has a key of that name, ProviderError.
    """
    provider = from_url(url, timeout_s=0)
    provider.create_key()
    return provider.active_key_id


@dataclass(slots=True)
class _Module:
    """A vendor's library in this process. `starts` counts its initialisations."""

    path: str
    turn: threading.RLock = field(default_factory=threading.RLock)
    starts: int = 0
    pid: int = field(default_factory=os.getpid)

    def library(self) -> Any:
        if self.pid != os.getpid():  # a fork does not inherit sessions (PKCS #11, 5.4)
            self.pid = os.getpid()
            self.restart()
        return pkcs11.lib(self.path)

    def restart(self) -> None:
        """Initialise the library again. Every session is gone then."""
        self.starts += 1
        library = pkcs11.lib(self.path)
        with suppress(p11.PKCS11Error):  # it is not initialised, as wanted
            library.finalize()
        library.initialize()


_modules: dict[str, _Module] = {}


class Pkcs11Provider:
    """Encrypts KEKs with an AES key inside a token."""

    binds_context = True

    def __init__(self, uri: KeyUri, pin: Credential) -> None:
        self._uri = uri
        self._pin = pin
        self._module = _modules.setdefault(uri.module_path, _Module(uri.module_path))
        self._session: Any = None
        self._key: Any = None
        self._start = -1
        self._refused_pin: str | None = None
        self.active_key_id = uri.name
        self.key_ids = frozenset([uri.name])

    def wrap(self, key: bytes, context: bytes) -> bytes:
        return self._with_key(lambda handle: _encrypt(handle, key, context))

    def unwrap(self, key_id: str, blob: bytes, context: bytes) -> bytes:
        if key_id != self.active_key_id or len(blob) < OVERHEAD_BYTES:
            raise OpenError
        return self._with_key(lambda handle: _decrypt(handle, blob, context))

    def check_health(self) -> None:
        """Wrap and unwrap a few bytes."""
        blob = self.wrap(b"health", b"health")
        if self.unwrap(self.active_key_id, blob, b"health") != b"health":
            raise ProviderError("The token did not give back what it was given.")

    def create_key(self) -> None:
        """Generate the key inside the token, as the function of this name says."""
        with self._module.turn, _errors_translated(), self._open(rw=True) as session:
            if any(True for _ in session.get_objects(self._query())):
                raise ConfigurationError("The token has a key of that name already.")
            session.generate_key(
                KeyType.AES,
                256,
                label=self._uri.label,
                id=self._uri.id,
                store=True,
                template={
                    Attribute.PRIVATE: True,
                    Attribute.SENSITIVE: True,
                    Attribute.EXTRACTABLE: False,
                },
            )

    def _with_key(self, use: Callable[[Any], _T]) -> _T:
        """Run `use` with the key, and again in a new session if the old session fails."""
        with self._module.turn, _errors_translated():
            if self._has_session():
                try:
                    return use(self._key)
                except p11.PKCS11Error:
                    # Logged out, restarted, unplugged for a moment, …
                    if self._start == self._module.starts:
                        self._module.restart()
            self._connect()
            return use(self._key)

    def _has_session(self) -> bool:
        self._module.library()
        return self._key is not None and self._start == self._module.starts

    def _connect(self) -> None:
        """Open a session and find the key's handle. Raises ProviderError when the key is not as it
        should be.
        """
        self._session = self._key = None
        session = self._open()
        keys = list(session.get_objects(self._query()))
        if len(keys) != 1:
            what = "has no key" if not keys else "has several keys"
            raise ProviderError(
                f"The token {what} of the name {self.active_key_id}. To make one:"
                " manage.py create_root_key"
            )
        if not (keys[0][Attribute.ENCRYPT] and keys[0][Attribute.DECRYPT]):
            raise ProviderError(
                f"The key {self.active_key_id} is not allowed to encrypt and decrypt."
            )
        if keys[0][Attribute.EXTRACTABLE] or not keys[0][Attribute.SENSITIVE]:
            raise ProviderError(f"The key {self.active_key_id} can be taken out of its token.")
        self._session, self._key, self._start = session, keys[0], self._module.starts

    def _open(self, *, rw: bool = False) -> Any:
        token = self._find_token()
        if token is None:
            # A library sees a token that came (or came back) only after it is initialised again.
            self._module.restart()
            token = self._find_token()
        if token is None:
            raise p11.NoSuchToken
        pin = self._pin.read()
        if pin == self._refused_pin:
            raise ProviderError(
                "The token refused this PIN before. It is not tried again, or the token would lock."
            )
        try:
            return token.open(rw=rw, user_pin=pin)
        except p11.UserAlreadyLoggedIn:  # a login counts for the process, not the session
            return token.open(rw=rw)
        except _WRONG_PIN:
            self._refused_pin = pin
            raise

    def _find_token(self) -> Any:
        found = [token for token in self._module.library().get_tokens() if self._is_named(token)]
        if len(found) > 1:
            raise p11.MultipleTokensReturned
        return found[0] if found else None

    def _is_named(self, token: Any) -> bool:
        described = {
            "token": token.label,
            "serial": token.serial.decode(errors="replace"),
            "manufacturer": token.manufacturer_id,
            "model": token.model,
        }
        return all(described[name] == value for name, value in self._uri.token)

    def _query(self) -> dict[Attribute, Any]:
        query: dict[Attribute, Any] = {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.AES,
        }
        if self._uri.label is not None:
            query[Attribute.LABEL] = self._uri.label
        if self._uri.id is not None:
            query[Attribute.ID] = self._uri.id
        return query


def _encrypt(key: Any, plaintext: bytes, context: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    box: bytes = key.encrypt(
        plaintext,
        mechanism=Mechanism.AES_GCM,
        mechanism_param=GCMParams(nonce, context, TAG_BYTES * 8),
    )
    return nonce + box


def _decrypt(key: Any, blob: bytes, context: bytes) -> bytes:
    parameters = GCMParams(blob[:NONCE_BYTES], context, TAG_BYTES * 8)
    try:
        plaintext: bytes = key.decrypt(
            blob[NONCE_BYTES:], mechanism=Mechanism.AES_GCM, mechanism_param=parameters
        )
    except _DOES_NOT_OPEN:
        raise OpenError from None
    except _AMBIGUOUS:
        if not context:
            raise
        # If the key opens what it has just wrapped, the blob is at fault; otherwise this raises.
        _decrypt(key, _encrypt(key, b"probe", b""), b"")
        raise OpenError from None
    return plaintext


@contextmanager
def _errors_translated() -> Iterator[None]:
    try:
        yield
    except _WRONG_PIN as error:
        raise ProviderError(f"The token refused the PIN ({type(error).__name__}).") from None
    except p11.PKCS11Error as error:
        name = type(error).__name__
        if isinstance(error, _REFUSED):
            raise ProviderError(f"The token refused the operation ({name}).") from None
        raise ProviderUnavailable(f"The token cannot be used now ({name}).") from None
