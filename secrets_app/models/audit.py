"""The audit log. Rows are only ever inserted; they refer to others by id, so that they outlive them."""

from django.db import models
from django.utils import timezone

from secrets_app.models.ids import uuid7


class AuditEvent(models.Model):
    """Who did what to which resource, from where, and how it ended. Never a value, token or key."""

    class Outcome(models.TextChoices):
        SUCCESS = "success"
        DENIED = "denied"
        FAILURE = "failure"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    action = models.CharField(max_length=64)
    outcome = models.CharField(max_length=8, choices=Outcome.choices)
    actor_id = models.UUIDField(null=True)
    actor_type = models.CharField(max_length=16)
    vault_id = models.UUIDField(null=True)
    resource_type = models.CharField(max_length=32)
    resource_id = models.UUIDField(null=True)
    details = models.JSONField(default=dict)
    ip_address = models.GenericIPAddressField(null=True)
    request_id = models.UUIDField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["vault_id", "created_at"], name="auditevent_vault_time"),
            models.Index(fields=["actor_id", "created_at"], name="auditevent_actor_time"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.outcome} ({self.id})"
