"""Store what people are signed in by: sessions with their refresh token, and devices that ask for one."""

from django.conf import settings
from django.db import models
from django.db.models import F
from django.utils import timezone

from secrets_app.models.ids import uuid7
from secrets_app.models.principal import Principal

# Room for an IPv6 address with its zone.
ADDRESS_CHARS = 64
CLIENT_CHARS = 64


class SessionQuerySet(models.QuerySet["SignInSession"]):
    def living(self) -> "SessionQuerySet":
        """Those that nobody and nothing has ended yet."""
        return self.filter(
            ended_at__isnull=True,
            expires_at__gt=timezone.now(),
            token_generation=F("principal__token_generation"),
        )


class SignInSession(models.Model):
    """What follows from one sign-in of a person: access tokens, and one refresh token at a time.

    It ends at `expires_at`, which is never moved, when it is ended, and when all tokens of the principal
    are, which raises the principal's `token_generation`. Access tokens name it, and a row of
    `RevokedToken` with its id ends them.

    A refresh token has two parts, each stored as SHA-256. The handle stays and finds the session. The
    secret is new with each use, so a right handle with another secret is a token that was used before.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    principal = models.ForeignKey(
        Principal, on_delete=models.CASCADE, related_name="sessions", db_index=False
    )
    method = models.CharField(max_length=32)
    second_factor = models.BooleanField("passed a second factor", default=False)
    # What a device calls itself.
    client = models.CharField(max_length=CLIENT_CHARS, blank=True)
    address = models.CharField(max_length=ADDRESS_CHARS, blank=True)
    token_generation = models.PositiveIntegerField(editable=False)
    handle_digest = models.CharField(max_length=64, unique=True, editable=False)
    refresh_digest = models.CharField(max_length=64, editable=False)
    created_at = models.DateTimeField(default=timezone.now)
    # When it gave its last access token; the refresh token was exchanged for one last at `rotated_at`.
    last_used_at = models.DateTimeField(default=timezone.now)
    rotated_at = models.DateTimeField(null=True, editable=False)
    expires_at = models.DateTimeField(db_index=True)
    ended_at = models.DateTimeField(null=True)

    objects = SessionQuerySet.as_manager()

    class Meta:
        verbose_name = "sign-in session"
        permissions = [("end_signinsession", "Can end a sign-in session")]
        indexes = [models.Index(fields=["principal", "expires_at"], name="session_of_principal")]

    def __str__(self) -> str:
        return str(self.id)


class DeviceRequest(models.Model):
    """A device that waits for a person to let it in (RFC 8628). Its codes are stored as SHA-256.

    Where the device named a person, `is_bound` is set, and nobody but `bound_to` can decide: nobody at
    all when there is no such person.
    """

    class State(models.TextChoices):
        PENDING = "pending"
        APPROVED = "approved"
        DENIED = "denied"
        USED = "used"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    device_digest = models.CharField(max_length=64, unique=True, editable=False)
    user_code_digest = models.CharField(max_length=64, unique=True, editable=False)
    client_id = models.CharField(max_length=CLIENT_CHARS)
    is_bound = models.BooleanField(default=False)
    bound_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="+"
    )
    address = models.CharField(max_length=ADDRESS_CHARS, blank=True)
    # What the number of waiting devices is bounded by: the address, or the /64 of an IPv6 address.
    network = models.CharField(max_length=ADDRESS_CHARS, db_index=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.PENDING)
    interval_s = models.PositiveIntegerField()
    polled_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)
    # Who decided, with the generation of their tokens, so that ending all tokens ends this too.
    decided_by = models.ForeignKey(Principal, on_delete=models.CASCADE, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)
    token_generation = models.PositiveIntegerField(null=True)
    second_factor = models.BooleanField(default=False)

    def __str__(self) -> str:
        return str(self.id)
