"""Walk through all versions of a vault, or of everything, in bounded memory and by short statements."""

from collections.abc import Iterator
from uuid import UUID

from django.db.models import F, Func, IntegerField, QuerySet

from secrets_app.models import SecretVersion

_ROWS = 200
_BYTES = 8 * 1024 * 1024


def in_batches(versions: QuerySet[SecretVersion]) -> Iterator[list[UUID]]:
    """Yield ids in order, in batches of at most 200 rows and about 8 MiB of values.

    Each batch is found by a statement of its own, so no transaction stays open in between. Rows added
    meanwhile are found too, since ids rise with time.
    """
    size = Func(F("value"), function="LENGTH", output_field=IntegerField())
    after = UUID(int=0)
    while True:
        rows = list(
            versions.filter(pk__gt=after)
            .order_by("pk")
            .annotate(size=size)
            .values_list("pk", "size")[:_ROWS]
        )
        if not rows:
            return
        batch: list[UUID] = []
        size_bytes = 0
        for pk, length in rows:
            size_bytes += length or 0
            if batch and size_bytes > _BYTES:
                break
            batch.append(pk)
        yield batch
        after = batch[-1]
