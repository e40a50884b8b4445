"""HashiCorp Vault or OpenBao: `hcvault://host:port/<mount>/keys/<name>`, a key of its transit engine.

Needs the extra `hcvault` (hvac) and a server that binds `associated_data` (Vault 1.9, any OpenBao);
the health check notices one that ignores it. Options, after `?` and joined by `&`:

    token=file:/path or env:NAME    where the token is; env:VAULT_TOKEN by default
    ca=/path                        certificates to trust instead of the system's
    namespace=name                  as Vault Enterprise, HCP and OpenBao have them
    tls=off                         plain HTTP, on loopback addresses only

The token is renewed in the background after half of its time. When it is refused, it is read again, so
an agent that writes the file (Vault Agent's sink) may replace it at any time.
"""

import base64
import binascii
import ipaddress
import logging
import re
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import hvac
import requests
from hvac import exceptions as vault

from secrets_app.errors import ConfigurationError, OpenError, ProviderError, ProviderUnavailable
from secrets_app.providers.credential import Credential

logger = logging.getLogger("secrets_app.providers.hcvault")

_OPTIONS = {"token", "ca", "namespace", "tls"}
# Of the server's 400 answers, these are about the key and not about the blob.
_ABOUT_THE_KEY = re.compile(r"disallowed by policy|key not found|does not support|soft.deleted")
_REFUSED = "The transit engine refused the operation ({})."
_RETRY_RENEWAL_S = 30.0


