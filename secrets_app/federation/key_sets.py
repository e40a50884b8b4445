"""Public keys of an issuer: a JWK Set (RFC 7517), of which that is kept which can verify here.

A key works with the algorithms of its type alone, and with the one that it names where it names one. Keys
are checked before anything is computed with them: a modulus or exponent can be of any size.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.utils import base64url_decode

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
MOST_KEYS = 50
MAX_KID_CHARS = 256
MIN_RSA_BITS, MAX_RSA_BITS = 2048, 4096
_MAX_EXPONENT = 2**32 - 1
# Of a number in base64url.
_MAX_CHARS = 4 * (MAX_RSA_BITS // 8) // 3 + 8
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class KeySetError(ValueError):
    """The message says what is wrong, and repeats nothing."""


@dataclass(slots=True)
class _Key:
    algorithms: tuple[str, ...]
    public: dict[str, str]
    built: Any = field(default=None, repr=False)


class KeySet:
    """The keys of a set that can verify. `public` holds them as JWKs, and nothing else of the set."""

    def __init__(
        self, keys: Mapping[tuple[str | None, str], _Key], public: list[dict[str, str]]
    ) -> None:
        self._keys = keys
        self.public = public

    def find(self, kid: str | None, algorithm: str) -> Any:
        """The key of this id for this algorithm, or None. Without an id: the only one there is."""
        if kid is None:
            found = {id(key): key for (_, each), key in self._keys.items() if each == algorithm}
            key = next(iter(found.values())) if len(found) == 1 else None
        else:
            key = self._keys.get((kid, algorithm))
        if key is None:
            return None
        if key.built is None:
            key.built = _build(key.public)
        return key.built


def parse_key_set(document: Any) -> KeySet:
    """Read a JWK Set. Keys of other types or for other uses are left out (RFC 7517, 5). Raises KeySetError
    for what is none, for too many keys, and for private ones."""
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise KeySetError("This is no JWK Set: an object with `keys`, a list.")
    if len(listed) > MOST_KEYS:
        raise KeySetError(f"A key set has at most {MOST_KEYS} keys.")
    keys: dict[tuple[str | None, str], _Key] = {}
    twice: set[tuple[str | None, str]] = set()
    public: list[dict[str, str]] = []
    for number, jwk in enumerate(listed):
        if not isinstance(jwk, dict):
            raise KeySetError("Each key is an object.")
        if _PRIVATE & jwk.keys():
            raise KeySetError("This holds a private or secret key. Exchange it: it is known now.")
        kid = jwk.get("kid")
        if kid is not None and (not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID_CHARS):
            continue
        shape = _shape(jwk)
        if shape is None:
            continue
        key = _Key(_algorithms(jwk, shape), shape)
        if not key.algorithms or not _is_usable(key):
            continue
        public.append(_described(shape, kid, key.algorithms))
        for algorithm in key.algorithms:
            # Keys without an id must not be taken for one another.
            name = (kid if kid is not None else f"\0{number}", algorithm)
            twice |= {name} & keys.keys()
            keys[name] = key
    # An id that two keys have names neither.
    return KeySet({name: key for name, key in keys.items() if name not in twice}, public)


def _shape(jwk: Mapping[str, Any]) -> dict[str, str] | None:
    """The members that make a public key, where it is one that may be used here to verify."""
    use, operations = jwk.get("use", "sig"), jwk.get("key_ops", ["verify"])
    # SPIFFE has a word of its own (SPIFFE Trust Domain and Bundle, 4.2.2).
    if use not in ("sig", "jwt-svid") or not isinstance(operations, list):
        return None
    if "verify" not in operations:
        return None
    members = {
        ("RSA", None): ("n", "e"),
        ("EC", "P-256"): ("crv", "x", "y"),
        ("OKP", "Ed25519"): ("crv", "x"),
    }
    kty, crv = jwk.get("kty"), jwk.get("crv")
    if not isinstance(kty, str) or not (crv is None or isinstance(crv, str)):
        return None
    names = members.get((kty, None if kty == "RSA" else crv))
    if names is None:
        return None
    shape = {"kty": kty}
    for name in names:
        value = jwk.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= _MAX_CHARS or not value.isascii():
            return None
        shape[name] = value
    return shape


def _algorithms(jwk: Mapping[str, Any], shape: Mapping[str, str]) -> tuple[str, ...]:
    of_type = {"RSA": ("RS256", "PS256"), "EC": ("ES256",), "OKP": ("EdDSA",)}[shape["kty"]]
    named = jwk.get("alg")
    if named is None:
        return of_type
    if named == "Ed25519":  # the same, fully specified (RFC 9864)
        named = "EdDSA"
    return tuple(each for each in of_type if each == named)


def _described(
    shape: dict[str, str], kid: str | None, algorithms: tuple[str, ...]
) -> dict[str, str]:
    described = shape | ({"alg": algorithms[0]} if len(algorithms) == 1 else {})
    return described | ({} if kid is None else {"kid": kid})


def _is_usable(key: _Key) -> bool:
    try:
        if key.public["kty"] == "RSA":
            modulus, exponent = (_number(key.public[name]) for name in ("n", "e"))
            return (
                MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS
                and modulus % 2 == 1
                and 3 <= exponent <= _MAX_EXPONENT
                and exponent % 2 == 1
            )
        key.built = _build(key.public)
    except (jwt.InvalidKeyError, ValueError, TypeError):
        return False
    return True


def _number(text: str) -> int:
    return int.from_bytes(base64url_decode(text), "big")


def _build(public: dict[str, str]) -> Any:
    if public["kty"] == "RSA":
        return RSAAlgorithm.from_jwk(public)
    return (ECAlgorithm if public["kty"] == "EC" else OKPAlgorithm).from_jwk(public)
