import base64
import os
from dataclasses import replace

import pytest

from secrets_app.errors import ProviderUnavailable, UnknownRootKey
from secrets_app.keys import keyring
from secrets_app.models import AuditEvent, VaultKey
from secrets_app.services.audit import OPERATOR
from secrets_app.services.keys import root_rotation as root
from secrets_app.services.keys.root_rotation import count_rewrappable, rotate_root
from tests.cast import body, secret_url, vault_of


@pytest.fixture
def new_root(settings, monkeypatch):
    """A second root key becomes the active one. Returns its id."""
    monkeypatch.setenv("NEW_ROOT", base64.b64encode(os.urandom(32)).decode())
    urls = settings.SECRETS_APP["ROOT_KEY_URLS"]

    def activate(*, keep_old=True):
        settings.SECRETS_APP = settings.SECRETS_APP | {
            "ROOT_KEY_URLS": ["env:NEW_ROOT", *(urls if keep_old else [])]
        }
        return keyring().active_root_key_id

    return activate


def rotate(every=False, on_progress=lambda _: None):
    return rotate_root(every=every, actor=OPERATOR, on_progress=on_progress)


def test_every_key_moves_and_the_old_root_key_is_needed_no_more(alice, vault, new_root):
    vaults = [vault, *(vault_of(alice, f"v{n}") for n in range(3))]
    for each in vaults:
        alice.api.put(secret_url(each), body("before"))
    old = keyring().active_root_key_id
    new = new_root()
    assert count_rewrappable(every=False) == {old: 5}  # the audit log's is the fifth
    told = []
    done = rotate(on_progress=told.append)
    assert (done.active_root_key_id, done.rewrapped, done.failed) == (new, 5, [])
    assert sum(told) == 5
    assert set(VaultKey.objects.values_list("root_key_id", flat=True)) == {new}
    new_root(keep_old=False)
    for each in vaults:
        assert alice.api.get(secret_url(each)).json()["value"] == "before"
    assert count_rewrappable(every=False) == {}


def test_all_wraps_also_what_is_under_the_active_key(vault):
    before = bytes(VaultKey.objects.get().wrapped)
    assert rotate().rewrapped == 0
    assert bytes(VaultKey.objects.get().wrapped) == before
    assert rotate(every=True).rewrapped == 2
    assert bytes(VaultKey.objects.get().wrapped) != before


def test_stopped_in_the_middle_the_next_run_finishes(alice, vault, new_root):
    for n in range(3):
        vault_of(alice, f"v{n}")
    new_root()

    class Stopped(BaseException):
        pass

    def stop(_):
        raise Stopped

    with pytest.raises(Stopped):
        rotate(on_progress=stop)
    assert rotate().rewrapped == 4


def test_a_key_that_does_not_open_stays_and_is_named(alice, vault, new_root):
    bad = VaultKey.objects.get()
    vault_of(alice, "other")
    VaultKey.objects.filter(pk=bad.pk).update(wrapped=bytes(bad.wrapped)[:-1] + b"\0\0")
    new_root()
    done = rotate()
    assert (done.rewrapped, done.failed) == (2, [str(bad.pk)])
    assert VaultKey.objects.get(pk=bad.pk).root_key_id == bad.root_key_id


def test_without_the_old_root_key_it_is_named(vault, new_root):
    old = keyring().active_root_key_id
    new_root(keep_old=False)
    with pytest.raises(UnknownRootKey, match=old):
        rotate()


def test_a_key_that_was_destroyed_meanwhile_stays_destroyed(vault, new_root, monkeypatch):
    new_root()
    ring = keyring()
    rewrap = ring.rewrap

    def rewrap_late(kek):
        wrapped = rewrap(kek)
        VaultKey.objects.update(state="destroyed", wrapped=b"")
        return wrapped

    monkeypatch.setattr(ring, "rewrap", rewrap_late)
    monkeypatch.setattr(root, "keyring", lambda: ring)
    assert rotate().rewrapped == 1  # the audit log's
    assert bytes(VaultKey.objects.get().wrapped) == b""


def test_what_the_provider_cannot_prove_to_open_is_not_stored(vault, new_root, monkeypatch):
    from secrets_app.providers.local import LocalProvider

    new_root()
    before = VaultKey.objects.get()
    monkeypatch.setattr(LocalProvider, "wrap", lambda self, key, context: b"x" * 60)
    assert rotate().failed == ["1", str(before.pk)]
    after = VaultKey.objects.get()
    assert (after.root_key_id, bytes(after.wrapped)) == (before.root_key_id, bytes(before.wrapped))


def test_each_key_leaves_an_event_with_both_root_keys(vault, new_root):
    old = keyring().active_root_key_id
    new = new_root()
    AuditEvent.objects.all().delete()
    rotate()
    of_log, event = AuditEvent.objects.order_by("resource_type")
    assert (of_log.resource_type, of_log.details["to"]) == ("audit_key", new)
    assert (event.action, event.vault_id) == ("key.rewrap", vault.pk)
    assert event.details == {"version": 1, "from": old, "to": new}


def test_an_outage_leaves_what_is_done_done(alice, vault, new_root, monkeypatch):
    vault_of(alice, "other")
    new_root()
    ring = keyring()
    rewrap, calls = ring.rewrap, []

    def rewrap_once(kek):
        calls.append(1)
        if len(calls) > 1:
            raise ProviderUnavailable
        return rewrap(kek)

    monkeypatch.setattr(ring, "rewrap", rewrap_once)
    monkeypatch.setattr(root, "keyring", lambda: ring)
    with pytest.raises(ProviderUnavailable):
        rotate()
    assert sum(count_rewrappable(every=False).values()) == 2
    monkeypatch.setattr(ring, "rewrap", rewrap)
    assert rotate().rewrapped == 2


def test_a_wrapped_key_is_bound_to_its_vault_under_the_new_root_key_too(vault, new_root):
    from secrets_app.errors import OpenError

    new_root()
    rotate()
    kek = VaultKey.objects.get().wrapped_key()
    keyring().check(kek)
    with pytest.raises(OpenError):
        keyring().check(replace(kek, version=2))
