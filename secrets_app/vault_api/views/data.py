"""Data of secrets: read, write, patch, and the marks of versions."""

from typing import Any

from django.http import HttpResponse

from secrets_app.conf import app_settings
from secrets_app.crypto.plaintext import Plaintext
from secrets_app.errors import InvalidInput, NotFound, Unavailable
from secrets_app.models import SecretVersion
from secrets_app.models.secret_settings import settings_of
from secrets_app.policy.decision import Permission
from secrets_app.services.access import may
from secrets_app.services.secrets import (
    NewVersion,
    Precondition,
    destroy_versions,
    disable_versions,
    enable_versions,
    preconditions,
    type_at,
    unavailable_version,
    write_secret,
)
from secrets_app.services.secrets.patching import Content, patch_secret
from secrets_app.services.secrets.reveal import peek, reveal_secret
from secrets_app.vault_api import documents
from secrets_app.vault_api.answers import encode, envelope, instant, nothing, refusal
from secrets_app.vault_api.door import Call, parse_versions, too_large, whole_number

MERGE_PATCH = "application/merge-patch+json"


def read(call: Call) -> HttpResponse:
    """Reveal a version."""
    number = call.version()
    try:
        revealed = reveal_secret(
            caller=call.caller, vault_id=call.vault, path=call.path, number=number
        )
    except Unavailable:
        return _unavailable(call, number)
    if revealed.value is None:
        raise NotFound
    data, told = documents.data_of(revealed.value), encode(metadata_of(revealed.version))
    return envelope(call.request_id, f'{{"data":{data},"metadata":{told}}}')


def subkeys(call: Call) -> HttpResponse:
    """The keys of a version's data, without values; spends no access."""
    number, depth = call.version(), whole_number(call.request.GET.get("depth", "0"))
    if depth is None:
        raise InvalidInput({"depth": ["This is not a number of levels."]})
    try:
        seen = peek(caller=call.caller, vault_id=call.vault, path=call.path, number=number)
    except Unavailable:
        return _unavailable(call, number, shown_as="subkeys")
    if seen.value is None:
        raise NotFound
    keys = documents.keys_of(documents.parse_data(seen.value), depth) or {}
    return envelope(
        call.request_id, encode({"metadata": metadata_of(seen.version), "subkeys": keys})
    )


def write(call: Call) -> HttpResponse:
    """Store the next version."""
    data = call.body.get("data")
    if data is None:
        raise InvalidInput({"data": ["no data provided"]})
    if not isinstance(data, dict):
        raise InvalidInput({"data": ["This must be a JSON object."]})
    documents.check_depth(data)
    expect = _expectation(call.body)
    kind, text = documents.BUNDLE, None
    only = documents.only_text(data)
    if only is not None:
        # A value that was set otherwise, such as a password, stays what it is.
        there = type_at(vault_id=call.vault, path=call.path)
        if there is not None and there != documents.BUNDLE:
            kind, text = there, only
    if text is None:
        text = documents.member(call.raw_body.decode(), "data")
    version = write_secret(
        caller=call.caller,
        vault_id=call.vault,
        path=call.path,
        new=NewVersion(type=kind, value=_bounded(text)),
        expect=expect,
    )
    return _stored(call, version)


def patch(call: Call) -> HttpResponse:
    """Store what a JSON merge patch makes of the current version."""
    if not is_merge_patch(call):
        return refusal(415, [f"PATCH requires Content-Type of {MERGE_PATCH}"])
    changes = call.body.get("data")
    if not isinstance(changes, dict):
        raise InvalidInput({"data": ["no data provided, or it is not a JSON object"]})
    documents.check_depth(changes)
    expect = _expectation(call.body)

    def change(content: Content) -> Content:
        merged = documents.merge(documents.parse_data(content.value), changes)
        documents.check_depth(merged)
        only = documents.only_text(merged)
        if only is not None and content.type != documents.BUNDLE:
            return Content(content.type, _bounded(only))
        return Content(documents.BUNDLE, _bounded(documents.dump(merged)))

    try:
        version = patch_secret(
            caller=call.caller,
            vault_id=call.vault,
            path=call.path,
            change=change,
            expect=expect,
        )
    except Unavailable:
        raise NotFound from None
    return _stored(call, version)


