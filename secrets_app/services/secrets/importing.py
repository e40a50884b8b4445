"""Import secrets as an operator for a person who may write them: all or nothing."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from secrets_app.crypto.plaintext import Plaintext
from secrets_app.errors import Conflict, Forbidden, InconsistentVault
from secrets_app.models import Principal, Secret, Vault
from secrets_app.models.rules import parse_rules, rules_in
from secrets_app.models.vault import is_consistent
from secrets_app.policy.decision import Permission
from secrets_app.policy.scope import scope_of
from secrets_app.services.audit import DENIED, OPERATOR, SUCCESS, Event, Resource, record_all
from secrets_app.services.sealing.vault_keys import active_vault_key
from secrets_app.services.secrets.batch_write import add_versions
from secrets_app.services.secrets.write import NewVersion, create_missing, lock_or_create
from secrets_app.services.transactions.retry import retried

_BATCH_SIZE = 200


class OnConflict(StrEnum):
    """What to do where a path has a secret already. A deleted secret is always revived."""

    FAIL = "fail"
    SKIP = "skip"
    NEW_VERSION = "new-version"


@dataclass(frozen=True, slots=True)
class Plan:
    """The paths, by what happens to them."""

    created: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()


def plan_import(*, vault: Vault, paths: Iterable[str], on_conflict: OnConflict) -> Plan:
    """Work out what an import would do. Changes nothing."""
    wanted = sorted(paths)
    taken: set[str] = set()
    for some in _batches(wanted):
        living = _rows(vault, some).filter(deleted_at__isnull=True, current_version__gt=0)
        taken |= set(living.values_list("path", flat=True))
    created = tuple(path for path in wanted if path not in taken)
    existing = tuple(sorted(taken))
    if on_conflict is OnConflict.SKIP:
        return Plan(created, skipped=existing)
    if on_conflict is OnConflict.NEW_VERSION:
        return Plan(created, updated=existing)
    return Plan(created, conflicts=existing)


@retried
def import_secrets(
    *,
    vault: Vault,
    principal: Principal,
    values: Mapping[str, Plaintext],
    secret_type: str,
    on_conflict: OnConflict,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Plan:
    """Store a version at each path in the name of `principal`, in one transaction. Returns what was
    done.

    The principal must own the vault or have policies that allow it to write at every path. Raises
    Forbidden, Conflict, InconsistentVault, OpenError, ProviderError; nothing is stored then.
    """
    authorize_import(principal, vault, list(values))
    vault_key = active_vault_key(vault_id=vault.pk)
    paths = sorted(values)
    created: list[str] = []
    updated: list[str] = []
    skipped: list[str] = []
    with transaction.atomic():
        # Every writer first makes all missing rows and then locks all rows, both in the order of
        # paths. So no two writers wait for each other.
        for some in _batches(paths):
            create_missing(_rows(vault, some), vault.pk, some)
        for some in _batches(paths):
            secrets = lock_or_create(vault.pk, some)
            taken = {path for path in some if _is_there(secrets[path])}
            if taken and on_conflict is OnConflict.FAIL:
                raise Conflict("A path has a secret by now.")
            if on_conflict is OnConflict.SKIP:
                skipped += sorted(taken)
                secrets = {path: secrets[path] for path in some if path not in taken}
            new = {path: NewVersion(type=secret_type, value=values[path]) for path in secrets}
            versions = add_versions(secrets, new, vault_key=vault_key, created_by_id=principal.pk)
            record_all(
                (
                    Event(
                        "secret.write",
                        SUCCESS,
                        Resource("secret", version.secret_id, vault.pk),
                        _details(version.secret.path, principal)
                        | {"version": version.number, "type": version.type},
                    )
                    for version in versions
                ),
                actor=OPERATOR,
            )
            created += (path for path in secrets if path not in taken)
            updated += (path for path in secrets if path in taken)
            on_progress(len(some))
        counts = {"created": len(created), "updated": len(updated), "skipped": len(skipped)}
        summary = Event(
            "secret.import",
            SUCCESS,
            Resource("vault", vault.pk, vault.pk),
            {"for": str(principal.pk)} | counts,
        )
        record_all([summary], actor=OPERATOR)
    return Plan(tuple(created), tuple(updated), tuple(skipped))


def authorize_import(principal: Principal, vault: Vault, paths: list[str]) -> None:
    """Let pass who may write at every path of a vault whose marks fit its keys.

    Raises Forbidden, with an event for each path denied, and InconsistentVault.
    """
    if not Vault.objects.filter(is_consistent(), pk=vault.pk).exists():
        raise InconsistentVault
    may_write = _write_check(principal, vault)
    denied = [path for path in paths if not may_write(path)]
    if not denied:
        return
    resource = Resource("secret", None, vault.pk)
    with transaction.atomic():
        record_all(
            (Event("secret.write", DENIED, resource, _details(path, principal)) for path in denied),
            actor=OPERATOR,
        )
    raise Forbidden(
        f"This person may not write at {len(denied)} of the {len(paths)} paths, or is not active."
    )


def _write_check(principal: Principal, vault: Vault) -> Callable[[str], bool]:
    row = (
        Principal.objects.filter(pk=principal.pk, is_active=True)
        .annotate(rules=rules_in(vault.pk), user_is_active=F("user__is_active"))
        .first()
    )
    if row is None or row.user_is_active is False:
        return lambda _: False
    return scope_of(
        is_owner=vault.owner_id == principal.pk,
        rules=parse_rules(row.rules),
        permission=Permission.WRITE,
        address=None,
        now=timezone.now(),
    ).covers


def _details(path: str, principal: Principal) -> dict[str, Any]:
    return {"path": path, "for": str(principal.pk)}


def _batches(paths: list[str]) -> Iterator[list[str]]:
    for first in range(0, len(paths), _BATCH_SIZE):
        yield paths[first : first + _BATCH_SIZE]


def _rows(vault: Vault, paths: list[str]) -> QuerySet[Secret]:
    return Secret.objects.filter(vault_id=vault.pk, path__any_of=paths)


def _is_there(secret: Secret) -> bool:
    return secret.current_version > 0 and secret.deleted_at is None
