"""Store people. One e-mail address is one person, in upper or lower case."""

from collections.abc import Iterator
from typing import Any, ClassVar
from uuid import uuid4

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.crypto import salted_hmac


class LowerCaseEmailField(models.EmailField):  # type: ignore[type-arg]
    """Stores and looks up addresses in lower case, so that no caller has to do it."""

    def to_python(self, value: Any) -> Any:
        value = super().to_python(value)
        return value.strip().lower() if isinstance(value, str) else value

    def get_prep_value(self, value: Any) -> Any:
        return self.to_python(super().get_prep_value(value))

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        value = self.to_python(super().pre_save(model_instance, add))
        setattr(model_instance, self.attname, value)
        return value


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Make a person. Raises ValueError without an address, django.db.IntegrityError when it is
        taken.
        """
        if not email:
            raise ValueError("a user needs an e-mail address")
        user = self.model(email=email, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(
            email, password, **{"is_staff": True, "is_superuser": True} | fields
        )


class User(AbstractBaseUser, PermissionsMixin):
    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    email = LowerCaseEmailField("e-mail address", unique=True)
    display_name = models.CharField(max_length=255, blank=True)
    is_staff = models.BooleanField("may sign in to the admin", default=False)
    is_active = models.BooleanField("active", default=True)
    date_joined = models.DateTimeField(default=timezone.now)
    # Counted up to end all web sessions at once.
    session_generation = models.PositiveIntegerField(default=0, db_default=0, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_unique_lower")]

    def __str__(self) -> str:
        return str(self.email)

    def get_session_auth_hash(self) -> str:
        """Return what a web session must hold. It changes with the password and the generation."""
        return self._with_generation(super().get_session_auth_hash())

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        return map(self._with_generation, super().get_session_auth_fallback_hash())

    def _with_generation(self, session_hash: str) -> str:
        # Generation 0 is as without one, so that sessions of the release before go on.
        if not self.session_generation:
            return session_hash
        salt = "vaultsite.accounts.session_generation"
        value = f"{self.session_generation}:{session_hash}"
        return salted_hmac(salt, value, algorithm="sha256").hexdigest()


class CodeCheck(models.Model):
    """What became of the codes that a person sent, of every way in. Its row is the lock of a check."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    # The time step (RFC 6238) of the last accepted code, so that none is accepted twice.
    last_step = models.BigIntegerField(default=-1)
    # Wrong ones since the last right one.
    failures = models.PositiveIntegerField(default=0)
    failed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"checks of codes of {self.user_id}"


class SecondFactor(models.Model):
    """An authenticator app as earlier releases stored it, which may still run beside this one.

    `second_factor.adopt` takes rows over. The table goes in a later release.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="second_factor"
    )
    name = models.CharField(max_length=64)
    confirmed = models.BooleanField(default=True)
    throttling_failure_timestamp = models.DateTimeField(null=True, blank=True, default=None)
    throttling_failure_count = models.PositiveIntegerField(default=0)
    key_number = models.PositiveIntegerField(editable=False)
    salt = models.BinaryField(editable=False)
    last_t = models.BigIntegerField(default=-1, editable=False)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"former second factor of {self.user_id}"


class SpentFlow(models.Model):
    """A `state` of a sign-in by a provider that has come back, so that it is not taken twice."""

    state = models.CharField(max_length=43, primary_key=True)
    spent_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return "a spent state"


class ProviderGroup(models.Model):
    """A membership that a provider gave, and may take away again."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    group = models.ForeignKey("auth.Group", on_delete=models.CASCADE, related_name="+")
    issuer = models.CharField(max_length=200)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "group", "issuer"], name="provider_group_unique"
            )
        ]

    def __str__(self) -> str:
        return f"{self.group_id} of {self.user_id}"


class Invitation(models.Model):
    """A promise of an account to whoever has its link."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    email = LowerCaseEmailField("e-mail address", db_index=True)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    is_staff = models.BooleanField(default=False)
    groups: Any = models.ManyToManyField("auth.Group", related_name="+", blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"invitation {self.id}"


class BreakGlass(models.Model):
    """Who may sign in with a password while that is switched off, and until when: one person at most."""

    # Always 1, so that there is one row.
    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="break_glass_one_row")]

    def __str__(self) -> str:
        return f"break glass for {self.user_id}"
