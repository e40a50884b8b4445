"""Store who acts: principals, their API keys, and the tokens that were ended early."""

from uuid import uuid4

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from secrets_app.models.json_text import JSONTextField


class Principal(models.Model):
    """An actor. Policies, owners, creators and audit events refer to it, never to a user.

    Each token contains its `token_generation`. Raising that ends all earlier tokens.
    """

    class Kind(models.TextChoices):
        USER = "user"
        AGENT = "agent"

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="principal",
    )
    name = models.CharField(max_length=255)
    is_active = models.BooleanField(default=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    token_generation = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        permissions = [("end_tokens_principal", "Can end all tokens of a principal")]
        constraints = [
            models.CheckConstraint(
                name="principal_user_fits_kind",
                condition=Q(kind="user", user__isnull=False) | Q(kind="agent", user__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


class Agent(models.Model):
    """What an agent has besides its principal.

    Its owner manages it: the person who registered it, or got it handed over. It works only while the
    owner may sign in.

    An empty list of vaults means no restriction.
    """

    principal = models.OneToOneField(Principal, on_delete=models.PROTECT, primary_key=True)
    owner = models.ForeignKey(Principal, on_delete=models.PROTECT, related_name="agents")
    description = models.TextField(blank=True)
    token_ttl_seconds = models.PositiveIntegerField()
    vault_ids = JSONTextField(default=list)

    class Meta:
        permissions = [
            ("deactivate_agent", "Can deactivate an agent"),
            ("hand_over_agent", "Can hand an agent over to another person"),
        ]

    def __str__(self) -> str:
        return str(self.principal)


class ApiKey(models.Model):
    """A long-lived key. Its SHA-256 alone is stored, which is enough for 256 random bits.

    `parent` is the key that made this one, itself or by a token; this key ends with it. It is set once,
    when the key is made, so there are no cycles.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    principal = models.ForeignKey(Principal, on_delete=models.PROTECT, related_name="api_keys")
    parent = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="children",
    )
    name = models.CharField(max_length=255)
    prefix = models.CharField(max_length=16)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "API key"
        permissions = [("revoke_apikey", "Can revoke an API key")]

    def __str__(self) -> str:
        return f"{self.prefix}… ({self.id})"


class RevokedToken(models.Model):
    """A token that was ended early, or a session by its id, with all its tokens. The row can go once they
    have expired."""

    jti = models.CharField(primary_key=True, max_length=64)
    principal = models.ForeignKey(Principal, on_delete=models.CASCADE, related_name="+")
    expires_at = models.DateTimeField(db_index=True)
    revoked_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.jti
