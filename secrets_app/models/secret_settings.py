"""What is set for a secret as a whole, in every version to come."""

from datetime import datetime, timedelta

from django.db import models
from django.utils import timezone

from secrets_app.models.json_text import JSONTextField
from secrets_app.models.secret import Secret
from secrets_app.models.vault import Vault


class SecretSettings(models.Model):
    """A row where anything is set; it may come before the first version.

    `max_versions` 0: as many as the deployment keeps. `delete_version_after`: seconds, 0: never.
    """

    secret = models.OneToOneField(
        Secret, on_delete=models.CASCADE, primary_key=True, related_name="settings"
    )
    vault = models.ForeignKey(Vault, on_delete=models.PROTECT, related_name="+", db_index=False)
    max_versions = models.PositiveIntegerField(default=0)
    cas_required = models.BooleanField(default=False)
    delete_version_after = models.PositiveIntegerField(default=0)
    custom_metadata = JSONTextField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = "secret settings"

    def __str__(self) -> str:
        return f"settings of {self.secret_id}"


def settings_of(secret: Secret) -> SecretSettings | None:
    """What is set for a secret; asks the database unless it came along with the row."""
    if secret._state.adding:
        return None
    try:
        found: SecretSettings = secret.settings
    except SecretSettings.DoesNotExist:
        return None
    return found


def kept_versions(secret: Secret, deployment: int) -> int:
    """How many versions are kept, 0 for all: the smaller of what `deployment` and the secret say."""
    own = settings_of(secret)
    bounds = [bound for bound in (deployment, own.max_versions if own else 0) if bound]
    return min(bounds, default=0)


def expiry_of_new_version(secret: Secret, wanted: datetime | None) -> datetime | None:
    """When a version written now ends: at the time its writer `wanted`, or earlier by the settings."""
    own = settings_of(secret)
    if own is None or not own.delete_version_after:
        return wanted
    end = timezone.now() + timedelta(seconds=own.delete_version_after)
    return end if wanted is None else min(end, wanted)
