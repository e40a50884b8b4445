"""Authenticator apps that people set up with an earlier release go on working."""

import os
from importlib import import_module

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.apps import apps
from django.utils import timezone

from secrets_app.services.identity import open_factor
from secrets_app.services.sealing.audit_keys import current_audit_key
from tests.accounts.sign_in import FACTORS, code_of, sign_in
from tests.cast import PASSWORD
from vaultsite.accounts.models import CodeCheck, SecondFactor, User


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(timezone.now().replace(second=5), tick=False) as now:
        yield now


@pytest.fixture
def former(db):
    """As the release before has stored it; its last code was that of now."""
    number, key = current_audit_key()
    user = User.objects.create_superuser("root@example.com", PASSWORD)
    salt = os.urandom(32)
    step = int(timezone.now().timestamp()) // 30
    row = SecondFactor.objects.create(
        user=user, name="app", key_number=number, salt=salt, last_t=step
    )
    seed = key.seed(salt)
    assert open_factor(f"derived:{number}:{salt.hex()}") == _base32(seed)
    return row, _base32(seed)


def _base32(seed):
    from base64 import b32encode

    return b32encode(seed).decode()


def migrate():
    import_module("vaultsite.accounts.migrations.0004_copy_second_factors").copy(apps, None)


def works_once_after(clock, secret):
    assert sign_in(code=code_of(secret))[1].status_code == 200  # used with the former release
    clock.shift(30)
    assert sign_in(code=code_of(secret))[1].headers["Location"] == "/admin/"
    assert sign_in(code=code_of(secret))[1].status_code == 200


def test_the_migration_copies_it_without_any_key(former, clock, monkeypatch):
    _, secret = former
    with monkeypatch.context() as away:
        away.setattr("secrets_app.services.sealing.audit_keys.keyring", None)
        away.setattr("secrets_app.services.sealing.audit_keys._kept", None)
        migrate()
    assert Authenticator.objects.get().data["secret"].startswith("derived:")
    works_once_after(clock, secret)


def test_the_migration_can_run_twice(former, clock):
    _, secret = former
    migrate()
    migrate()
    works_once_after(clock, secret)


def test_one_that_was_set_up_while_both_ran_is_taken_over(former, clock):
    _, secret = former
    works_once_after(clock, secret)
    assert Authenticator.objects.get().type == "totp"


def test_a_wait_goes_on(former, clock):
    row, secret = former
    row.throttling_failure_count, row.throttling_failure_timestamp = 8, timezone.now()
    row.save()
    migrate()
    assert CodeCheck.objects.get().failures == 8
    clock.shift(60)
    assert sign_in(code=code_of(secret))[1].status_code == 200
    clock.shift(600)
    assert sign_in(code=code_of(secret))[1].status_code == 302


def test_what_is_removed_does_not_come_back(former, clock):
    _, secret = former
    migrate()
    clock.shift(30)
    client, _ = sign_in(code=code_of(secret))
    client.post(f"{FACTORS}{Authenticator.objects.get().pk}/remove/")
    assert sign_in()[1].headers["Location"] == "/admin/"
    assert not SecondFactor.objects.exists()


def test_what_was_never_confirmed_is_left(former):
    row, _ = former
    row.confirmed = False
    row.save()
    migrate()
    assert sign_in()[1].headers["Location"] == "/admin/"
