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


BODIES = {  # route → names of its fields
    ("POST", "/v1/vaults"): ("name", "description"),
    ("POST", "/v1/agents"): ("name", "vault_ids", "token_ttl_seconds", "expires_at", "auth_method"),
    ("POST", "/v1/auth/token"): ("email", "password"),
    ("POST", "/v1/auth/api-key-token"): ("api_key",),
    ("POST", "/v1/auth/agent-token"): ("api_key", "agent_id"),
    ("POST", "/v1/auth/api-keys"): ("name", "expires_at"),
    ("POST", "/v1/auth/change-password"): ("current_password", "new_password"),
    ("PATCH", "/v1/auth/me"): ("display_name",),
    ("POST", "/v1/vaults/{vault}/policies"): (
        *("secret_path_pattern", "principal_type", "principal_id", "permissions"),
        *("conditions", "effect", "expires_at"),
    ),
    ("POST", "/v1/vaults/{vault}/secrets:batchRead"): ("paths",),
    ("POST", "/v1/vaults/{vault}/secret-rotate/a"): ("length", "charset", "type"),
}


@settings(quick, max_examples=40)
@given(data=st.data())
@pytest.mark.parametrize("route", BODIES)
def test_any_json_is_an_answer_and_no_5xx_on_every_route_that_takes_a_body(
    alice, vault, route, data
):
    method, path = route
    named = st.dictionaries(st.sampled_from(BODIES[route]), anything, max_size=6)
    sent = json.dumps(data.draw(named | anything))
    response = alice.api.request(method, path.format(vault=vault.pk), sent)
    assert response.status_code in {200, 201, 400, 401, 404, 409, 429}, response.content
    if response.status_code >= 400:
        assert response["Content-Type"] == "application/problem+json"
