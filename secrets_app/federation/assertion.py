"""A token of another issuer: a JWT in compact form (RFC 7519, RFC 7515), and what is demanded of it.

PyJWT checks the signature. All else is read and judged here, since every leniency of a general reader would
be one too many: names that stand twice, numbers that are none, lists of audiences. Nothing that a header
says of where a key is (`jku`, `x5u`, `jwk`, `x5c`) is looked at (RFC 8725, 3.10).
"""

import math
from dataclasses import dataclass, field
from typing import Any

import jwt
from jwt.utils import base64url_decode, base64url_encode

from secrets_app.errors import Unauthenticated
from secrets_app.federation.key_sets import ALGORITHMS, MAX_KID_CHARS
from secrets_app.strict_json import parse_json

MAX_CHARS = 16 * 1024
LEEWAY_S = 60
_MAX_TEXT_CHARS = 512
# Of JWTs that say who somebody is. Others have a purpose of their own (RFC 8725, 3.11).
_TYPES = frozenset({"jwt", "jose", "at+jwt"})


@dataclass(frozen=True, slots=True)
class Assertion:
    """A token as it was read: its signature is not verified yet. Times are seconds since 1970."""

    raw: str = field(repr=False)
    algorithm: str
    kid: str | None = field(repr=False)
    issuer: str = field(repr=False)
    claims: dict[str, Any] = field(repr=False)
    expires_at: float
    issued_at: float

    def has_audience(self, audience: str) -> bool:
        """Whether it is for this audience and for no other: another could have sent it on."""
        named = self.claims.get("aud")
        return named == audience if isinstance(named, str) else named == [audience]

    @property
    def token_id(self) -> str | None:
        """`jti`, where it has one that can be kept."""
        jti = self.claims.get("jti")
        return jti if isinstance(jti, str) and 0 < len(jti) <= _MAX_TEXT_CHARS else None


def read_assertion(raw: str, *, now: float) -> Assertion:
    """Read a token and judge what needs no key: form, algorithm and times.

    Raises Unauthenticated with a reason for the log.
    """
    if len(raw) > MAX_CHARS or not raw.isascii() or raw.count(".") != 2:
        raise Unauthenticated("malformed_assertion")
    head, body, _ = raw.split(".")
    header, claims = _object(head), _object(body)
    if header.get("alg") not in ALGORITHMS:
        raise Unauthenticated("algorithm_not_allowed")
    # Unknown extensions must be understood (RFC 7515, 4.1.11), and there is none that is.
    if header.keys() & {"crit", "b64", "zip", "enc"}:
        raise Unauthenticated("unknown_extension")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in _TYPES:
        raise Unauthenticated("other_kind_of_token")
    kid = header.get("kid")
    if kid is not None and (not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID_CHARS):
        raise Unauthenticated("malformed_assertion")
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or not 0 < len(issuer) <= _MAX_TEXT_CHARS:
        raise Unauthenticated("no_issuer")
    expires_at, issued_at = _times(claims, now)
    return Assertion(raw, header["alg"], kid, issuer, claims, expires_at, issued_at)


def check_signature(assertion: Assertion, key: Any) -> None:
    """Raises Unauthenticated when the key has not signed the token."""
    try:
        jwt.PyJWS(algorithms=[assertion.algorithm]).decode_complete(
            assertion.raw, key=key, algorithms=[assertion.algorithm]
        )
    except (jwt.PyJWTError, ValueError, TypeError):
        raise Unauthenticated("wrong_signature") from None


def _object(segment: str) -> dict[str, Any]:
    """A part of a token. One spelling alone is taken, so that a token cannot be written in two ways."""
    try:
        raw = base64url_decode(segment)
        data = parse_json(raw) if base64url_encode(raw).decode() == segment else None
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise Unauthenticated("malformed_assertion")
    return data


def _times(claims: dict[str, Any], now: float) -> tuple[float, float]:
    times = {name: _instant(claims[name]) for name in ("exp", "nbf", "iat") if name in claims}
    if "exp" not in times:
        raise Unauthenticated("no_expiry")
    if times["exp"] <= now:
        raise Unauthenticated("expired_assertion")
    if "iat" not in times:
        raise Unauthenticated("no_issue_time")
    if max(times["iat"], times.get("nbf", 0)) > now + LEEWAY_S:
        raise Unauthenticated("not_yet_valid")
    return times["exp"], times["iat"]


def _instant(value: Any) -> float:
    """A NumericDate (RFC 7519, 2). One beyond what clocks count is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 2**53:
        raise Unauthenticated("malformed_assertion")
    if not math.isfinite(value):
        raise Unauthenticated("malformed_assertion")
    return float(value)
