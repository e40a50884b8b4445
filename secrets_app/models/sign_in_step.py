"""Store what waits for its second half: a sign-in, or the set-up of a second factor."""

from django.db import models

from secrets_app.models.principal import Principal


class SignInStep(models.Model):
    """A first step that was right. `digest` is SHA-256 of what the second one must bring along.

    A sign-in ends with the tokens, the password and the person that it began with: `token_generation` and
    `password_digest` are those of then.
    """

    class Purpose(models.TextChoices):
        CODE = "code", "a password was right, a code is asked for"
        SETUP = "setup", "an authenticator app is being set up"
        USED_CHALLENGE = "used_challenge", "a passkey has answered this challenge"

    digest = models.CharField(max_length=64, primary_key=True, editable=False)
    purpose = models.CharField(max_length=16, choices=Purpose.choices)
    principal = models.ForeignKey(Principal, on_delete=models.CASCADE, null=True, related_name="+")
    token_generation = models.PositiveIntegerField(default=0)
    password_digest = models.CharField(max_length=64, blank=True)
    # The secret that is being set up, sealed by the project.
    sealed = models.TextField(blank=True)
    # Counted before the code is looked at, so that no more are tried than may be.
    attempts = models.PositiveSmallIntegerField(default=0)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.purpose} of {self.principal_id}"
