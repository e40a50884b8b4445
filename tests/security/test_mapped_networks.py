"""Issue 14, point 10: a deny for an IPv4-mapped network never applied, since clients' addresses were
unmapped and networks were not."""

import pytest

from secrets_app.conf import app_settings
from tests.cast import allow, body, deny, secret_url

MAPPED = ["::ffff:127.0.0.0/104"]


@pytest.fixture
def written(alice, vault):
    alice.api.put(secret_url(vault), body())
    return secret_url(vault)


@pytest.mark.parametrize("networks", [MAPPED, ["::ffff:0:0/96"], ["::ffff:7f00:1"]])
@pytest.mark.parametrize("is_stored_by_hand", [True, False])
def test_a_deny_for_a_mapped_network_applies(
    alice, bob, vault, written, networks, is_stored_by_hand
):
    allow(bob, vault, "**", "read")
    assert bob.api.get(written).status_code == 200
    if is_stored_by_hand:  # as by an earlier release
        deny(bob, vault, "**", "read", conditions={"ip_allowlist": networks})
    else:
        fields = {
            "secret_path_pattern": "**",
            "principal_type": "user",
            "principal_id": str(bob.principal.id),
            "permissions": ["read"],
            "effect": "deny",
            "conditions": {"ip_allowlist": networks},
        }
        assert alice.api.post(f"/v1/vaults/{vault.id}/policies", fields).status_code == 201
    assert bob.api.get(written).status_code == 403
    listed = bob.api.get(f"/v1/vaults/{vault.id}/secrets").json()
    assert listed == {"secrets": []}


def test_an_allow_for_a_mapped_network_applies(bob, vault, written):
    allow(bob, vault, "**", "read", conditions={"ip_allowlist": MAPPED})
    assert bob.api.get(written).status_code == 200
    assert bob.api.get(written, REMOTE_ADDR="192.0.2.1").status_code == 403


def test_trusted_proxies_may_be_mapped_too(settings, bob, vault, written):
    settings.SECRETS_APP = settings.SECRETS_APP | {"TRUSTED_PROXIES": MAPPED}
    assert str(app_settings.TRUSTED_PROXIES[0]) == "127.0.0.0/8"
    allow(bob, vault, "**", "read", conditions={"ip_allowlist": ["192.0.2.0/24"]})
    assert bob.api.get(written, headers={"X-Forwarded-For": "192.0.2.1"}).status_code == 200
