"""Whatever is sent as a body: it is taken or refused, never a 5xx, and what was taken comes back."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cast import body, secret_url

quick = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
text = st.text(st.characters(exclude_categories=[]), max_size=20)  # surrogates as well
numbers = st.integers() | st.floats() | st.sampled_from([2**63, -(2**64), 10**400])
anything = st.recursive(
    st.none() | st.booleans() | numbers | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)
fields = st.sampled_from(
    ["type", "value", "metadata", "expires_at", "rotation_policy", "max_access_count", "other"]
)


@quick
@given(raw=st.binary(max_size=200))
def test_any_bytes_are_a_400(alice, vault, raw):
    response = alice.api.put(secret_url(vault), raw or b"-")
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"


@quick
@given(content=anything | st.dictionaries(fields, anything, max_size=5))
@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_any_json_is_taken_or_refused(alice, vault, method, content):
    path = secret_url(vault) if method == "PUT" else f"/v1/vaults/{vault.pk}/secrets:batchWrite"
    for sent in (content, {"secrets": [content]}):
        response = alice.api.request(method, path, json.dumps(sent))
        assert response.status_code in (201, 400), response.content


@quick
@given(
    value=st.text(max_size=50), metadata=st.dictionaries(st.text(max_size=9), anything, max_size=4)
)
def test_what_was_taken_comes_back_as_it_was(alice, vault, value, metadata):
    response = alice.api.put(secret_url(vault), json.dumps(body(value, metadata=metadata)))
    if response.status_code == 201:
        read = alice.api.get(secret_url(vault)).json()
        assert read["value"] == value
        assert json.dumps(read["metadata"], sort_keys=True) == json.dumps(metadata, sort_keys=True)
    else:
        assert set(response.json()["errors"]) <= {"body", "metadata"}
