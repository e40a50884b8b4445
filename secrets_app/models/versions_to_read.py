"""Bring the versions that are to be read, with what it takes to open and to show them, and no more."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db.models import BooleanField, CharField, F, Func, QuerySet, Subquery, UUIDField
from django.db.models.functions import Length

from secrets_app.models.secret import Secret, SecretVersion, versions_with_rows
from secrets_app.sql.any_of import ListSlot
from secrets_app.sql.compiled import CompiledQuery, Slot

# The columns of a version that can be of any size, and how many bytes of each come along before the caller
# is judged. It must not be able to tell sizes from the time that an answer takes.
OF_ANY_SIZE = ("value", "metadata", "rotation_policy")
_SMALL = 2048
REACHED = "reached_"
# Of a version and the rows beside it, what it takes to open and to show it. Each column costs a request
# two microseconds.
_OWN = tuple(
    field.name for field in SecretVersion._meta.concrete_fields if field.name not in OF_ANY_SIZE
)
_OF_OTHERS = (
    "secret__path",
    "secret__deleted_at",
    "secret__settings__custom_metadata",
    "vault_key__vault",
    "vault_key__version",
    "vault_key__state",
    "vault_key__root_key_id",
    "vault_key__wrapped",
    "created_by__kind",
)


def current_sizes(vault_id: UUID, paths: Collection[str]) -> list[dict[str, Any]]:
    """Of the versions to read at valid paths of a vault, those that are there: `pk`, `secret__path`,
    `max_access_count` and `size`, the length of the sealed value in bytes, None where it is destroyed."""
    found: list[dict[str, Any]] = _AT_PATHS.all(vault=vault_id, paths=paths) if paths else []
    return found


def versions_by_id(vault_id: UUID, ids: Collection[UUID]) -> list[SecretVersion]:
    """Versions of a vault with all that is needed to open and to show them."""
    found: list[SecretVersion] = _BY_IDS.all(vault=vault_id, ids=ids)
    return found


def _at_paths() -> list[QuerySet[Any, Any]]:
    vault_id = Slot("vault", UUIDField())
    named = Secret.objects.filter(vault_id=vault_id, path__any_of=ListSlot("paths", CharField()))
    # By ids and not by a join, so that no database begins with all versions of the vault.
    current = (
        SecretVersion.objects.filter(
            vault_id=vault_id,
            secret_id__in=Subquery(named.values("pk")),
            number=F("secret__current_version"),
        )
        .annotate(size=Length("value"))
        .values("pk", "secret__path", "max_access_count", "size")
    )
    return [current]


def _by_ids() -> list[QuerySet[Any, Any]]:
    rows = versions_with_rows(Slot("vault", UUIDField())).only(*_OWN, *OF_ANY_SIZE, *_OF_OTHERS)
    return [rows.filter(pk__any_of=ListSlot("ids", UUIDField()))]


_AT_PATHS = CompiledQuery(_at_paths)
_BY_IDS = CompiledQuery(_by_ids)


class _WithinReach(Func):
    """Whether the columns of any size are all small; or one of them where they are, NULL where not.

    No database has to fetch a column of bytes to tell its size.
    """

    def __init__(self, *columns: Any, shown: str | None = None, **extra: Any) -> None:
        field: Any = SecretVersion._meta.get_field(shown) if shown else BooleanField()
        super().__init__(*(columns or map(F, OF_ANY_SIZE)), output_field=field, **extra)
        self._shown = shown

    def as_sql(self, compiler: Any, connection: Any, *_: Any, **__: Any) -> Any:
        columns = [compiler.compile(each)[0] for each in self.source_expressions]
        # Of a text that is characters on SQLite, whose older releases know no other size.
        size = "OCTET_LENGTH" if connection.vendor == "postgresql" else "LENGTH"
        small = " AND ".join(f"COALESCE({size}({c}), 0) <= {_SMALL}" for c in columns)
        if self._shown is None:
            return f"({small})", []
        return f"CASE WHEN {small} THEN {columns[OF_ANY_SIZE.index(self._shown)]} END", []


def versions_within_reach() -> QuerySet[SecretVersion]:
    """Return all versions, with the columns of any size where they are small: as `REACHED` and the name.

    `is_whole` tells whether they all are.
    """
    reached = {REACHED + name: _WithinReach(shown=name) for name in OF_ANY_SIZE}
    rows = SecretVersion.objects.select_related("secret__settings", "vault_key", "created_by")
    return rows.only(*_OWN, *_OF_OTHERS).annotate(**reached, is_whole=_WithinReach())
