"""End the web sessions of a person, which are the project's (`END_WEB_SESSIONS`)."""

from collections.abc import Callable
from typing import Any, cast

from django.utils.module_loading import import_string

from secrets_app.conf import app_settings


def end_web_sessions(user: Any) -> None:
    """Have the project end a person's web sessions, in the transaction of the caller.

    Nothing happens where the project names nothing. Raises what the project does.
    """
    if user is not None and app_settings.END_WEB_SESSIONS:
        end = cast(Callable[[Any], None], import_string(app_settings.END_WEB_SESSIONS))
        end(user)
