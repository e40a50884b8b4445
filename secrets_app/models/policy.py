"""Store policies: who may do what below which paths of a vault. `policy/` judges them."""

from uuid import uuid4

from django.contrib.auth.models import Group
from django.db import models
from django.db.models import Q
from django.utils import timezone

from secrets_app.models.json_text import JSONTextField
from secrets_app.models.principal import Principal
from secrets_app.models.vault import Vault
from secrets_app.policy.path import MAX_PATH_CHARS


class Policy(models.Model):
    """A policy. `services.access.policies` validates `pattern`, `permissions` and `conditions`."""

    class Effect(models.TextChoices):
        ALLOW = "allow"
        DENY = "deny"

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    vault = models.ForeignKey(
        Vault, on_delete=models.PROTECT, related_name="policies", db_index=False
    )
    # Exactly one is set: a principal, or one of the host project's groups of people.
    principal = models.ForeignKey(
        Principal, on_delete=models.PROTECT, null=True, blank=True, related_name="policies"
    )
    group = models.ForeignKey(
        Group, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    pattern = models.CharField(max_length=MAX_PATH_CHARS)
    permissions = JSONTextField(default=list)
    effect = models.CharField(max_length=5, choices=Effect.choices, default=Effect.ALLOW)
    conditions = JSONTextField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(Principal, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "policies"
        indexes = [
            models.Index(fields=["vault", "principal"], name="policy_vault_principal"),
            models.Index(fields=["vault", "group"], name="policy_vault_group"),
        ]
        constraints = [
            models.CheckConstraint(
                name="policy_for_principal_or_group",
                condition=Q(principal__isnull=False, group__isnull=True)
                | Q(principal__isnull=True, group__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.effect} {self.pattern} ({self.id})"
