"""Lists of secrets and versions: what the caller may read, no values, a page at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import F, QuerySet
from django.utils import timezone

from secrets_app.errors import InvalidInput, NotFound
from secrets_app.models import Secret, SecretVersion
from secrets_app.models.secret import id_at
from secrets_app.policy.decision import Permission
from secrets_app.policy.scope import PathRange, scope_of
from secrets_app.services.access.authorization import vault_of
from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.caller import Caller
from secrets_app.services.secrets.lookup import NO_SECRET
from secrets_app.services.transactions.audited import audited_transaction

DEFAULT_LIMIT, MAX_LIMIT = 100, 1000
# A page looks at about this many rows at most, a few of the largest pages; then it ends early, with a
# cursor. The number is fixed: if it followed the limit, a small one would tell how many are hidden.
_MOST_ROWS = 4 * MAX_LIMIT
_MOST_RANGES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """`prefix` is the start of a path; `after` the id of the secret the last page ended at."""

    prefix: str = ""
    after: UUID | None = None
    limit: int = DEFAULT_LIMIT
    type: str | None = None
    tag: str | None = None
    expires_before: datetime | None = None

    def fits(self, version: SecretVersion) -> bool:
        if self.type is not None and version.type != self.type:
            return False
        if self.expires_before is not None and (
            version.expires_at is None or version.expires_at >= self.expires_before
        ):
            return False
        if self.tag is not None:
            tags = (version.metadata or {}).get("tags")
            return isinstance(tags, list) and self.tag in tags
        return True


@dataclass(frozen=True, slots=True)
class Page:
    """`after` is the secret at which this page ends, None at the end of the list: the last one shown,
    or, when a page ends early, the last one looked at. `looked_at` counts rows."""

    versions: list[SecretVersion]
    after: UUID | None
    looked_at: int


def list_secrets(*, caller: Caller, vault_id: UUID, wanted: ListQuery) -> Page:
    """The latest version of each living path that the caller may read, in the order of paths.

    Policies decide where in the vault to look and then about each path, so the cost of a page does
    not grow with the vault. A page may be shorter than asked for, even empty, before the end.
    """
    with audited_transaction("secret.list", caller=caller, vault_id=vault_id):
        page = _page(caller, vault_id, wanted)
        record(
            "secret.list",
            SUCCESS,
            actor=caller.actor,
            resource=Resource("vault", vault_id, vault_id),
            details={"prefix": wanted.prefix, "count": len(page.versions)},
        )
    return page


def list_versions(
    *, caller: Caller, vault_id: UUID, path: str, before: int | None, limit: int
) -> list[SecretVersion]:
    """Versions of a living secret, newest first, below number `before`; no values.

    Raises NotFound.
    """
    with audited_transaction("secret.versions", caller=caller, vault_id=vault_id, path=path):
        rows = _listed(vault_id).filter(secret=id_at(vault_id, path))
        if before is not None:
            rows = rows.filter(number__lt=before)
        versions = list(rows.order_by("-number")[:limit])
        if not versions and before is None:
            raise NotFound(NO_SECRET)
        record(
            "secret.versions",
            SUCCESS,
            actor=caller.actor,
            resource=Resource("secret", versions[0].secret_id if versions else None, vault_id),
            details={"path": path, "count": len(versions)},
        )
    return versions


def _listed(vault_id: UUID) -> QuerySet[SecretVersion]:
    """Versions of living secrets, ciphertext left in the database."""
    return (
        SecretVersion.objects.select_related("secret")
        .defer("value")
        .filter(vault_id=vault_id, secret__vault_id=vault_id, secret__deleted_at__isnull=True)
    )


def _page(caller: Caller, vault_id: UUID, wanted: ListQuery) -> Page:
    vault = vault_of(caller, vault_id)
    scope = scope_of(
        is_owner=vault.is_owner,
        rules=vault.rules,
        permission=Permission.LIST,
        address=caller.actor.address,
        now=timezone.now(),
    )
    after = "" if wanted.after is None else _path_of(vault_id, wanted.after, wanted.prefix)
    found: list[SecretVersion] = []
    looked_at, last = 0, None
    for chunk in _walk(vault_id, scope.ranges(wanted.prefix), after, wanted.limit + 1):
        readable = [secret_id for secret_id, path in chunk if scope.covers(path)]
        found += [v for v in _current(vault_id, readable) if wanted.fits(v)]
        looked_at, last = looked_at + len(chunk), chunk[-1][0]
        if len(found) > wanted.limit:
            # There is one more that the caller may see: so the page may say that it goes on.
            page = found[: wanted.limit]
            return Page(page, page[-1].secret_id, looked_at)
        if looked_at >= _MOST_ROWS:
            return Page(found, last, looked_at)
    return Page(found, None, looked_at)


def _walk(
    vault_id: UUID, ranges: Sequence[PathRange], after: str, size: int
) -> Iterator[list[tuple[UUID, str]]]:
    """Ids and paths of living secrets in the ranges, in order, in chunks of about `size`.

    Takes one range at first and then twice as many each time, so that neither a full range nor
    many empty ones cost much. Each range gives `size` rows at most.
    """
    living = Secret.objects.filter(vault_id=vault_id, deleted_at__isnull=True)
    position, together = 0, 1
    while position < len(ranges):
        group = [each for each in ranges[position : position + together] if each.end > after]
        chunk = _first_of(living, group, after, size) if group else []
        if chunk:
            after = chunk[-1][1]
            yield chunk
        if len(chunk) < size:
            position += together
            together = min(together * 2, _MOST_RANGES)


def _first_of(
    living: QuerySet[Secret], group: Sequence[PathRange], after: str, size: int
) -> list[tuple[UUID, str]]:
    """The first `size` in a group of ranges: in one statement where the database can, otherwise
    (SQLite, where a statement is no round trip) range by range."""
    arms = [
        living.filter(path__gte=each.first, path__gt=after, path__lt=each.end)
        .order_by("path")
        .values_list("pk", "path")[:size]
        for each in group
    ]
    if len(arms) > 1 and connection.features.supports_slicing_ordering_in_compound:
        return list(arms[0].union(*arms[1:], all=True).order_by("path")[:size])
    rows: list[tuple[UUID, str]] = []
    for arm in arms:
        rows += arm
        if len(rows) >= size:
            break
    return rows[:size]


def _current(vault_id: UUID, secret_ids: Sequence[UUID]) -> list[SecretVersion]:
    if not secret_ids:
        return []
    current = current_of(vault_id, secret_ids)
    place = {secret_id: number for number, secret_id in enumerate(secret_ids)}
    return sorted(current, key=lambda version: place[version.secret_id])


def current_of(vault_id: UUID, secret_ids: Sequence[UUID]) -> QuerySet[SecretVersion]:
    """In no order: asked for the order of paths, SQLite would walk through all secrets of the vault."""
    return _listed(vault_id).filter(secret_id__in=secret_ids, number=F("secret__current_version"))


def _path_of(vault_id: UUID, secret_id: UUID, prefix: str) -> str:
    """Raises InvalidInput when the cursor is not one of this list, or its secret is gone."""
    path = Secret.objects.filter(vault_id=vault_id, pk=secret_id).values_list("path", flat=True)
    if not path or not path[0].startswith(prefix):
        raise InvalidInput({"cursor": ["This cursor is not valid here (any more); start anew."]})
    return path[0]
