"""Store which tokens of other issuers may sign in as an agent, and which of them did."""

from uuid import uuid4

from django.db import models
from django.utils import timezone

from secrets_app.models.ids import uuid7
from secrets_app.models.json_text import JSONTextField
from secrets_app.models.principal import Agent, ApiKey


class AgentIdentity(models.Model):
    """Tokens of one issuer that may sign in as an agent: those for this audience whose claims all fit.

    `claims`: claim → pattern (`federation/claims.py`). Keys are those of `jwks`, else those at `jwks_url`,
    else those that the issuer's discovery document names. `parent` is the API key that its maker signed in
    with: the identity ends with it, and no later than that key was to expire.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="identities")
    parent = models.ForeignKey(
        ApiKey, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    name = models.CharField(max_length=255)
    issuer = models.CharField(max_length=512)
    audience = models.CharField(max_length=512)
    claims = JSONTextField()
    jwks_url = models.CharField(max_length=1024, blank=True)
    jwks = JSONTextField(null=True, blank=True)
    max_age_seconds = models.PositiveIntegerField()
    single_use = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "agent identities"

    def __str__(self) -> str:
        return f"{self.name} ({self.id})"


class AssertionUse(models.Model):
    """A sign-in by an identity: the token that was given out for it, which ends with the identity.

    `assertion_digest` is set where a token may sign in once. It stays when the identity is deleted, so that
    making another one does not let the token in again. The row can go at `expires_at`.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="+", db_index=False)
    identity = models.ForeignKey(
        AgentIdentity, on_delete=models.SET_NULL, null=True, related_name="uses"
    )
    assertion_digest = models.CharField(max_length=64, null=True, editable=False)  # noqa: DJ001
    token_jti = models.CharField(max_length=64)
    token_expires_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            # Many rows without a digest are no contradiction: NULL is equal to nothing.
            models.UniqueConstraint(name="assertionuse_once", fields=["agent", "assertion_digest"])
        ]

    def __str__(self) -> str:
        return str(self.id)
