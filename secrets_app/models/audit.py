"""Store the audit log. Rows refer to others by id only, so they outlive them.

Events and seals are only inserted. The one change later is a mark: an event was sealed, or a seal's
events were exported or pruned.
"""

from django.db import models
from django.utils import timezone

from secrets_app.crypto.context import WrappedAuditKey
from secrets_app.models.ids import uuid7


class AuditEvent(models.Model):
    """Who did what to which resource, from where, and how it ended. Never contains a value, token or
    key.

    `mac` covers everything except `seal_number`, the seal whose tree contains the event.
    """

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
    key_number = models.PositiveIntegerField(default=0)
    mac = models.BinaryField(default=b"", editable=False)
    seal_number = models.PositiveBigIntegerField(null=True, editable=False)

    class Meta:
        # Ids rise with time, so each list walks down one index, whichever filter it has.
        indexes = [
            models.Index(fields=["vault_id", "id"], name="auditevent_vault"),
            models.Index(fields=["actor_id", "id"], name="auditevent_actor"),
            models.Index(fields=["resource_id", "id"], name="auditevent_resource"),
            models.Index(fields=["action", "id"], name="auditevent_action"),
            models.Index(fields=["seal_number", "id"], name="auditevent_seal"),
            # Only failures and denials, so that a successful read or write has no more to index.
            models.Index(
                fields=["id"], name="auditevent_refused", condition=~models.Q(outcome="success")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.outcome} ({self.id})"


class AuditSeal(models.Model):
    """A link of the chain: the signed root of a Merkle tree of events, with the hash of the seal before.

    `events` counts those of this tree, `total` those of all seals up to this one. `export_signature`
    proves that `export_audit` wrote the events, `prune_signature` that `prune_audit` removed them.
    Releases before that signature left `exported_at` alone, which proves nothing.
    """

    number = models.PositiveBigIntegerField(primary_key=True)
    previous = models.BinaryField(editable=False)
    root = models.BinaryField(editable=False)
    events = models.PositiveIntegerField()
    total = models.PositiveBigIntegerField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    sealed_at = models.DateTimeField()
    key_number = models.PositiveIntegerField()
    signature = models.BinaryField(editable=False)
    exported_at = models.DateTimeField(null=True)
    export_signature = models.BinaryField(null=True, editable=False)
    pruned_at = models.DateTimeField(null=True)
    prune_signature = models.BinaryField(null=True, editable=False)

    def __str__(self) -> str:
        return f"seal {self.number}"


class AuditKey(models.Model):
    """The secret behind MACs and signatures, wrapped by the root key `root_key_id`."""

    number = models.PositiveIntegerField(primary_key=True)
    root_key_id = models.CharField(max_length=512)
    wrapped = models.BinaryField(editable=False)
    public_key = models.BinaryField(editable=False)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"audit key {self.number}"

    def wrapped_key(self) -> WrappedAuditKey:
        """Return the key in the form that the keyring takes."""
        return WrappedAuditKey(self.number, self.root_key_id, bytes(self.wrapped))
