"""Store people. One e-mail address is one person, in upper or lower case."""

from typing import Any, ClassVar
from uuid import uuid4

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models, transaction
from django.db.models.functions import Lower
from django.utils import timezone
from django_otp.models import Device, ThrottlingMixin
from django_otp.oath import TOTP

from secrets_app.services.identity.second_factor import seed_of


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

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_unique_lower")]

    def __str__(self) -> str:
        return str(self.email)


class SecondFactor(ThrottlingMixin, Device):  # type: ignore[misc]
    """A person's authenticator app (TOTP, RFC 6238).

    Only a salt is stored. Each check of a code derives the seed from it, with a key that the root key
    wraps.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="second_factor"
    )
    key_number = models.PositiveIntegerField(editable=False)
    salt = models.BinaryField(editable=False)
    # The time step of the last accepted code, so that none is accepted twice.
    last_t = models.BigIntegerField(default=-1, editable=False)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"second factor of {self.user_id}"

    def get_throttle_factor(self) -> int:
        """Return the seconds to wait after the first wrong code. Each further one doubles them."""
        return 1

    def verify_token(self, token: str) -> bool:
        """Tell whether a code is that of now, or of one step before or after, and unused.

        After wrong codes none is accepted for a while, from any address. Raises OpenError,
        ProviderError.
        """
        with transaction.atomic():
            mine = SecondFactor.objects.select_for_update().get(pk=self.pk)
            if not mine.verify_is_allowed()[0]:
                return False
            totp = code_maker(seed_of(key_number=mine.key_number, salt=bytes(mine.salt)))
            if is_code(token) and totp.verify(int(token), tolerance=1, min_t=mine.last_t + 1):
                mine.last_t = totp.t()
                mine.throttle_reset()
                return True
            mine.throttle_increment()
            return False


def code_maker(seed: bytes) -> TOTP:
    """Return what makes and checks codes: six digits, a new code each 30 seconds."""
    return TOTP(seed, step=30, digits=CODE_DIGITS)


def is_code(text: str) -> bool:
    return len(text) == CODE_DIGITS and text.isascii() and text.isdigit()


CODE_DIGITS = 6
