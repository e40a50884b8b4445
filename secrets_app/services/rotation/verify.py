"""Checking everything that is stored: does each KEK and each value open, is each row where it belongs?

Nothing is shown, kept or changed. What a value is bound to (vault, secret, path, version, type) is
proven by its opening; what stands beside it (see docs/threat-model.md) is not.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Max, Q, QuerySet

from secrets_app.crypto.kek import Kek
from secrets_app.errors import EnvelopeError, OpenError, UnknownRootKey
from secrets_app.fields import Sealed
from secrets_app.keys import keyring
from secrets_app.models import Secret, SecretVersion, Vault, VaultKey
from secrets_app.services.audit import FAILURE, SUCCESS, Actor, Resource, record
from secrets_app.services.rotation.batches import in_batches

_ROWS = 500


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was written. `kind`: vault, vault_key, secret or secret_version."""

    kind: str
    id: UUID
    vault_id: UUID
    problem: str


def count_checks(*, vault_id: UUID | None) -> int:
    """How many rows `check_everything` will look at."""
    scopes = (_vaults(vault_id), _keys(vault_id), _secrets(vault_id), _versions(vault_id))
    return sum(scope.count() for scope in scopes)


def check_everything(
    *,
    vault_id: UUID | None,
    actor: Actor,
    on_finding: Callable[[Finding], None],
    on_progress: Callable[[int], None],
) -> None:
    """Look at all rows of one vault or of all vaults; findings are told as they are made.

    May run while the service does: what looks wrong is looked at again before it is told. Leaves an
    event with the number of findings. Raises ProviderError when a provider cannot be asked, since
    nothing is known then.
    """
    count = 0
    for finding in _findings(vault_id, on_progress):
        count += 1
        on_finding(finding)
    with transaction.atomic():
        record(
            "vault.verify",
            FAILURE if count else SUCCESS,
            actor=actor,
            resource=Resource("vault", vault_id, vault_id),
            details={"findings": count},
        )


def _findings(vault_id: UUID | None, on_progress: Callable[[int], None]) -> Iterator[Finding]:
    yield from _check_vaults(vault_id, on_progress)
    unopened = set()
    for finding in _check_keys(vault_id, on_progress):
        unopened.add(finding.id)
        yield finding
    yield from _check_secrets(vault_id, on_progress)
    yield from _check_versions(vault_id, unopened, on_progress)


def _check_vaults(vault_id: UUID | None, on_progress: Callable[[int], None]) -> Iterator[Finding]:
    """Every vault that is not destroyed has one active key."""
    active = Count("keys", filter=Q(keys__state=VaultKey.State.ACTIVE))
    for vault in _vaults(vault_id).annotate(active=active).iterator():
        if vault.active != 1:
            yield Finding("vault", vault.pk, vault.pk, "has no active key")
        on_progress(1)


def _check_keys(vault_id: UUID | None, on_progress: Callable[[int], None]) -> Iterator[Finding]:
    for key in _pages(_keys(vault_id)):
        problem = _problem_of_key(key)
        if problem:
            key_now = _keys(vault_id).filter(pk=key.pk).first()
            problem = _problem_of_key(key_now) if key_now is not None else None
        if problem:
            yield Finding("vault_key", key.pk, key.vault_id, problem)
        on_progress(1)


def _problem_of_key(key: VaultKey) -> str | None:
    try:
        keyring().check(key.wrapped_key())
    except OpenError:
        return "does not open: it was edited, swapped or wrapped by another root key"
    except UnknownRootKey:
        return "is wrapped by a root key that is not configured"
    return None


def _check_secrets(vault_id: UUID | None, on_progress: Callable[[int], None]) -> Iterator[Finding]:
    """Versions are numbered from 1 without a gap, and the current one is the last."""
    for secret in _pages(_numbered(_secrets(vault_id))):
        problem = _problem_of_numbers(secret)
        if problem:
            secret_now = _numbered(_secrets(vault_id)).filter(pk=secret.pk).first()
            problem = _problem_of_numbers(secret_now) if secret_now is not None else None
        if problem:
            yield Finding("secret", secret.pk, secret.vault_id, problem)
        on_progress(1)


