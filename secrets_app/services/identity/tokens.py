"""Issue, verify and revoke access tokens: JWTs signed with EdDSA (RFC 7519, RFC 8037)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
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
_MAX_CACHED = 10_000


class AccessToken(Token):
    """A token's claims.

    Besides `sub`, `iat`, `exp`, `jti` and `iss` there are `gen` (the principal's token generation),
    `key` (the id of the API key that was exchanged for the token, which ends with it), `vaults` (the
    vaults that the token is restricted to), `parent` (the token it was made from, which it ends with)
    and `session` (the sign-in it belongs to, and ends with).
    """

    token_type = "access"  # noqa: S105
    lifetime = timedelta(0)

    def get_token_backend(self) -> KeySet:
        return key_set()


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A signed token, and where it is of a session, what gets the next one. `expires_in` is in seconds."""

    access_token: str = field(repr=False)
    expires_in: int
    refresh_token: str | None = field(default=None, repr=False)


def issue_token(
    *,
    principal: Principal,
    api_key: ApiKey | None,
    lifetime_s: int,
    vault_ids: Sequence[str] = (),
    parent: str | None = None,
    session_id: UUID | None = None,
    ends_at: datetime | None = None,
) -> IssuedToken:
    """Issue a token for `lifetime_s` seconds, or less if its principal or API key expires before that.

    With `vault_ids`, the token works for these vaults only: it can narrow rights, never widen them. With
    `parent`, the `jti` of another token, it ends when that one is revoked; with `session_id` when that
    session ends. `ends_at` is the latest time that it lasts to.
    """
    now = timezone.now()
    ends = [now + timedelta(seconds=lifetime_s), principal.expires_at, ends_at]
    ends.append(api_key.expires_at if api_key else None)
    expires_at = min(end for end in ends if end is not None)
    token = AccessToken()
    token.set_iat(at_time=now)
    token.set_exp(from_time=expires_at, lifetime=timedelta(0))
    token["sub"] = str(principal)
    token["gen"] = principal.token_generation
    if vault_ids:
        token["vaults"] = list(vault_ids)
    if parent is not None:
        token["parent"] = parent
    if session_id is not None:
        token["session"] = str(session_id)
    if api_key is not None:
        token["key"] = str(api_key.id)
    return IssuedToken(str(token), max(0, int((expires_at - now).total_seconds())))


def read_token(raw: str) -> Claims:
    """Verify a token's signature, issuer and expiry, and return its claims. Raises Unauthenticated.

    Verified tokens are cached by their digest until they expire or the keys change.
    """
    if len(raw) > _MAX_TOKEN_CHARS:
        raise Unauthenticated("malformed_token")
    verified = key_set().verified
    digest = hashlib.sha256(raw.encode()).digest()
    claims = verified.get(digest)
    if claims is None:
        claims = _verify(raw)
        if len(verified) >= _MAX_CACHED:
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
        key, session = token.get("key"), token.get("session")
        return Claims(
            principal_id=UUID(principal_id),
            generation=int(token["gen"]),
            jti=str(token["jti"]),
            issued_at=datetime_from_epoch(token["iat"]),
            expires_at=datetime_from_epoch(token["exp"]),
            api_key_id=UUID(key) if key else None,
            vault_ids=tuple(token.get("vaults") or ()),
            parent=token.get("parent"),
            session=UUID(session) if session else None,
        )
    except (TokenError, KeyError, ValueError, TypeError, AttributeError, OverflowError):
        raise Unauthenticated("invalid_token") from None


def revoke_token(*, claims: Claims, actor: Actor) -> None:
    """End a token at once, for every process. To repeat this is no error."""
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
