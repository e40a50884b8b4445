"""What schemathesis has found, each once more (the changelog lists it under Security)."""

import pytest

from secrets_app.models import SecretVersion
from tests.cast import body, secret_url


@pytest.mark.parametrize("spell", ["{}", "{}.0", "{}0e-1"])
def test_a_whole_number_may_be_spelled_as_json_allows(alice, vault, spell):
    """JSON Schema, Validation §6.1.1: a number with a zero fraction is an integer."""
    url, base = secret_url(vault, "a"), f"/v1/vaults/{vault.id}"
    three, sixteen, day = (spell.format(number) for number in (3, 16, 86_400))

    counted = f'{{"type": "note", "value": "v", "max_access_count": {three}}}'
    for _ in range(3):
        assert alice.api.put(url, counted).status_code == 201
    assert SecretVersion.objects.get(number=3).max_access_count == 3

    item = f'{{"path": "a", "type": "note", "value": "w", "if_version": {three}}}'
    written = alice.api.post(f"{base}/secrets:batchWrite", f'{{"secrets": [{item}]}}')
    assert written.status_code == 201

    rotated = alice.api.post(f"{base}/secret-rotate/a", f'{{"length": {sixteen}}}')
    assert rotated.status_code == 201
    assert SecretVersion.objects.filter(secret__path="a").count() == 5

    made = alice.api.post("/v1/agents", f'{{"name": "r", "token_ttl_seconds": {day}}}')
    assert made.json()["agent"]["token_ttl_seconds"] == 86_400


@pytest.mark.parametrize("spelled", ["3.5", "true", '"3"', "-3.0", "1e400", "3e99"])
def test_what_is_no_whole_number_in_range_is_refused(alice, vault, spelled):
    raw = f'{{"type": "note", "value": "v", "max_access_count": {spelled}}}'
    assert alice.api.put(secret_url(vault), raw).status_code == 400
    assert not SecretVersion.objects.exists()


@pytest.mark.parametrize("junk", ["!", "\n", " ", "=", "+", "/", "é", "\x00", "💥"])
def test_a_cursor_with_a_character_that_means_nothing_is_refused(alice, vault, junk):
    """Decoders of base64 skip what they do not know, so that many texts were one cursor."""
    for path in ("a", "b"):
        alice.api.put(secret_url(vault, path), body())
    headers = {"Authorization": f"Bearer {alice.token}"}

    def page(**query):
        url = f"/v1/vaults/{vault.id}/secrets"
        return alice.api.client.get(url, query, headers=headers)

    cursor = page(limit=1).json()["next_cursor"]
    assert [each["path"] for each in page(cursor=cursor).json()["secrets"]] == ["b"]
    for text in (cursor + junk, junk + cursor, cursor[:9] + junk + cursor[9:], cursor[:9] + junk):
        assert page(cursor=text).status_code == 400, text
