"""What is held: secrets about to expire, secrets nobody reads, keys by their age."""

from datetime import datetime, timedelta
from itertools import pairwise

from django.db.models import F, Model, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from secrets_app.models import ApiKey, AuditEvent, Secret, SecretVersion, VaultKey
from secrets_app.models.ids import first_uuid7
from secrets_app.services.operations.overview.activity import READS

# Secrets that nobody reads are looked for among this many, the oldest first.
LOOKED_AT = 5_000


def current_version_of_secret() -> QuerySet[SecretVersion]:
    """For a queryset of secrets: the version that a read gets, as a subquery."""
    return SecretVersion.objects.filter(
        vault_id=OuterRef("vault_id"), secret_id=OuterRef("pk"), number=OuterRef("current_version")
    )


def expiring(*, after: datetime | None, before: datetime) -> QuerySet[SecretVersion]:
    """Current, readable versions of living secrets that expire in this time, soonest first."""
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
    """Those without a successful read in the log, ever or since a time at which they were there."""
    reads = AuditEvent.objects.filter(
        resource_id=OuterRef("pk"), action__in=READS, outcome=AuditEvent.Outcome.SUCCESS
    )
    if since is not None:
        reads = reads.filter(id__gte=first_uuid7(since))
        secrets = secrets.filter(created_at__lt=since)
    # One look into an index for each secret: PostgreSQL would turn an EXISTS into a join with the log.
    newest = Subquery(reads.order_by("-id").values("id")[:1])
    return secrets.alias(newest_read=newest).filter(newest_read__isnull=True)


def oldest_unread(most: int) -> list[Secret]:
    """Living secrets that were never read, among the `LOOKED_AT` oldest."""
    living = Secret.objects.filter(deleted_at__isnull=True)
    oldest = living.order_by("created_at").values("pk")[:LOOKED_AT]
    found = unread(living.filter(pk__in=Subquery(oldest)))
    return list(found.select_related("vault").order_by("created_at")[:most])


def vault_keys_in_use() -> QuerySet[VaultKey]:
    return VaultKey.objects.filter(state=VaultKey.State.ACTIVE, vault__destroyed_at__isnull=True)


def api_keys_in_use() -> QuerySet[ApiKey]:
    expired = Q(expires_at__lte=timezone.now())
    return ApiKey.objects.filter(revoked_at__isnull=True, principal__is_active=True).exclude(
        expired
    )


def by_age(keys: QuerySet[Model], days: list[int]) -> list[int]:
    """How many are younger than the first age, than the second, …, and how many are older than all."""
    now = timezone.now()
    ages = [None, *(now - timedelta(days=each) for each in days), None]
    counts = []
    for youngest, oldest in pairwise(ages):
        found = keys if youngest is None else keys.filter(created_at__lte=youngest)
        counts.append((found if oldest is None else found.filter(created_at__gt=oldest)).count())
    return counts
