"""Say what the app asks a project about second factors; `SECOND_FACTORS` names who answers."""

from typing import Any, Protocol

from django.utils.module_loading import import_string

from secrets_app.conf import app_settings


class SecondFactors(Protocol):
    def is_asked(self, user: Any) -> bool:
        """Tell whether this person has a second factor, and so is asked for it."""


class NoFactors:
    """What answers where `SECOND_FACTORS` names nothing: nobody has a second factor."""

    def is_asked(self, user: Any) -> bool:
        return False


def second_factors() -> SecondFactors:
    """Return who answers. Raises ImportError when SECOND_FACTORS names nothing that is there."""
    path = app_settings.SECOND_FACTORS
    factors: SecondFactors = import_string(path)() if path else NoFactors()
    return factors
