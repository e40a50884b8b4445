"""A token made from a token: for a part of a job, and never for more than the whole."""

from uuid import UUID

from django.db import transaction

from secrets_app.errors import Conflict
from secrets_app.models import ApiKey, Principal
from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.caller import Caller, Claims
from secrets_app.services.identity.tokens import IssuedToken, issue_token


def derive_token(*, caller: Caller, claims: Claims, lifetime_s: int | None) -> IssuedToken:
    """A token for the same principal and vaults that ends with this one, or earlier: after `lifetime_s`
    seconds, when this one is revoked, and with all that ends this one.

    `claims` are those of the caller's token. Raises Conflict for a token that was made from another.
    """
    if claims.parent is not None:
        raise Conflict("A token that was made from another token makes no tokens.")
    principal = Principal.objects.get(pk=claims.principal_id)
    # As this token has it: when all were ended since, the new one is ended too.
    principal.token_generation = claims.generation
    left = int((claims.expires_at - claims.issued_at).total_seconds())
    issued = issue_token(
        principal=principal,
        api_key=_key(claims.api_key_id),
        lifetime_s=left if lifetime_s is None else min(left, lifetime_s),
        vault_ids=claims.vault_ids,
        parent=claims.jti,
        session_id=claims.session,
        ends_at=claims.expires_at,
    )
    with transaction.atomic():
        record(
            "auth.success",
            SUCCESS,
            actor=caller.actor,
            resource=Resource("principal", caller.id),
            details={"method": "token"},
        )
    return issued


def _key(key_id: UUID | None) -> ApiKey | None:
    return None if key_id is None else ApiKey.objects.get(pk=key_id)
