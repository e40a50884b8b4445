"""Checking everything that is stored: does each KEK and each value open, is each row where it belongs?

Nothing is shown, kept or changed. What a value is bound to (vault, secret, path, version, type) is
proven by its opening. That nothing newer was there is vouched for by the audit log, as far back as it
goes. What else stands beside a value (see docs/threat-model.md) is not looked at.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet

from secrets_app.crypto.kek import Kek
from secrets_app.errors import EnvelopeError, OpenError, UnknownRootKey
from secrets_app.fields import Sealed
from secrets_app.keys import keyring
from secrets_app.models import Secret, SecretVersion, Vault, VaultKey
from secrets_app.models.vault import is_destroyed
from secrets_app.services.audit import FAILURE, SUCCESS, Resource, record
from secrets_app.services.audit.witness import claims_of_writes, count_writes
from secrets_app.services.caller import Actor
from secrets_app.services.keys.batches import in_batches
from secrets_app.services.sealing.audit_keys import opened_audit_keys
from secrets_app.sql.damaged_rows import UNREADABLE, read_each

_ROWS = 500

_OF_SECRET = ("secret__vault_id", "secret__path")
_OF_KEY = tuple(
    f"vault_key__{column}" for column in ("vault_id", "version", "state", "root_key_id", "wrapped")
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was written. `kind`: vault, vault_key, secret or secret_version."""

    kind: str
    id: UUID
    vault_id: UUID
    problem: str


def count_checks(*, vault_id: UUID | None) -> int:
    """Count the rows that `check_everything` will look at."""
    scopes = (_vaults(vault_id), _keys(vault_id), _secrets(vault_id), _versions(vault_id))
    return sum(scope.count() for scope in scopes) + count_writes(vault_id=vault_id)


def check_everything(
    *,
    vault_id: UUID | None,
    on_finding: Callable[[Finding], None],
    on_progress: Callable[[int], None],
) -> None:
    """Look at all rows of one vault or of all vaults; findings are told as they are made.

    May run while the service does: what looks wrong is looked at again before it is told. Raises
    ProviderError when a provider cannot be asked, since nothing is known then.
    """
    for finding in _findings(vault_id, on_progress):
        on_finding(finding)


def note_check(*, vault_id: UUID | None, findings: int, actor: Actor) -> None:
    """Leave the event of a check. Apart, since its findings are most needed when the root key is not there,
    without which no event can be written. Raises CryptoError then."""
    with transaction.atomic():
        record(
            "vault.verify",
            FAILURE if findings else SUCCESS,
            actor=actor,
            resource=Resource("vault", vault_id, vault_id),
            details={"findings": findings},
        )


def _findings(vault_id: UUID | None, on_progress: Callable[[int], None]) -> Iterator[Finding]:
    yield from _check_vaults(vault_id, on_progress)
    unopened = set()
    for finding in _check_keys(vault_id, on_progress):
        unopened.add(finding.id)
        yield finding
    misnumbered = set()
    for finding in _check_secrets(vault_id, on_progress):
        misnumbered.add(finding.id)
        yield finding
    yield from _check_versions(vault_id, unopened, on_progress)
    # Last, since it may need the audit key, and what was found is to be told without it.
    yield from _check_against_log(vault_id, misnumbered, on_progress)


def _check_vaults(vault_id: UUID | None, on_progress: Callable[[int], None]) -> Iterator[Finding]:
    """Every vault that is not destroyed has one active key, and says so."""
    active = Count("keys", filter=Q(keys__state=VaultKey.State.ACTIVE))
    left = Count("keys", filter=~Q(keys__state=VaultKey.State.DESTROYED, keys__wrapped=b""))
    vaults = _vaults(vault_id).only("deleted_at", "destroyed_at")
    for vault in vaults.annotate(active=active, left=left).iterator():
        problem = _problem_of_vault(vault)
        if problem:
            yield Finding("vault", vault.pk, vault.pk, problem)
        on_progress(1)


def _problem_of_vault(vault: Any) -> str | None:
    if vault.destroyed_at is not None and vault.left:
        return "is marked as destroyed, but has keys that are not"
    if vault.destroyed_at is not None and vault.deleted_at is None:
        return "is marked as destroyed, but not as deleted"
    return None if vault.active == 1 else "has no active key"


def _check_keys(vault_id: UUID | None, on_progress: Callable[[int], None]) -> Iterator[Finding]:
    columns = ("vault_id", "version", "state", "root_key_id", "wrapped")
    for key in _pages(_keys(vault_id).only(*columns)):
        problem = _problem_of_key(key)
        if problem:
            key_now = _keys(vault_id).filter(pk=key.pk).first()
            problem = _problem_of_key(key_now) if key_now is not None else None
        if problem:
            yield Finding("vault_key", key.pk, key.vault_id, problem)
        on_progress(1)


def _problem_of_key(key: VaultKey) -> str | None:
    if key.state == VaultKey.State.DESTROYED:
        return "is marked as destroyed, but is still there"
    try:
        keyring().check(key.wrapped_key())
    except (OpenError, *UNREADABLE):
        return "does not open: it was edited, swapped or wrapped by another root key"
    except UnknownRootKey:
        return "is wrapped by a root key that is not configured"
    return None


