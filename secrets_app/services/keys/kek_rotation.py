"""Rotate a vault's KEK: make a new one, then rewrap every DEK under it, batch by batch.

Readers and writers go on meanwhile. A reader finds each row either before or after its rewrap, with the
right KEK, and writers use the new KEK at once. A stopped run is finished by the next one: whatever is
still wrapped under a retired KEK is left to do.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Count, QuerySet
from django.utils import timezone

from secrets_app.crypto.kek import Kek
from secrets_app.errors import CryptoError, EnvelopeError, OpenError, ProviderError
from secrets_app.fields import Sealed
from secrets_app.keys import keyring
from secrets_app.models import SecretVersion, Vault, VaultKey
from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.caller import Actor
from secrets_app.services.keys.batches import in_batches
from secrets_app.services.sealing.vault_keys import active_vault_key, generate_vault_key

# After this time no writer is left that read the key as the active one.
_LAST_WRITERS_ARE_DONE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a rotation of one vault would do.

    `makes_key`: a new KEK is made. `to_move`: how many values are rewrapped.
    """

    vault_id: UUID
    makes_key: bool
    to_move: int


@dataclass(slots=True)
class Rotated:
    """What was done to one vault.

    `version`: of the new KEK, None if none was needed. `moved`: how many values were rewrapped.
    `destroyed`: how many retired KEKs were destroyed. `failed`: ids of what does not open and was left
    alone: versions, retired KEKs, or the vault itself if no active KEK opens. `is_whole`: False if
    `most` ended the run.
    """

    vault_id: UUID
    version: int | None = None
    moved: int = 0
    destroyed: int = 0
    failed: list[UUID] = field(default_factory=list)
    is_whole: bool = True


def plan_rotation(*, vault_id: UUID | None, older_than: timedelta | None) -> list[Plan]:
    """Work out what `rotate_vault` would do, for one vault or for all that are not destroyed.

    With `older_than`, only KEKs of at least that age are replaced. Vaults with nothing to do are left
    out.
    """
    keys = VaultKey.objects.filter(vault__destroyed_at__isnull=True).order_by("created_at", "pk")
    if vault_id is not None:
        keys = keys.filter(vault_id=vault_id)
    sealed = count_values_by_key(vault_id=vault_id)
    unfinished: dict[UUID, int] = {}
    for key in keys.filter(state=VaultKey.State.RETIRED):
        if sealed.get(key.pk):
            unfinished[key.vault_id] = unfinished.get(key.vault_id, 0) + sealed[key.pk]
    plans = []
    for key in keys.filter(state=VaultKey.State.ACTIVE):
        left = unfinished.get(key.vault_id, 0)
        makes_key = _is_due(key, older_than) if older_than is not None else not left
        if makes_key or left:
            plans.append(
                Plan(key.vault_id, makes_key, left + (sealed.get(key.pk, 0) if makes_key else 0))
            )
    return plans


def vaults_with_retired_keys() -> list[UUID]:
    """Return the ids of vaults with retired KEKs, which may be destroyed once they are unused."""
    retired = VaultKey.objects.filter(
        state=VaultKey.State.RETIRED, vault__destroyed_at__isnull=True
    )
    return list(retired.order_by("vault_id").values_list("vault_id", flat=True).distinct())


def count_values_by_key(*, vault_id: UUID | None = None) -> dict[UUID, int]:
    """Count the values under each KEK, by the id of its row, for one vault or all."""
    sealed = SecretVersion.objects.filter(destroyed_at__isnull=True)
    if vault_id is not None:
        sealed = sealed.filter(vault_id=vault_id)
    return dict(sealed.values_list("vault_key_id").annotate(Count("pk")).order_by())


def rotate_vault(
    *,
    vault_id: UUID,
    older_than: timedelta | None,
    destroy_retired: bool = False,
    most: int | None = None,
    actor: Actor,
    on_progress: Callable[[int], None],
) -> Rotated:
    """Finish what an earlier run left, then make a new KEK and rewrap everything under it.

    With `older_than`, a new KEK is made only if the active one is at least that old; without, unless
    this run finished an earlier one. With `destroy_retired`, unused KEKs that were retired at least a
    day ago are destroyed. `most` stops the run after about as many values, for callers that somebody
    waits for. `on_progress` gets the number of values of each batch.

    Raises ProviderError. Everything is consistent then, and another run goes on.
    """
    done = Rotated(vault_id)
    try:
        _move_values(done, most, actor, on_progress)
        key = active_vault_key(vault_id=vault_id)
        if _is_due(key, older_than) if older_than is not None else not done.moved:
            done.version = _activate_new_key(key, actor)
            _move_values(done, most, actor, on_progress)
    except ProviderError:
        raise
    except CryptoError:
        done.failed.append(vault_id)
    if destroy_retired:
        done.destroyed = _destroy_unused(vault_id, actor)
    return done


