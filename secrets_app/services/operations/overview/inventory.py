"""List what is stored: secrets that expire soon, secrets that nobody reads, keys by age."""

from datetime import datetime, timedelta
from itertools import pairwise

from django.db.models import F, Model, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from secrets_app.models import ApiKey, AuditEvent, Secret, SecretVersion, VaultKey
from secrets_app.models.ids import first_uuid7
from secrets_app.services.operations.overview.activity import READS

# `oldest_unread` looks only at as many of the oldest secrets.
LOOKED_AT = 5_000


def current_version_of_secret() -> QuerySet[SecretVersion]:
    """Return the current version of a secret, as a subquery for a queryset of secrets."""
    return SecretVersion.objects.filter(
        vault_id=OuterRef("vault_id"), secret_id=OuterRef("pk"), number=OuterRef("current_version")
    )


def expiring(*, after: datetime | None, before: datetime) -> QuerySet[SecretVersion]:
    """Return current, readable versions of undeleted secrets that expire between two times, soonest
    first.
    """
    versions = SecretVersion.objects.filter(
        expires_at__lt=before,
        number=F("secret__current_version"),
        secret__deleted_at__isnull=True,
        disabled_at__isnull=True,
        destroyed_at__isnull=True,
    )
    if after is not None:
        versions = versions.filter(expires_at__gte=after)
    return versions.defer("value").select_related("secret__vault").order_by("expires_at")


def unread(secrets: QuerySet[Secret], *, since: datetime | None = None) -> QuerySet[Secret]:
    """Narrow secrets to those that were never read successfully, or not since a time after they were
    created.
    """
    reads = AuditEvent.objects.filter(
        resource_id=OuterRef("pk"), action__in=READS, outcome=AuditEvent.Outcome.SUCCESS
    )
    if since is not None:
        reads = reads.filter(id__gte=first_uuid7(since))
        secrets = secrets.filter(created_at__lt=since)
    # A subquery is one index lookup for each secret. PostgreSQL would turn EXISTS into a join with the log.
    newest = Subquery(reads.order_by("-id").values("id")[:1])
    return secrets.alias(newest_read=newest).filter(newest_read__isnull=True)


def oldest_unread(most: int) -> list[Secret]:
    """Return undeleted secrets that were never read, among the `LOOKED_AT` oldest."""
    living = Secret.objects.filter(deleted_at__isnull=True)
    oldest = living.order_by("created_at").values("pk")[:LOOKED_AT]
    found = unread(living.filter(pk__in=Subquery(oldest)))
    return list(found.select_related("vault").order_by("created_at")[:most])


def vault_keys_in_use() -> QuerySet[VaultKey]:
    """Return the active KEKs of vaults that are not destroyed."""
    return VaultKey.objects.filter(state=VaultKey.State.ACTIVE, vault__destroyed_at__isnull=True)


def api_keys_in_use() -> QuerySet[ApiKey]:
    """Return the API keys that work now."""
    expired = Q(expires_at__lte=timezone.now())
    return ApiKey.objects.filter(revoked_at__isnull=True, principal__is_active=True).exclude(
        expired
    )


def by_age(keys: QuerySet[Model], days: list[int]) -> list[int]:
    """Count keys younger than the first of `days`, than the second, and so on, and those older than all."""
    now = timezone.now()
    ages = [None, *(now - timedelta(days=each) for each in days), None]
    counts = []
    for youngest, oldest in pairwise(ages):
        found = keys if youngest is None else keys.filter(created_at__lte=youngest)
        counts.append((found if oldest is None else found.filter(created_at__gt=oldest)).count())
    return counts