def _check_secrets(vault_id: UUID | None, on_progress: Callable[[int], None]) -> Iterator[Finding]:
    """Versions are numbered from 1 without a gap, the current one is the last, and there is a vault."""
    for secret in _pages(_numbered(_secrets(vault_id))):
        problem = _problem_of_numbers(secret)
        if problem:
            secret_now = _numbered(_secrets(vault_id)).filter(pk=secret.pk).first()
            problem = _problem_of_numbers(secret_now) if secret_now is not None else None
        if problem:
            yield Finding("secret", secret.pk, secret.vault_id, problem)
        on_progress(1)


def _numbered(secrets: QuerySet[Secret]) -> QuerySet[Secret]:
    has_vault = Exists(Vault.objects.filter(pk=OuterRef("vault_id")))
    return secrets.only("vault_id", "current_version").annotate(
        last=Max("versions__number"), count=Count("versions"), has_vault=has_vault
    )


def _problem_of_numbers(secret: Any) -> str | None:
    if not secret.has_vault:
        return "belongs to a vault that is not there"
    last = secret.last or 0
    if secret.current_version != last:
        return f"points at version {secret.current_version}, its last is {last}"
    if secret.count != last:
        return f"lacks {last - secret.count} of its {last} versions"
    return None


def _check_against_log(
    vault_id: UUID | None, misnumbered: set[UUID], on_progress: Callable[[int], None]
) -> Iterator[Finding]:
    """No secret points at an older version than the log has a write of. `misnumbered` were told of."""
    told = set(misnumbered)
    keys = None
    for claims, events in claims_of_writes(vault_id=vault_id):
        # Read after its events, which were committed together: an honest number is as high as theirs.
        ids = list({claim.secret_id for claim in claims})
        secrets = {row.pk: row for row in _secrets(vault_id).filter(pk__any_of=ids)} if ids else {}
        for claim in sorted(claims, key=lambda each: each.version, reverse=True):
            secret = secrets.get(claim.secret_id)
            if secret is None or secret.pk in told or claim.version <= secret.current_version:
                continue
            keys = keys or opened_audit_keys()[0]
            if claim.is_genuine(keys):
                told.add(secret.pk)
                problem = (
                    f"points at version {secret.current_version},"
                    f" but the audit log has a write of version {claim.version}"
                )
                yield Finding("secret", secret.pk, secret.vault_id, problem)
        on_progress(events)


def _check_versions(
    vault_id: UUID | None, unopened: set[UUID], on_progress: Callable[[int], None]
) -> Iterator[Finding]:
    keks: dict[UUID, Kek] = {}
    for batch in in_batches(_versions(vault_id)):
        good = _good_versions(batch, keks, unopened)
        # A row that was moved or destroyed between two statements is not what it seemed.
        suspects = [pk for pk in batch if pk not in good]
        if suspects:
            yield from _findings_of(suspects, keks, unopened)
        on_progress(len(batch))


def _good_versions(ids: list[UUID], keks: dict[UUID, Kek], unopened: set[UUID]) -> set[UUID]:
    looked_at, _ = _look_at(ids, keks, unopened)
    return {pk for pk, problem in looked_at.items() if problem is None}


def _findings_of(ids: list[UUID], keks: dict[UUID, Kek], unopened: set[UUID]) -> Iterator[Finding]:
    looked_at, damaged = _look_at(ids, keks, unopened)
    still_there = SecretVersion.objects.filter(pk__in=ids, destroyed_at__isnull=True)
    for pk, vault_id in still_there.order_by("pk").values_list("pk", "vault_id"):
        if str(pk) in damaged:
            problem: str | None = "cannot be read: it was edited"
        else:
            problem = looked_at.get(pk, "has a secret or a vault key that is not there")
        if problem:
            yield Finding("secret_version", pk, vault_id, problem)


def _look_at(
    ids: list[UUID], keks: dict[UUID, Kek], unopened: set[UUID]
) -> tuple[dict[UUID, str | None], set[str]]:
    """What is wrong with each, and which cannot be read. What refers to nothing is in neither."""
    # Only what the value is bound to.
    rows = (
        SecretVersion.objects.select_related("secret", "vault_key")
        .only("vault_id", "number", "type", "value", *_OF_SECRET, *_OF_KEY)
        .filter(pk__in=ids, destroyed_at__isnull=True)
        .order_by("pk")
    )
    read, damaged = read_each(
        rows, lambda row: _problem_of_version(row, keks, unopened), most=len(ids)
    )
    return {row.pk: problem for row, problem in read}, set(damaged)


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
    except (OpenError, *UNREADABLE):
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
    living = Vault.objects.filter(~is_destroyed())
    return living if vault_id is None else living.filter(pk=vault_id)


def _keys(vault_id: UUID | None) -> QuerySet[VaultKey]:
    living = VaultKey.objects.exclude(state=VaultKey.State.DESTROYED, wrapped=b"")
    return living if vault_id is None else living.filter(vault_id=vault_id)


def _secrets(vault_id: UUID | None) -> QuerySet[Secret]:
    """Of vaults that are not destroyed: what is left of those does not open, which is meant."""
    living = Secret.objects.exclude(vault_id__in=_destroyed_vaults())
    return living if vault_id is None else living.filter(vault_id=vault_id)


def _versions(vault_id: UUID | None) -> QuerySet[SecretVersion]:
    living = SecretVersion.objects.filter(destroyed_at__isnull=True)
    living = living.exclude(vault_id__in=_destroyed_vaults())
    return living if vault_id is None else living.filter(vault_id=vault_id)


def _destroyed_vaults() -> QuerySet[Vault, Any]:
    """Excluded rather than joined: rows of a vault that is not there at all are to be seen."""
    return Vault.objects.filter(is_destroyed()).values_list("pk", flat=True)