def _is_due(key: VaultKey, older_than: timedelta) -> bool:
    return key.created_at <= timezone.now() - older_than


def _activate_new_key(current: VaultKey, actor: Actor) -> int | None:
    """Make a new KEK the active one, unless another run has just done so."""
    key = generate_vault_key(vault_id=current.vault_id, version=current.version + 1)
    with transaction.atomic():
        Vault.objects.select_for_update().get(pk=current.vault_id)
        retired = VaultKey.objects.filter(pk=current.pk, state=VaultKey.State.ACTIVE).update(
            state=VaultKey.State.RETIRED, retired_at=timezone.now()
        )
        if not retired:
            return None
        key.save(force_insert=True)
        record(
            "key.rotate",
            SUCCESS,
            actor=actor,
            resource=Resource("vault_key", key.pk, key.vault_id),
            details={"version": key.version, "root_key_id": key.root_key_id},
        )
    return key.version


def _move_values(
    done: Rotated, most: int | None, actor: Actor, on_progress: Callable[[int], None]
) -> None:
    """Rewrap every value of the vault that is under a retired KEK."""
    retired = VaultKey.objects.filter(vault_id=done.vault_id, state=VaultKey.State.RETIRED)
    for old in retired.order_by("version"):
        for batch in in_batches(_sealed_under(old)):
            if most is not None and done.moved >= most:
                done.is_whole = False
                return
            new = active_vault_key(vault_id=done.vault_id)
            ring = keyring()
            # Unwrapped before the transaction, so that no lock is held while a provider answers.
            to_kek = ring.unwrapped(new.wrapped_key())
            try:
                from_kek = ring.unwrapped(old.wrapped_key())
            except OpenError:
                if old.pk not in done.failed:
                    done.failed.append(old.pk)
                break
            with transaction.atomic():
                moved = _move_batch(batch, old, new, from_kek, to_kek, done.failed)
                if moved:
                    record(
                        "key.rewrap",
                        SUCCESS,
                        actor=actor,
                        resource=Resource("vault_key", new.pk, new.vault_id),
                        details={"from": old.version, "to": new.version, "versions": moved},
                    )
            done.moved += moved
            on_progress(moved)


def _move_batch(
    batch: list[UUID],
    old: VaultKey,
    new: VaultKey,
    from_kek: Kek,
    to_kek: Kek,
    failed: list[UUID],
) -> int:
    moved = 0
    rows = SecretVersion.objects.select_related("secret", "vault_key").filter(
        pk__in=batch, vault_key=old, destroyed_at__isnull=True
    )
    # Everybody locks versions in this order.
    for version in rows.select_for_update(of=("self",)).order_by("pk"):
        try:
            if not isinstance(version.value, Sealed):
                raise OpenError
            context = version.encryption_context()
            envelope = from_kek.rewrap(version.value.envelope, context, to=to_kek)
        except (OpenError, EnvelopeError):
            if version.pk not in failed:
                failed.append(version.pk)
            continue
        moved += SecretVersion.objects.filter(pk=version.pk).update(
            value=Sealed(envelope), vault_key=new
        )
    return moved


def _destroy_unused(vault_id: UUID, actor: Actor) -> int:
    """Destroy retired KEKs that no value is under any more."""
    end = timezone.now() - _LAST_WRITERS_ARE_DONE
    destroyed = 0
    with transaction.atomic():
        Vault.objects.select_for_update().get(pk=vault_id)
        unused = VaultKey.objects.filter(
            vault_id=vault_id, state=VaultKey.State.RETIRED, retired_at__lte=end
        )
        # The row lock waits for writers that have just referred to the key.
        for key in unused.select_for_update().order_by("version"):
            if _sealed_under(key).exists():
                continue
            key.state, key.wrapped = VaultKey.State.DESTROYED, b""
            key.save(update_fields=["state", "wrapped"])
            record(
                "key.destroy",
                SUCCESS,
                actor=actor,
                resource=Resource("vault_key", key.pk, vault_id),
                details={"version": key.version},
            )
            destroyed += 1
    return destroyed


def _sealed_under(key: VaultKey) -> QuerySet[SecretVersion]:
    return SecretVersion.objects.filter(vault_key=key, destroyed_at__isnull=True)