def _numbered(secrets: QuerySet[Secret]) -> QuerySet[Secret]:
    return secrets.annotate(last=Max("versions__number"), count=Count("versions"))


def _problem_of_numbers(secret: Any) -> str | None:
    last = secret.last or 0
    if secret.current_version != last:
        return f"points at version {secret.current_version}, its last is {last}"
    if secret.count != last:
        return f"lacks {last - secret.count} of its {last} versions"
    return None


def _check_versions(
    vault_id: UUID | None, unopened: set[UUID], on_progress: Callable[[int], None]
) -> Iterator[Finding]:
    keks: dict[UUID, Kek] = {}
    for batch in in_batches(_versions(vault_id)):
        rows = _rows(batch)
        suspects = [row.pk for row in rows if _problem_of_version(row, keks, unopened)]
        # A row that was moved or destroyed between two statements is not what it seemed.
        for row in _rows(suspects) if suspects else ():
            problem = _problem_of_version(row, keks, unopened)
            if problem:
                yield Finding("secret_version", row.pk, row.vault_id, problem)
        on_progress(len(batch))


def _rows(ids: list[UUID]) -> QuerySet[SecretVersion]:
    return (
        SecretVersion.objects.select_related("secret", "vault_key")
        .filter(pk__in=ids, destroyed_at__isnull=True)
        .order_by("pk")
    )


def _problem_of_version(
    version: SecretVersion, keks: dict[UUID, Kek], unopened: set[UUID]
) -> str | None:
    key = version.vault_key
    if version.vault_id != version.secret.vault_id or version.vault_id != key.vault_id:
        return "belongs to another vault than its secret or key"
    if key.state == VaultKey.State.DESTROYED:
        return "lies under a key that was destroyed"
    if key.pk in unopened:
        return f"lies under the vault key {key.pk}, which does not open"
    try:
        if not isinstance(version.value, Sealed):
            raise EnvelopeError
        _kek_of(key, keks).check(version.value.envelope, version.encryption_context())
    except EnvelopeError:
        return "is not an envelope"
    except OpenError:
        return "does not open: it was edited or swapped"
    return None


def _kek_of(key: VaultKey, keks: dict[UUID, Kek]) -> Kek:
    """Kept for the length of the run, so that a provider is asked once for each KEK."""
    if key.pk not in keks:
        if len(keks) >= _ROWS:
            keks.clear()
        keks[key.pk] = keyring().unwrapped(key.wrapped_key())
    return keks[key.pk]


def _pages(rows: QuerySet[Any]) -> Iterator[Any]:
    """Rows in the order of their ids, by short statements."""
    after = UUID(int=0)
    while page := list(rows.filter(pk__gt=after).order_by("pk")[:_ROWS]):
        yield from page
        after = page[-1].pk


def _vaults(vault_id: UUID | None) -> QuerySet[Vault]:
    living = Vault.objects.filter(destroyed_at__isnull=True)
    return living if vault_id is None else living.filter(pk=vault_id)


def _keys(vault_id: UUID | None) -> QuerySet[VaultKey]:
    living = VaultKey.objects.exclude(state=VaultKey.State.DESTROYED)
    return living if vault_id is None else living.filter(vault_id=vault_id)


def _secrets(vault_id: UUID | None) -> QuerySet[Secret]:
    """Of vaults that are not destroyed: what is left of those does not open, which is meant."""
    living = Secret.objects.filter(vault__destroyed_at__isnull=True)
    return living if vault_id is None else living.filter(vault_id=vault_id)


def _versions(vault_id: UUID | None) -> QuerySet[SecretVersion]:
    living = SecretVersion.objects.filter(
        destroyed_at__isnull=True, vault__destroyed_at__isnull=True
    )
    return living if vault_id is None else living.filter(vault_id=vault_id)
