import json

import pytest
from django.core import serializers
from django.core.exceptions import FieldError
from django.db.models import Case, F, Value

from secrets_app.crypto.plaintext import Plaintext
from secrets_app.fields import Sealed
from secrets_app.models import SecretVersion
from tests.cast import body, secret_url


@pytest.fixture
def version(alice, vault):
    alice.api.put(secret_url(vault), body("hunter2"))
    return SecretVersion.objects.get()


REFUSED = [
    lambda v: SecretVersion.objects.update(value="x"),
    lambda v: SecretVersion.objects.update(value=b"x"),
    lambda v: SecretVersion.objects.update(value=Plaintext(b"hunter2")),
    lambda v: SecretVersion.objects.update(value=Value("x")),
    lambda v: SecretVersion.objects.update(value=F("type")),
    lambda v: SecretVersion.objects.update(value=Case(default=Value("x"))),
    lambda v: SecretVersion.objects.filter(value="x").exists(),
    lambda v: SecretVersion.objects.filter(value__contains="x").exists(),
    lambda v: SecretVersion.objects.filter(value__in=["x"]).exists(),
    lambda v: SecretVersion.objects.filter(value__length=3).exists(),
    lambda v: list(SecretVersion.objects.order_by("value")),
    lambda v: list(SecretVersion.objects.order_by("-value")),
    lambda v: serializers.serialize("json", [v]),
    lambda v: SecretVersion.objects.bulk_update(_assign(v, Plaintext(b"hunter2")), ["value"]),
    lambda v: _assign(v, "hunter2")[0].save(),
    lambda v: _assign(v, b"hunter2")[0].save(),
    lambda v: SecretVersion._meta.get_field("value").to_python("hunter2"),
]


def _assign(version, value):
    version.value = value
    return [version]


@pytest.mark.parametrize("attempt", REFUSED, ids=range(len(REFUSED)))
def test_every_way_around_sealing_is_refused_and_says_what_to_do(version, attempt):
    with pytest.raises(FieldError, match="Plaintext") as caught:
        attempt(version)
    assert "hunter2" not in str(caught.value)


def test_loading_gives_a_handle_that_shows_nothing(version):
    assert isinstance(version.value, Sealed)
    assert f"{version.value!r} {version.value}" == "<Sealed> <Sealed>"
    assert not hasattr(version.value, "open")


def test_values_give_the_handle_and_it_is_not_serialisable(version):
    (row,) = SecretVersion.objects.values("value")
    assert isinstance(row["value"], Sealed)
    with pytest.raises(TypeError):
        json.dumps(row)


def test_saving_again_does_not_seal_twice(version, alice, vault):
    before = version.value.envelope
    version.save()
    version.access_count = F("access_count") + 1
    version.save()
    version.refresh_from_db()
    assert version.value.envelope == before
    assert alice.api.get(secret_url(vault)).json()["value"] == "hunter2"


def test_a_saved_object_holds_no_plaintext_any_more(version):
    version.value = Plaintext(b"new")
    version.save()
    assert isinstance(version.value, Sealed)
    assert b"new" not in version.value.envelope


def test_bulk_create_seals_too(version):
    copy = SecretVersion(
        vault_id=version.vault_id,
        secret=version.secret,
        number=2,
        type="note",
        value=Plaintext(b"hunter3"),
        vault_key=version.vault_key,
        created_by_id=version.created_by_id,
    )
    SecretVersion.objects.bulk_create([copy])
    stored = SecretVersion.objects.get(number=2).value.envelope
    assert stored[0] == 1
    assert b"hunter3" not in stored


def test_bulk_update_moves_handles(version):
    new = Sealed(version.value.envelope[::-1])
    version.value = new
    SecretVersion.objects.bulk_update([version], ["value"])
    version.refresh_from_db()
    assert version.value.envelope == new.envelope


def test_an_absent_value_can_be_asked_for(version):
    assert not SecretVersion.objects.filter(value__isnull=True).exists()


def test_it_is_in_no_form_and_no_migration_argument():
    field = SecretVersion._meta.get_field("value")
    assert not field.editable
    assert field.formfield() is None
    assert field.deconstruct()[1:] == ("secrets_app.fields.EncryptedField", [], {"null": True})
