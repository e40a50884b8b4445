"""What a person sees and changes of their own account."""

from contextlib import suppress

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest

from secrets_app.conf import app_settings
from secrets_app.errors import InvalidInput, LockedOut, PasswordsOff, TooManyRequests
from secrets_app.models import Principal
from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.audit.failures import record_failure
from secrets_app.services.caller import Caller
from secrets_app.services.identity.agents import require_person
from secrets_app.services.identity.factors import second_factors
from secrets_app.services.identity.passwords import check_password, note_sign_in


def get_account(*, caller: Caller) -> Principal:
    """The calling principal, with its user."""
    return Principal.objects.select_related("user").get(pk=caller.id)


def rename_account(*, caller: Caller, name: str) -> Principal:
    """Change the name that others see. Raises Forbidden for an agent."""
    require_person(caller, "auth.profile_update")
    with transaction.atomic():
        Principal.objects.filter(pk=caller.id).update(name=name)
        resource = Resource("principal", caller.id)
        record("auth.profile_update", SUCCESS, actor=caller.actor, resource=resource)
    return get_account(caller=caller)


def change_password(*, caller: Caller, current: str, new: str, request: HttpRequest) -> None:
    """Set a new password and end every token issued so far; API keys stay.

    Raises Forbidden for an agent, InvalidInput when the current password is wrong or the new one
    is too weak, LockedOut.
    """
    require_person(caller, "auth.password_change")
    resource = Resource("principal", caller.id)
    user = get_account(caller=caller).user
    username = "" if user is None else user.get_username()
    try:
        is_right = user is not None and check_password(
            username=username, password=current, request=request
        )
    except LockedOut:
        with suppress(TooManyRequests):  # this one says more
            _record_refusal("locked_out", caller)
        raise
    if user is None or not is_right:
        if not app_settings.PASSWORD_SIGN_IN:
            _record_refusal("passwords_off", caller)
            raise InvalidInput({"current_password": [PasswordsOff.detail]})
        _record_refusal("bad_credentials", caller)
        raise InvalidInput({"current_password": ["This is not your password."]})
    try:
        validate_password(new, user)
    except ValidationError as error:
        raise InvalidInput({"new_password": error.messages}) from None
    with transaction.atomic():
        # Half a sign-in resets no count of wrong codes.
        if not second_factors().is_asked(user):
            note_sign_in(user=user, request=request)
        user.set_password(new)
        user.save(update_fields=["password"])
        Principal.objects.filter(pk=caller.id).update(token_generation=F("token_generation") + 1)
        record("auth.password_change", SUCCESS, actor=caller.actor, resource=resource)


def _record_refusal(reason: str, caller: Caller) -> None:
    record_failure(
        "auth.password_change",
        actor=caller.actor,
        resource=Resource("principal", caller.id),
        details={"reason": reason},
    )
