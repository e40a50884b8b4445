"""Parse PKCS #11 URIs (RFC 7512), as far as they name one key and the way to it."""

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from secrets_app.errors import ConfigurationError

_TEXT = ("token", "serial", "manufacturer", "model", "object")
_PATH = {*_TEXT, "id", "type"}
_QUERY = {"module-path", "pin-source"}


@dataclass(frozen=True, slots=True)
class KeyUri:
    """A key's address. `token`: the token's attributes by their RFC 7512 names. `label`, `id`: the key
    on it.
    """

    module_path: str
    pin_source: str
    token: tuple[tuple[str, str], ...]
    label: str | None
    id: bytes | None

    @property
    def name(self) -> str:
        """Return the key's canonical URI, without what differs between hosts; safe to store and show."""
        parts = [f"{name}={_quote(value.encode())}" for name, value in self.token]
        if self.label is not None:
            parts.append(f"object={_quote(self.label.encode())}")
        if self.id is not None:
            parts.append(f"id={_quote(self.id)}")
        return "pkcs11:" + ";".join(parts)


def parse(uri: str) -> KeyUri:
    """Parse a URI. Raises ConfigurationError, which says what is missing and shows nothing of the URI."""
    path, _, query = uri.removeprefix("pkcs11:").partition("?")
    attributes = _attributes(path, ";", _PATH)
    options = _attributes(query, "&", _QUERY)
    module = _text(options, "module-path")
    if module is None or not module.startswith("/"):
        raise _wrong("needs module-path=, the absolute path of the vendor's library")
    pin_source = _text(options, "pin-source")
    if pin_source is None:
        raise _wrong("needs pin-source=file:/path or pin-source=env:NAME")
    if attributes.get("type", b"secret-key") != b"secret-key":
        raise _wrong("names a secret key: type=secret-key")
    token = tuple(
        (name, _text(attributes, name) or "") for name in _TEXT[:-1] if name in attributes
    )
    if not token:
        raise _wrong("names its token: token= or serial=")
    label, key_id = _text(attributes, "object"), attributes.get("id")
    if label is None and not key_id:
        raise _wrong("names its key: object= or id=")
    return KeyUri(module, pin_source, token, label, key_id)


def _attributes(text: str, separator: str, known: set[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in filter(None, text.split(separator)):
        name, equals, value = part.partition("=")
        if name == "pin-value":
            raise _wrong("must not hold the PIN: use pin-source= instead of pin-value=")
        if name not in known or not equals:
            raise _wrong(f"has an attribute that is not understood; known are {sorted(known)}")
        if name in found:
            raise _wrong(f"has {name} twice")
        if re.search(r"%(?![0-9A-Fa-f]{2})", value):
            raise _wrong(f"has a malformed percent escape in {name}")
        found[name] = unquote_to_bytes(value)
    return found


def _text(attributes: dict[str, bytes], name: str) -> str | None:
    raw = attributes.get(name)
    try:
        return None if raw is None else raw.decode()
    except UnicodeDecodeError:
        raise _wrong(f"has bytes in {name} that are not UTF-8") from None


def _quote(raw: bytes) -> str:
    """Percent-encode everything except unreserved characters (RFC 3986, 2.3)."""
    return re.sub(rb"[^A-Za-z0-9._~-]", lambda m: b"%%%02X" % m[0][0], raw).decode()


def _wrong(what: str) -> ConfigurationError:
    return ConfigurationError(f"A pkcs11: entry of ROOT_KEY_URLS (RFC 7512) {what}.")
