"""Bodies of millions of tiny values: short as bytes, and large once they are parsed."""

import pytest

from tests.cast import secret_url

MOST = 100_000
MANY = {
    "numbers": b"[" + b"11," * 2_000_000 + b"1]",
    "lists": b"[" + b"[]," * 2_000_000 + b"1]",
    "objects": b"[" + b"{}," * 2_000_000 + b"1]",
    "names": b"{" + b",".join(b'"%d":1' % number for number in range(MOST + 1)) + b"}",
    "after a text": b'["' + rb"\"," * 10 + b'",' + b"1," * MOST + b"1]",
}


def send(alice, vault, door, values):
    if door == "vault":
        url, raw = f"/vault/v1/{vault.pk}/data/many", b'{"data":{"a":' + values + b"}}"
    elif door == "batch":
        url, raw = f"/v1/vaults/{vault.pk}/secrets:batchWrite", b'{"secrets":' + values + b"}"
    else:
        url = secret_url(vault, "many")
        raw = b'{"type":"note","value":"x","metadata":{"a":' + values + b"}}"
    method = "post" if door == "batch" else "put"
    return getattr(alice.api, method)(url, raw)


@pytest.mark.parametrize("door", ["vault", "v1", "batch"])
@pytest.mark.parametrize("kind", MANY)
def test_a_body_of_very_many_values_is_refused_before_it_is_parsed(alice, vault, door, kind):
    """CVE-2025-6203, CVE-2025-12044"""
    answer = send(alice, vault, door, MANY[kind])
    assert answer.status_code == 400
    assert f"more than {MOST} values" in answer.content.decode()


@pytest.mark.parametrize("text", [",[{" * 300_000, ',"[\\"{' * 150_000])
def test_what_stands_in_a_text_is_no_value(alice, vault, text):
    """A value of /v1 may be JSON itself, or anything else."""
    url = secret_url(vault, "text")
    assert alice.api.put(url, {"type": "note", "value": text}).status_code == 201
    assert alice.api.get(url).json()["value"] == text


def test_as_many_values_as_may_be_are_stored(alice, vault):
    # Less the two objects and the list that they are in.
    values = b"[" + b"1," * (MOST - 3) + b"1]"
    assert send(alice, vault, "vault", values).status_code == 200
    assert send(alice, vault, "vault", values[:-1] + b",1]").status_code == 400


@pytest.mark.parametrize("text", [b'"', b'\\"', b'"\\', b"\\", b'",'])
def test_texts_that_never_end_take_no_time(alice, vault, text):
    # Looked at from each quote on, it would take hours.
    assert send(alice, vault, "v1", text * 2_000_000).status_code == 400