def delete(call: Call) -> HttpResponse:
    """Soft-delete the current version."""
    return _mark(call, None)


def delete_versions(call: Call) -> HttpResponse:
    """Soft-delete versions."""
    return _mark(call, parse_versions(call))


def undelete(call: Call) -> HttpResponse:
    """Bring soft-deleted versions back."""
    numbers = parse_versions(call)
    try:
        enable_versions(
            caller=call.caller,
            vault_id=call.vault,
            path=call.path,
            numbers=numbers,
            revive=True,
        )
    except NotFound:
        return nothing()
    except Unavailable:
        raise InvalidInput({"versions": ["The secret can be undeleted no more."]}) from None
    return nothing()


def destroy(call: Call) -> HttpResponse:
    """Destroy versions for good."""
    numbers = parse_versions(call)
    try:
        destroy_versions(caller=call.caller, vault_id=call.vault, path=call.path, numbers=numbers)
    except NotFound:
        return nothing()
    return nothing()


def metadata_of(version: SecretVersion) -> dict[str, Any]:
    """What is told of a version beside its data."""
    own = settings_of(version.secret)
    return {
        "created_time": instant(version.created_at),
        "custom_metadata": own.custom_metadata or None if own is not None else None,
        "deletion_time": deletion_time(version),
        "destroyed": version.destroyed_at is not None,
        "version": version.number,
    }


def deletion_time(version: SecretVersion) -> str:
    """When a version ended, or will: the earliest of its own marks and its secret's; empty for never."""
    ends = (version.secret.deleted_at, version.disabled_at, version.expires_at)
    known = [each for each in ends if each is not None]
    return instant(min(known)) if known else ""


def is_merge_patch(call: Call) -> bool:
    """Whether a body is sent as a JSON merge patch (RFC 7396)."""
    return (call.request.content_type or "").lower() == MERGE_PATCH


def _stored(call: Call, version: SecretVersion) -> HttpResponse:
    """What was stored. Notes, and an expiry that settings or the version before gave it, are told to those
    who may read the path; a writer did not say them."""
    told = metadata_of(version)
    if not may(caller=call.caller, vault_id=call.vault, path=call.path, permission=Permission.READ):
        told |= {"custom_metadata": None, "deletion_time": ""}
    return envelope(call.request_id, encode(told))


def _unavailable(call: Call, number: int | None, shown_as: str = "data") -> HttpResponse:
    """404 with what is known: clients read from it that there was something, and until when."""
    version = unavailable_version(vault_id=call.vault, path=call.path, number=number)
    if version is None:
        raise NotFound
    told = {shown_as: None, "metadata": metadata_of(version)}
    return envelope(call.request_id, encode(told), status=404)


def _mark(call: Call, numbers: list[int] | None) -> HttpResponse:
    try:
        disable_versions(caller=call.caller, vault_id=call.vault, path=call.path, numbers=numbers)
    except NotFound:
        return nothing()  # as Vault answers it: it is deleted
    return nothing()


def _expectation(body: dict[str, Any]) -> Precondition:
    """`options.cas`: 0 for a new secret, otherwise the current version."""
    options = body.get("options")
    if options is None:
        return preconditions.NONE
    if not isinstance(options, dict):
        raise InvalidInput({"options": ["This must be a JSON object."]})
    if options.get("cas") is None:
        return preconditions.NONE
    number = whole_number(options["cas"])
    if number is None:
        raise InvalidInput({"cas": ["error parsing check-and-set parameter"]})
    if number == 0:
        return Precondition(must_not_exist=True)
    return Precondition(versions=frozenset({number}), must_exist=True)


def _bounded(text: str) -> Plaintext:
    raw = text.encode()
    if len(raw) > app_settings.MAX_VALUE_BYTES:
        raise too_large()
    return Plaintext(raw)
