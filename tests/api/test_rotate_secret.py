import re
import string

import pytest

from secrets_app.models import AuditEvent
from secrets_app.services.secrets.generate import CHARSETS, generate_value
from tests.cast import allow, body, secret_url


def rotate_url(vault, path="a/b"):
    return f"/v1/vaults/{vault.id}/secret-rotate/{path}"


@pytest.fixture
def secret(alice, vault):
    fields = body(
        "old",
        metadata={"tags": ["x"]},
        rotation_policy={"every": "30d"},
        expires_at="2001-01-01T00:00:00Z",
        max_access_count=1,
    )
    alice.api.put(secret_url(vault, "a/b"), fields)
    return secret_url(vault, "a/b")


def test_the_server_draws_the_new_value_and_does_not_say_it(alice, vault, secret):
    response = alice.api.post(rotate_url(vault))
    assert response.status_code == 201
    assert response["ETag"] == '"2"'
    assert set(response.json()) == {"id", "path", "type", "version", "metadata", "created_at"}
    read = alice.api.get(secret).json()
    assert re.fullmatch("[0-9a-f]{32}", read["value"])
    # What describes the secret stays; what bounded the old value does not.
    assert (read["type"], read["metadata"]) == ("password", {"tags": ["x"]})
    assert read["rotation_policy"] == {"every": "30d"}
    assert "expires_at" not in read
    assert "max_access_count" not in read
    event = AuditEvent.objects.get(action="secret.rotate")
    assert event.details == {"path": "a/b", "version": 2, "type": "password"}


@pytest.mark.parametrize(
    ("charset", "pattern"),
    [
        ("hex", r"[0-9a-f]{40}"),
        ("base64", r"[A-Za-z0-9+/]{40}"),
        ("alphanumeric", r"[A-Za-z0-9]{40}"),
        ("ascii", r"[!-~]{40}"),
    ],
)
def test_every_charset_in_the_length_asked_for(alice, vault, secret, charset, pattern):
    alice.api.post(rotate_url(vault), {"length": 40, "charset": charset, "type": "api_key"})
    read = alice.api.get(secret).json()
    assert re.fullmatch(pattern, read["value"])
    assert read["type"] == "api_key"


@pytest.mark.parametrize("length", [8, 1024])
def test_the_bounds_of_the_length_are_included(alice, vault, secret, length):
    assert alice.api.post(rotate_url(vault), {"length": length}).status_code == 201
    assert len(alice.api.get(secret).json()["value"]) == length


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("length", 7),
        ("length", 1025),
        ("length", "32"),
        ("length", 32.5),
        ("length", True),
        ("length", None),
        ("charset", "emoji"),
        ("charset", None),
        ("charset", ["hex"]),
        ("type", "generic"),
        ("lenght", 32),
    ],
)
def test_a_bad_recipe_is_400_and_changes_nothing(alice, vault, secret, field, value):
    response = alice.api.post(rotate_url(vault), {field: value})
    assert response.status_code == 400
    assert list(response.json()["errors"]) == [field]
    assert not AuditEvent.objects.filter(action="secret.rotate").exists()


def test_only_a_living_secret_can_be_rotated(alice, vault, secret):
    assert alice.api.post(rotate_url(vault, "no/such")).status_code == 404
    alice.api.delete(secret)
    assert alice.api.post(rotate_url(vault)).status_code == 404


@pytest.mark.parametrize(
    ("permission", "status"), [("read", 403), ("delete", 403), ("write", 201), ("rotate", 201)]
)
def test_rotating_needs_write_or_rotate(alice, bob, vault, secret, permission, status):
    alice.api.put(secret, body("without bounds"))
    allow(bob, vault, "**", permission)
    assert bob.api.post(rotate_url(vault)).status_code == status


def test_the_charsets_are_what_their_names_say():
    assert sorted(CHARSETS["hex"]) == sorted("0123456789abcdef")
    assert len(set(CHARSETS["base64"])) == len(CHARSETS["base64"]) == 64
    assert set(CHARSETS["alphanumeric"]) == set(string.ascii_letters + string.digits)
    assert set(CHARSETS["ascii"]) == set(string.printable[:94])


@pytest.mark.parametrize("charset", CHARSETS)
def test_every_character_is_equally_likely(charset):
    """Chi-squared, at odds of about one to a billion of failing by chance."""
    alphabet = CHARSETS[charset]
    drawn = "".join(generate_value(1024, charset) for _ in range(100))
    expected = len(drawn) / len(alphabet)
    chi = sum((drawn.count(character) - expected) ** 2 / expected for character in alphabet)
    freedom = len(alphabet) - 1
    assert chi < freedom + 6 * (2 * freedom) ** 0.5 + 20
