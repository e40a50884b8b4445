"""Lists of secrets and versions: what the caller may read, no values, a page at a time."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import F, QuerySet
from django.utils import timezone

from secrets_app.errors import InvalidInput, NotFound
from secrets_app.models import Secret, SecretVersion
from secrets_app.policy.decision import Permission
from secrets_app.policy.scope import scope_of
from secrets_app.services.access import Caller, vault_of
from secrets_app.services.attempt import attempt
from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.lookup import NO_SECRET

DEFAULT_LIMIT, MAX_LIMIT = 100, 1000
# A page looks at no more rows than this many times its limit; then it ends early, with a cursor.
_ROWS_PER_ITEM = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
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
    """`after` is the secret at which this page ends, None at the end of the list. It need not be one
    that the caller may read, so it is an id: that tells no path. `looked_at` counts rows."""

    versions: list[SecretVersion]
    after: UUID | None
    looked_at: int


def list_secrets(*, caller: Caller, vault_id: UUID, wanted: Wanted) -> Page:
    """The latest version of each living path that the caller may read, in the order of paths.

    Policies decide where in the vault to look and then about each path, so the cost of a page does
    not grow with the vault. A page may be shorter than asked for, even empty, before the end.
    """
    with attempt("secret.list", caller=caller, vault_id=vault_id):
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
    with attempt("secret.versions", caller=caller, vault_id=vault_id, path=path):
        rows = _listed(vault_id).filter(secret__path=path)
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


def _page(caller: Caller, vault_id: UUID, wanted: Wanted) -> Page:
    vault = vault_of(caller, vault_id)
    scope = scope_of(
        is_owner=vault.is_owner,
        rules=vault.rules,
        permission=Permission.LIST,
        address=caller.actor.address,
        now=timezone.now(),
    )
    current = _listed(vault_id).filter(number=F("secret__current_version"))
    found: list[SecretVersion] = []
    looked_at, budget = 0, wanted.limit * _ROWS_PER_ITEM
    last: SecretVersion | None = None
    after = "" if wanted.after is None else _path_of(vault_id, wanted.after)
    for each in scope.ranges(wanted.prefix):
        more = after < each.end
        while more:
            rows = current.filter(
                secret__path__gte=each.first, secret__path__gt=after, secret__path__lt=each.end
            )
            chunk = list(rows.order_by("secret__path")[: wanted.limit + 1])
            for version in chunk:
                if last is not None and (len(found) == wanted.limit or looked_at == budget):
                    return Page(found, last.secret_id, looked_at)
                looked_at += 1
                last, after = version, version.secret.path
                if scope.covers(after) and wanted.fits(version):
                    found.append(version)
            more = len(chunk) > wanted.limit
    return Page(found, None, looked_at)


def _path_of(vault_id: UUID, secret_id: UUID) -> str:
    """Raises InvalidInput when the secret is not there any more."""
    path = Secret.objects.filter(vault_id=vault_id, pk=secret_id).values_list("path", flat=True)
    if not path:
        raise InvalidInput({"cursor": ["This cursor is not valid any more; start anew."]})
    return path[0]
