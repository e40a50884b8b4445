"""Access tokens: JWTs signed with EdDSA (RFC 7519, RFC 8037), issued, read and revoked."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import Token
from rest_framework_simplejwt.utils import datetime_from_epoch

from secrets_app.errors import Unauthenticated
from secrets_app.models import ApiKey, Principal, RevokedToken
from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.caller import Actor, Claims
from secrets_app.services.identity.signing_keys import KeySet, key_set

# Far above any token made here; longer input is not worth parsing.
_MAX_TOKEN_CHARS = 4096
_MOST_KNOWN = 10_000


class AccessToken(Token):
    """Claims besides `sub, iat, exp, jti, iss`: `gen`, the principal's token generation, and `key`,
    the id of the API key that was exchanged for it, so that the token ends with that key; `vaults`,
    the vaults it is restricted to."""

    token_type = "access"  # noqa: S105
    lifetime = timedelta(0)

    def get_token_backend(self) -> KeySet:
        return key_set()


@dataclass(frozen=True, slots=True)
class IssuedToken:
    access_token: str = field(repr=False)
    expires_in: int


def issue_token(
    *,
    principal: Principal,
    api_key: ApiKey | None,
    lifetime_s: int,
    vault_ids: Sequence[str] = (),
) -> IssuedToken:
    """Make a token that lasts `lifetime_s` seconds, but no longer than its principal or API key.

    With `vault_ids` it is good for these vaults only: a token narrows, and never widens.
    """
    now = timezone.now()
    ends = [now + timedelta(seconds=lifetime_s), principal.expires_at]
    ends.append(api_key.expires_at if api_key else None)
    expires_at = min(end for end in ends if end is not None)
    token = AccessToken()
    token.set_iat(at_time=now)
    token.set_exp(from_time=expires_at, lifetime=timedelta(0))
    token["sub"] = str(principal)
    token["gen"] = principal.token_generation
    if vault_ids:
        token["vaults"] = list(vault_ids)
    if api_key is not None:
        token["key"] = str(api_key.id)
    return IssuedToken(str(token), max(0, int((expires_at - now).total_seconds())))


def read_token(raw: str) -> Claims:
    """Verify signature, issuer and expiry. Raises Unauthenticated.

    What was verified before, by the same keys, is known by its digest until it expires.
    """
    if len(raw) > _MAX_TOKEN_CHARS:
        raise Unauthenticated("malformed_token")
    verified = key_set().verified
    digest = hashlib.sha256(raw.encode()).digest()
    claims = verified.get(digest)
    if claims is None:
        claims = _verify(raw)
        if len(verified) >= _MOST_KNOWN:
            verified.clear()
        verified[digest] = claims
    elif claims.expires_at <= timezone.now():
        raise Unauthenticated("invalid_token")
    return claims


def _verify(raw: str) -> Claims:
    try:
        token: Any = AccessToken(raw)  # type: ignore[arg-type]
        kind, _, principal_id = token["sub"].partition(":")
        if kind not in Principal.Kind.values:
            raise ValueError(kind)
        # Tokens made here name no audience. One that does is for another service (RFC 7519, 4.1.3).
        if "aud" in token:
            raise ValueError("aud")
        key = token.get("key")
        return Claims(
            principal_id=UUID(principal_id),
            generation=int(token["gen"]),
            jti=str(token["jti"]),
            expires_at=datetime_from_epoch(token["exp"]),
            api_key_id=UUID(key) if key else None,
            vault_ids=tuple(token.get("vaults") or ()),
        )
    except (TokenError, KeyError, ValueError, TypeError, AttributeError, OverflowError):
        raise Unauthenticated("invalid_token") from None


def revoke_token(*, claims: Claims, actor: Actor) -> None:
    """End a token at once, for every process. Doing it twice is no error."""
    with transaction.atomic():
        RevokedToken.objects.bulk_create(
            [
                RevokedToken(
                    jti=claims.jti, principal_id=claims.principal_id, expires_at=claims.expires_at
                )
            ],
            ignore_conflicts=True,
        )
        record("auth.revoke", SUCCESS, actor=actor, resource=Resource("token"))
