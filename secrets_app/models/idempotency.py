"""Store the first answers to requests with an Idempotency-Key, so that a repeat gets them again."""

from uuid import uuid4

from django.db import models
from django.utils import timezone

from secrets_app.models.ids import uuid7
from secrets_app.models.json_text import JSONTextField
from secrets_app.models.principal import Principal
from secrets_app.models.vault import VaultKey


class IdempotencyKey(models.Model):
    """A key of one principal, with the digest of its request and the answer. It contains no secret
    value.

    A request may contain one that could be guessed from a bare digest, so its digest is sealed under
    `vault_key`.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    principal = models.ForeignKey(
        Principal, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    key_digest = models.CharField(max_length=64, editable=False)
    request_digest = models.BinaryField(editable=False)
    vault_key = models.ForeignKey(VaultKey, on_delete=models.CASCADE, null=True, related_name="+")
    # Identifies who carries the request out. Another takes over when the first has died.
    claim = models.UUIDField(default=uuid4, editable=False)
    claimed_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    status = models.PositiveSmallIntegerField(null=True)
    body = JSONTextField(null=True)
    headers = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="idempotencykey_unique", fields=["principal", "key_digest"]
            )
        ]

    def __str__(self) -> str:
        return str(self.id)