def from_url(url: str, *, timeout_s: float) -> "TransitProvider":
    """Make the provider of a URL. Raises ConfigurationError, which says what the URL lacks."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    match = re.fullmatch(r"/([\w./-]+)/keys/([\w.-]+)", parts.path, re.ASCII)
    if match is None or not parts.hostname or "@" in parts.netloc or options.keys() - _OPTIONS:
        raise ConfigurationError(
            "An hcvault:// entry of ROOT_KEY_URLS is hcvault://host:port/transit/keys/<name>, with"
            " the options token, ca, namespace and tls after a question mark."
        )
    is_plain = options.get("tls") == "off"
    if is_plain and not _is_loopback(parts.hostname):
        raise ConfigurationError("hcvault:// with tls=off is for loopback addresses only.")
    ca = options.get("ca")
    if ca is not None and not Path(ca).is_file():
        raise ConfigurationError("The file named by ca= in an hcvault:// entry cannot be read.")
    client = hvac.Client(
        url=f"{'http' if is_plain else 'https'}://{parts.netloc}",
        token="",
        verify=ca or True,
        timeout=timeout_s,
        namespace=options.get("namespace"),
        allow_redirects=False,
    )
    return TransitProvider(
        client,
        key_id=f"hcvault://{parts.netloc}{parts.path}",
        mount=match.group(1),
        name=match.group(2),
        token=Credential.at(
            options.get("token", "env:VAULT_TOKEN"), what="The token of an hcvault:// entry"
        ),
    )


class TransitProvider:
    """Encrypts KEKs with a transit key of type aes256-gcm96 (or another with associated data)."""

    binds_context = True

    def __init__(
        self, client: hvac.Client, *, key_id: str, mount: str, name: str, token: Credential
    ) -> None:
        self._client = client
        self._mount = mount
        self._name = name
        self._token = token
        self._signing_in = threading.Lock()
        self.active_key_id = key_id
        self.key_ids = frozenset([key_id])

    def wrap(self, key: bytes, context: bytes) -> bytes:
        try:
            answer = self._ask(
                self._client.secrets.transit.encrypt_data,
                plaintext=_base64(key),
                associated_data=_base64(context),
            )
        except vault.InvalidRequest:
            raise ProviderError(_REFUSED.format("InvalidRequest")) from None
        return str(answer["data"]["ciphertext"]).encode()

    def unwrap(self, key_id: str, blob: bytes, context: bytes) -> bytes:
        if key_id != self.active_key_id or not blob.startswith(b"vault:") or not blob.isascii():
            raise OpenError
        try:
            answer = self._ask(
                self._client.secrets.transit.decrypt_data,
                ciphertext=blob.decode(),
                associated_data=_base64(context),
            )
            return base64.b64decode(answer["data"]["plaintext"], validate=True)
        except vault.InvalidRequest as error:
            if _ABOUT_THE_KEY.search(" ".join(map(str, error.errors or [error]))):
                raise ProviderError("The transit key does not open this any more.") from None
            raise OpenError from None
        except (binascii.Error, TypeError):
            raise OpenError from None

    def check_health(self) -> None:
        """Wrap and unwrap a few bytes, and check that the server binds the context."""
        blob = self.wrap(b"health", b"right")
        if self.unwrap(self.active_key_id, blob, b"right") != b"health":
            raise ProviderError("The transit engine did not give back what it was given.")
        try:
            self.unwrap(self.active_key_id, blob, b"wrong")
        except OpenError:
            return
        raise ProviderError("This server's transit engine does not bind associated data.")

    def _ask(self, call: Callable[..., Any], **arguments: str) -> Any:
        with _errors_translated():
            used = self._client.token or self._sign_in("")
            try:
                return call(self._name, mount_point=self._mount, **arguments)
            except (vault.Forbidden, vault.Unauthorized):
                # The token may have expired, and a new one may be there.
                self._sign_in(used)
                return call(self._name, mount_point=self._mount, **arguments)

    def _sign_in(self, refused: str) -> str:
        """Read the token and start its renewal, unless another thread has just done so."""
        with self._signing_in:
            if self._client.token != refused:
                return str(self._client.token)
            token = self._token.read()
            if token == refused:
                raise ProviderError("The transit engine refused the token (Forbidden).")
            self._client.token = token
            self._renew_later(token)
            return token

    def _renew_later(self, token: str) -> None:
        try:
            data = self._client.auth.token.lookup_self()["data"]
        except (vault.Forbidden, vault.InvalidRequest):
            return  # its first use will refuse it, or it may just not look itself up
        except (vault.VaultError, requests.RequestException):
            # To be looked up when the server is back.
            data = {"renewable": True, "ttl": 2 * _RETRY_RENEWAL_S}
        if data.get("renewable"):
            _start_renewal(self, token, float(data["ttl"]) / 2)

    def renew(self, token: str) -> float | None:
        """Renew the token. Returns the seconds until the next renewal, None if the token is not in use."""
        if self._client.token != token:
            return None
        try:
            auth = self._client.auth.token.renew_self()["auth"]
        except (vault.Forbidden, vault.Unauthorized, vault.InvalidRequest):
            logger.warning("The transit engine does not renew the token any more.")
            return None
        except (vault.VaultError, requests.RequestException) as error:
            logger.warning("The token could not be renewed now (%s).", type(error).__name__)
            return _RETRY_RENEWAL_S
        return float(auth["lease_duration"]) / 2 if auth["renewable"] else None


def _start_renewal(provider: TransitProvider, token: str, wait_s: float) -> None:
    """Renew in the background as long as the provider and its token are in use."""
    alive = weakref.ref(provider)
    gone = threading.Event()
    weakref.finalize(provider, gone.set)

    def run() -> None:
        wait: float | None = wait_s
        while wait is not None and not gone.wait(max(wait, 0.5)):
            current = alive()
            wait = current.renew(token) if current is not None else None
            del current

    threading.Thread(target=run, name="token-renewal", daemon=True).start()


@contextmanager
def _errors_translated() -> Iterator[None]:
    """Translate hvac's exceptions, except InvalidRequest, whose meaning depends on the call."""
    try:
        yield
    except vault.InvalidRequest:
        raise
    except (
        vault.VaultDown,
        vault.InternalServerError,
        vault.BadGateway,
        vault.RateLimitExceeded,
        vault.VaultNotInitialized,
        requests.RequestException,
    ) as error:
        name = type(error).__name__
        raise ProviderUnavailable(f"The transit engine cannot be reached ({name}).") from None
    except vault.VaultError as error:
        name = type(error).__name__
        raise ProviderError(_REFUSED.format(name)) from None


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
