"""Count secrets by state, for metrics."""

from django.db import connections, transaction
from django.db.models import Case, Count, F, Q, Value, When
from django.utils import timezone

from secrets_app.models import SecretVersion

STATES = ("available", "deleted", "destroyed", "disabled", "expired", "used_up")


def count_secrets_by_state(*, within_ms: int) -> dict[str, int]:
    """Count secrets by the state of their current version, as a reader would see it.

    Looks at every secret. Raises django.db.DatabaseError, on PostgreSQL also when it takes longer than
    `within_ms` milliseconds.
    """
    state = Case(
        When(secret__deleted_at__isnull=False, then=Value("deleted")),
        When(destroyed_at__isnull=False, then=Value("destroyed")),
        When(disabled_at__isnull=False, then=Value("disabled")),
        When(expires_at__lte=timezone.now(), then=Value("expired")),
        When(Q(access_count__gte=F("max_access_count")), then=Value("used_up")),
        default=Value("available"),
    )
    current = SecretVersion.objects.filter(
        vault_id=F("secret__vault_id"), number=F("secret__current_version")
    )
    alias = current.db
    with transaction.atomic(using=alias):
        if connections[alias].vendor == "postgresql":
            with connections[alias].cursor() as cursor:
                cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(within_ms)])
        counted = current.values_list(state).annotate(Count("pk")).order_by()
        return dict.fromkeys(STATES, 0) | dict(counted)
