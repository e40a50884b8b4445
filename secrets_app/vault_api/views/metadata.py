"""Lists, what is known of secrets, and their settings."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.http import HttpResponse

from secrets_app.conf import app_settings
from secrets_app.errors import InvalidInput, NotFound
from secrets_app.http.durations import parse_duration, show_duration
from secrets_app.models.secret_settings import settings_of
from secrets_app.services.secrets import (
    History,
    Settings,
    change_settings,
    list_level,
    purge_secret,
    read_settings,
    secret_history,
)
from secrets_app.vault_api.answers import encode, envelope, instant, nothing, refusal
from secrets_app.vault_api.documents import Number
from secrets_app.vault_api.door import Call, whole_number
from secrets_app.vault_api.views.data import MERGE_PATCH, deletion_time, is_merge_patch


def list_keys(call: Call) -> HttpResponse:
    """One level of paths."""
    keys = list_level(caller=call.caller, vault_id=call.vault, folder=call.path)
    if not keys:
        return refusal(404, [])
    return envelope(call.request_id, encode({"keys": keys}))


def read(call: Call) -> HttpResponse:
    """Settings and versions of a secret."""
    found = secret_history(caller=call.caller, vault_id=call.vault, path=call.path)
    return envelope(call.request_id, encode(_told(found)))


def write(call: Call) -> HttpResponse:
    """Set what the body names; the rest stays."""
    body = call.body
    change_settings(
        caller=call.caller,
        vault_id=call.vault,
        path=call.path,
        change=lambda now: _changed(now, body),
    )
    return nothing()


def patch(call: Call) -> HttpResponse:
    """The same, with `custom_metadata` merged into what is there."""
    if not is_merge_patch(call):
        return refusal(415, [f"PATCH requires Content-Type of {MERGE_PATCH}"])
    body = call.body
    change_settings(
        caller=call.caller,
        vault_id=call.vault,
        path=call.path,
        change=lambda now: _changed(now, body, merges=True),
        must_exist=True,
    )
    return nothing()


def purge(call: Call) -> HttpResponse:
    """Destroy a secret with all its versions."""
    try:
        purge_secret(caller=call.caller, vault_id=call.vault, path=call.path)
    except NotFound:
        return nothing()
    return nothing()


def config(call: Call) -> HttpResponse:
    """What holds for secrets without settings of their own."""
    told = {
        "cas_required": False,
        "delete_version_after": "0s",
        "max_versions": app_settings.MAX_VERSIONS,
        "metadata_cas_required": False,
    }
    return envelope(call.request_id, encode(told))


def refuse_config(_: Call) -> HttpResponse:
    """The deployment decides."""
    raise InvalidInput(
        {
            "config": [
                "The settings of a mount are the deployment's (MAX_VERSIONS); a secret has its own."
            ]
        }
    )


def _told(found: History) -> dict[str, Any]:
    secret, own = found.secret, settings_of(found.secret)
    settings = read_settings(own)
    newest = found.versions[-1].created_at if found.versions else secret.created_at
    first = found.versions[0].number if found.versions else 0
    begun = [secret.created_at, *(each.created_at for each in found.versions[:1])]
    created = min(begun + ([own.created_at] if own is not None else []))
    return {
        "cas_required": settings.cas_required,
        "created_time": instant(created),
        "current_metadata_version": 0,
        "current_version": secret.current_version,
        "custom_metadata": settings.custom_metadata or None,
        "delete_version_after": show_duration(settings.delete_version_after),
        "max_versions": settings.max_versions,
        "metadata_cas_required": False,
        "oldest_version": first if first > 1 else 0,
        "updated_time": instant(max(newest, own.updated_at) if own is not None else newest),
        "versions": {
            str(version.number): {
                "created_time": instant(version.created_at),
                "deletion_time": deletion_time(version),
                "destroyed": version.destroyed_at is not None,
            }
            for version in found.versions
        },
    }


def _changed(now: Settings, body: Mapping[str, Any], *, merges: bool = False) -> Settings:
    wanted = now
    if body.get("max_versions") is not None:
        number = whole_number(body["max_versions"])
        if number is None:
            raise InvalidInput({"max_versions": ["This is not a number of versions."]})
        wanted = replace(wanted, max_versions=number)
    if body.get("cas_required") is not None:
        wanted = replace(wanted, cas_required=_flag(body["cas_required"]))
    if body.get("delete_version_after") is not None:
        seconds = seconds_of(body["delete_version_after"], field="delete_version_after")
        wanted = replace(wanted, delete_version_after=seconds)
    if "custom_metadata" in body:
        notes = _notes(body["custom_metadata"], now if merges else None)
        wanted = replace(wanted, custom_metadata=notes)
    return wanted


def seconds_of(given: Any, *, field: str) -> int:
    """A time of a body, as text or as a number of seconds. Raises InvalidInput."""
    text = given.text if isinstance(given, Number) else given
    return parse_duration(text if isinstance(text, str) else "", field=field)


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise InvalidInput({"cas_required": ["This is true or false."]})


def _notes(given: Any, now: Settings | None) -> dict[str, str] | None:
    """`custom_metadata` with numbers taken as their text; merged into what is there `now`."""
    if given is None:
        return None
    if not isinstance(given, dict):
        raise InvalidInput({"custom_metadata": ["This must be a JSON object of texts."]})
    notes = dict(now.custom_metadata or {}) if now is not None else {}
    for name, each in given.items():
        if each is None and now is not None:
            notes.pop(name, None)
        elif isinstance(each, Number):
            notes[name] = each.text
        elif isinstance(each, str):
            notes[name] = each
        else:
            raise InvalidInput({"custom_metadata": ["Each member must be a text."]})
    return notes or None
