"""Vaults: create, list, look at."""

import hashlib
import unicodedata
from typing import Any
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet
from django.utils import timezone

from secrets_app.errors import Conflict, Forbidden, NotFound
from secrets_app.models import Policy, Principal, Vault
from secrets_app.models.rules import policies_of
from secrets_app.services.audit import DENIED, SUCCESS, Resource, record
from secrets_app.services.caller import Actor, Caller
from secrets_app.services.sealing.vault_keys import generate_vault_key
from secrets_app.services.transactions.idempotency import IdempotencyClaim


def create_vault(
    *,
    owner_id: UUID,
    owner_kind: str,
    name: str,
    description: str,
    actor: Actor,
    once: IdempotencyClaim | None = None,
) -> Vault:
    """Make a vault with its first key. `name` and `description` are validated already.

    Raises Forbidden unless the owner is a person, Conflict when it has a vault of that name,
    ProviderError when no key can be made.
    """
    if owner_kind != Principal.Kind.USER:
        with transaction.atomic():
            details = {"reason": "not_a_person"}
            record("vault.create", DENIED, actor=actor, resource=Resource("vault"), details=details)
        raise Forbidden("Only a person can own a vault.")
    vault_id = uuid4()
    key = generate_vault_key(vault_id=vault_id, version=1)
    try:
        with transaction.atomic():
            vault = Vault.objects.create(
                id=vault_id,
                owner_id=owner_id,
                created_by_id=owner_id,
                name=name,
                name_key=name_key(name),
                description=description,
            )
            key.save(force_insert=True)
            record(
                "vault.create", SUCCESS, actor=actor, resource=Resource("vault", vault.id, vault.id)
            )
            if once is not None:
                once.complete(vault)
    except IntegrityError:
        if not _has_vault_named(owner_id, name):
            raise
        raise Conflict("You already have a vault of that name.") from None
    return vault


def delete_vault(*, caller: Caller, vault_id: UUID) -> None:
    """Make a vault and all in it unreachable; after the retention window its keys are destroyed.

    The caller is its owner. Raises NotFound.
    """
    with transaction.atomic():
        gone = Vault.objects.filter(pk=vault_id, deleted_at__isnull=True).update(
            deleted_at=timezone.now()
        )
        if not gone:
            raise NotFound("There is no such vault.")
        resource = Resource("vault", vault_id, vault_id)
        record("vault.delete", SUCCESS, actor=caller.actor, resource=resource)


def list_vaults(*, caller: Caller, shared: bool | None = None) -> QuerySet[Vault]:
    """List the vaults the caller owns, by name, and then those it is allowed something in by a policy.

    Anybody can share vaults of any name, in any number, with whom they know the id of: `is_shared` marks
    those, and they never stand before one's own. What caller and token are restricted from is left out.
    With `shared` only these, or only one's own.
    """
    policies = policies_of(caller.id).filter(
        Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now()), effect=Policy.Effect.ALLOW
    )
    mine = Q(owner_id=caller.id) | Q(pk__in=policies.values("vault_id"))
    vaults = _living_vaults(caller).filter(mine)
    for allowed in caller.restrictions:
        vaults = vaults.filter(pk__in=allowed)
    if shared is not None:
        vaults = vaults.filter(is_shared=shared)
    return vaults.order_by("is_shared", "name", "id")


def get_vault(*, caller: Caller, vault_id: UUID) -> Vault:
    """Return one vault. Raises NotFound."""
    vault: Vault | None = _living_vaults(caller).filter(pk=vault_id).first()
    if vault is None:
        raise NotFound("There is no such vault.")
    return vault


def _living_vaults(caller: Caller) -> QuerySet[Any]:
    is_shared = ExpressionWrapper(~Q(owner_id=caller.id), output_field=BooleanField())
    living = Vault.objects.filter(deleted_at__isnull=True)
    return living.select_related("created_by", "owner").annotate(is_shared=is_shared)


def name_key(name: str) -> str:
    """Return what names are compared by: case, Unicode spelling and invisible characters make no
    difference.

    A digest, since folding can make a name many times longer.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    seen = "".join(c for c in folded if unicodedata.category(c) not in ("Cf", "Mn"))
    return hashlib.sha256((seen or folded).encode()).hexdigest()


def _has_vault_named(owner_id: UUID, name: str) -> bool:
    return Vault.objects.filter(
        owner_id=owner_id, name_key=name_key(name), deleted_at__isnull=True
    ).exists()
