import threading
from datetime import timedelta

import jwt
import pytest
import time_machine
from django.utils import timezone

from secrets_app.crypto.signing import generate_signing_key_pem
from secrets_app.errors import ConfigurationError
from secrets_app.models import AuditEvent
from secrets_app.services.audit import OPERATOR
from secrets_app.services.identity.signing_keys import key_set
from secrets_app.services.keys import signing_key_rotation as signing_key
from secrets_app.services.keys.signing_key_rotation import rotate_signing_key


@pytest.fixture(autouse=True)
def key_file(tmp_path, settings):
    file = tmp_path / "jwt.pem"
    file.write_bytes(generate_signing_key_pem())
    file.chmod(0o600)
    settings.SECRETS_APP = settings.SECRETS_APP | {"JWT_KEY_FILE": str(file)}
    return file


def rotate(**options):
    return rotate_signing_key(actor=OPERATOR, **options)


def kid(token):
    return jwt.get_unverified_header(token)["kid"]


def published(nobody):
    return [key["kid"] for key in nobody.get("/.well-known/jwks.json").json()["keys"]]


def test_new_tokens_are_signed_by_the_new_key_and_old_ones_still_hold(alice, nobody, key_file):
    before = alice.api
    old = kid(before.bearer)
    done = rotate()
    after = alice.api
    assert kid(after.bearer) == done.kid != old
    for api in (before, after):
        assert api.get("/v1/auth/me").status_code == 200
    assert published(nobody) == [done.kid, old]
    assert done.kept == 1
    assert key_file.stat().st_mode & 0o777 == 0o600


def test_the_private_half_of_the_old_key_is_gone(alice, key_file):
    old = key_file.read_bytes().splitlines()[1]
    rotate()
    content = key_file.read_bytes()
    assert old not in content
    assert content.count(b"BEGIN PRIVATE KEY") == 1
    assert content.count(b"BEGIN PUBLIC KEY") == 1


def test_a_key_is_dropped_when_its_last_token_has_expired(db, nobody):
    first = rotate()
    second = rotate()
    assert second.kept == 2
    with time_machine.travel(timezone.now() + timedelta(days=1, hours=1), tick=False):
        third = rotate()
    assert (third.kept, third.dropped) == (1, 2)
    assert published(nobody) == [third.kid, second.kid]
    assert first.kid not in published(nobody)


def test_a_staged_key_is_published_first_and_signs_later(alice, nobody, key_file):
    old = kid(alice.token)
    staged = rotate(stage=True)
    assert staged.kid == old
    assert published(nobody) == [old, staged.staged]
    assert kid(alice.token) == old
    with pytest.raises(ConfigurationError, match="staged already"):
        rotate(stage=True)
    done = rotate()
    assert done.kid == staged.staged
    assert done.staged is None
    assert kid(alice.token) == staged.staged
    assert published(nobody) == [staged.staged, old]


def test_a_dry_run_changes_nothing(db, key_file):
    before = key_file.read_bytes()
    assert rotate(dry_run=True).kept == 1
    assert key_file.read_bytes() == before
    assert not AuditEvent.objects.exists()


def test_it_leaves_an_event_that_names_the_key(db):
    done = rotate()
    event = AuditEvent.objects.get()
    assert (event.action, event.details) == ("key.rotate_signing", {"kid": done.kid})


def test_without_an_event_the_file_stays(db, key_file, monkeypatch):
    before = key_file.read_bytes()

    def fail(*args, **kwargs):
        raise RuntimeError("no event")

    monkeypatch.setattr(signing_key, "record", fail)
    with pytest.raises(RuntimeError):
        rotate()
    assert key_file.read_bytes() == before


@pytest.mark.django_db(transaction=True)
def test_when_the_event_cannot_be_committed_the_old_file_comes_back(key_file, monkeypatch):
    from django.db import DatabaseError, connection

    before = key_file.read_bytes()

    def fail():
        raise DatabaseError

    monkeypatch.setattr(connection, "_commit", fail)
    with pytest.raises(DatabaseError):
        rotate()
    monkeypatch.undo()
    assert key_file.read_bytes() == before
    assert not AuditEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_rotations_at_once_forget_no_key(key_file):
    done = []
    threads = [threading.Thread(target=lambda: done.append(_rotate_in_thread())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kids = [key["kid"] for key in key_set().jwks()["keys"]]
    assert len(kids) == 5
    assert {each.kid for each in done} <= set(kids)


def _rotate_in_thread():
    from django.db import connection

    try:
        return rotate()
    finally:
        connection.close()


def test_a_malformed_file_is_left_alone(db, key_file):
    key_file.write_bytes(b"garbage")
    with pytest.raises(ConfigurationError, match="must begin with"):
        rotate()
    assert key_file.read_bytes() == b"garbage"


def test_a_folder_that_is_not_there_says_so(db, settings, tmp_path):
    nowhere = {"JWT_KEY_FILE": str(tmp_path / "none" / "jwt.pem")}
    settings.SECRETS_APP = settings.SECRETS_APP | nowhere
    with pytest.raises(ConfigurationError, match="cannot be read"):
        rotate()


def test_a_linked_file_is_replaced_where_it_lies(db, key_file, tmp_path, settings):
    link = tmp_path / "link.pem"
    link.symlink_to(key_file)
    settings.SECRETS_APP = settings.SECRETS_APP | {"JWT_KEY_FILE": str(link)}
    done = rotate()
    assert link.is_symlink()
    assert key_set().public_key()["kid"] == done.kid
    assert key_file.read_bytes().count(b"BEGIN") == 2


def test_a_hand_edited_file_keeps_its_keys(db, key_file, nobody):
    other = generate_signing_key_pem()
    from secrets_app.crypto.signing import public_key_of

    key_file.write_bytes(
        b"our keys\n"
        + key_file.read_bytes()
        + b"# retired once upon a time\n"
        + public_key_of(other)
    )
    rotate()
    assert len(published(nobody)) == 3
