"""Lists of secrets and versions: what the caller may read, no values, a page at a time."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import F, QuerySet
from django.utils import timezone

from secrets_app.errors import NotFound
from secrets_app.models import Secret, SecretVersion
from secrets_app.models.secret import id_at
from secrets_app.policy.decision import Permission
from secrets_app.policy.scope import PathRange, Scope, Sieve
from secrets_app.services.access.authorization import scope_for
from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.caller import Caller
from secrets_app.services.secrets.cursors import Cursors
from secrets_app.services.secrets.lookup import NO_SECRET
from secrets_app.services.transactions.audited import audited_transaction

DEFAULT_LIMIT, MAX_LIMIT = 100, 1000
# A page ends early, with a cursor, when filters left so many rows out. Rows that the caller may not see
# do not count: what a page shows must not depend on them.
_MOST_ROWS = 4 * MAX_LIMIT
_MOST_RANGES = 64

Place = tuple[UUID, str]  # of a secret: its id and path


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """`prefix` is the start of a path; `cursor` the one of the page before."""

    prefix: str = ""
    cursor: str | None = None
    limit: int = DEFAULT_LIMIT
    type: str | None = None
    tag: str | None = None
    expires_before: datetime | None = None

    def question(self) -> bytes:
        """Return what a cursor is bound to: all that decides which rows follow. A page's size is not."""
        ends = self.expires_before and self.expires_before.timestamp()
        return json.dumps([self.prefix, self.type, self.tag, ends]).encode()

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
    """`cursor` leads to the next page, None at the end of the list. `looked_at` counts rows."""

    versions: list[SecretVersion]
    cursor: str | None
    looked_at: int


def list_secrets(*, caller: Caller, vault_id: UUID, wanted: ListQuery) -> Page:
    """List the latest version of each living path that the caller may read, in the order of paths.

    Policies decide where in the vault to look and then about each path. What the caller receives follows
    from the rows that it may see, and from no other. A page may be shorter than asked for, even empty,
    before the end, where filters left many rows out.
    Raises InvalidInput for a cursor that is not one of this list and caller; NotFound for the vault.
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
    """List the versions of a living secret, newest first, below number `before`; no values.

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
    now = timezone.now()
    scope = scope_for(caller=caller, vault_id=vault_id, permission=Permission.LIST)
    cursors = Cursors(
        principal_id=caller.id, vault_id=vault_id, question=wanted.question(), now=now
    )
    after = "" if wanted.cursor is None else cursors.open(wanted.cursor)
    walk = _Walk(vault_id, scope, wanted.prefix, after)
    found: list[SecretVersion] = []
    seen = 0
    for chunk in walk.visible(wanted.limit + 1):
        # Every end of a page lies at a row that the caller may see.
        visible = chunk[: _MOST_ROWS - seen]
        seen += len(visible)
        current = _current(vault_id, [secret_id for secret_id, _ in visible])
        found += [version for version in current if wanted.fits(version)]
        if len(found) > wanted.limit:
            # There is one more that the caller may see: so the page may say that it goes on.
            page = found[: wanted.limit]
            return Page(page, cursors.seal(page[-1].secret.path), walk.looked_at)
        if seen == _MOST_ROWS:
            return Page(found, cursors.seal(visible[-1][1]), walk.looked_at)
    return Page(found, None, walk.looked_at)


class _Walk:
    """A walk through the living secrets of a vault that a scope covers, in the order of paths."""

    def __init__(self, vault_id: UUID, scope: Scope, prefix: str, after: str) -> None:
        self._living = Secret.objects.filter(vault_id=vault_id, deleted_at__isnull=True)
        self._scope = scope
        self._ranges = scope.ranges(prefix)
        self._after = after
        self.looked_at = 0

    def visible(self, size: int) -> Iterator[list[Place]]:
        """Ids and paths, in chunks of `size` at first.

        Takes one range at first and then twice as many each time, so that neither a full range nor
        many empty ones cost much. Chunks grow likewise. Once a chunk held hidden rows, the database
        leaves out what it can.
        """
        position, together = 0, 1
        is_sieved = False
        while position < len(self._ranges):
            group = [r for r in self._ranges[position : position + together] if r.end > self._after]
            chunk = _first_of(self._living, group, self._after, size) if group else []
            visible = [place for place in chunk if self._scope.covers(place[1])]
            self.looked_at += len(chunk)
            if chunk:
                self._after = chunk[-1][1]
            if visible:
                yield visible
            if len(chunk) < size:
                position += together
                together = min(together * 2, _MOST_RANGES)
            else:
                size = min(size * 2, _MOST_ROWS)
            if len(visible) < len(chunk) and not is_sieved:
                self._living = _sieved(self._living, self._scope.sieve())
                is_sieved = True


def _sieved(living: QuerySet[Secret], sieve: Sieve) -> QuerySet[Secret]:
    if sieve.keep is not None:
        living = living.filter(path__regex=sieve.keep)
    return living if sieve.drop is None else living.exclude(path__regex=sieve.drop)


def _first_of(
    living: QuerySet[Secret], group: Sequence[PathRange], after: str, size: int
) -> list[Place]:
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
    rows: list[Place] = []
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
