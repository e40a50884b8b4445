import pytest

from secrets_app.models import AuditEvent
from tests.cast import allow, body, secret_url

PROXIES = ["10.0.0.0/8", "2001:db8:1::/48"]


@pytest.fixture
def seen(alice, vault, settings):
    """The address in the audit log for a peer and a header, behind trusted proxies or not."""

    def see(peer, forwarded, proxies=PROXIES):
        settings.SECRETS_APP = settings.SECRETS_APP | {"TRUSTED_PROXIES": proxies}
        headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
        alice.api.put(secret_url(vault), body(), REMOTE_ADDR=peer, headers=headers)
        return AuditEvent.objects.filter(action="secret.write").latest("id").ip_address

    return see


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        # A peer that is no trusted proxy may say what it likes.
        ("198.51.100.1", "192.0.2.7", "198.51.100.1"),
        ("198.51.100.1", None, "198.51.100.1"),
        # One that is speaks for the client …
        ("10.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "192.0.2.7, 10.0.0.2", "192.0.2.7"),
        ("::ffff:10.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("2001:db8:1::5", "2001:db8:2::7", "2001:db8:2::7"),
        # … but what the client itself sent before that does not count.
        ("10.0.0.1", "203.0.113.9, 192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "10.0.0.9, 192.0.2.7, 10.0.0.2", "192.0.2.7"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.2", "10.0.0.2"),
        # Nonsense from a proxy is no address at all.
        ("10.0.0.1", "unknown", None),
        ("10.0.0.1", "192.0.2.7:1234", None),
    ],
)
def test_the_address_is_the_last_hop_that_is_not_ours(seen, peer, forwarded, address):
    assert seen(peer, forwarded) == address


def test_without_trusted_proxies_the_header_never_counts(seen):
    assert seen("10.0.0.1", "192.0.2.7", proxies=[]) == "10.0.0.1"


def test_a_forged_header_does_not_fulfil_a_condition(alice, bob, vault, settings):
    alice.api.put(secret_url(vault), body())
    allow(bob, vault, "**", "read", conditions={"ip_allowlist": ["192.0.2.0/24"]})
    forged = {
        "X-Forwarded-For": "192.0.2.7",
        "X-Real-IP": "192.0.2.7",
        "Forwarded": "for=192.0.2.7",
    }
    peer = {"REMOTE_ADDR": "198.51.100.1"}
    assert bob.api.get(secret_url(vault), headers=forged, **peer).status_code == 403
    settings.SECRETS_APP = settings.SECRETS_APP | {"TRUSTED_PROXIES": ["198.51.100.0/24"]}
    assert bob.api.get(secret_url(vault), headers=forged, **peer).status_code == 200


def test_a_malformed_network_is_said_at_the_start(settings):
    from django.core.checks import run_checks

    settings.SECRETS_APP = settings.SECRETS_APP | {"TRUSTED_PROXIES": ["10.0.0.1/8"]}
    (message,) = run_checks(tags=["secrets_app"], databases=[])
    assert "TRUSTED_PROXIES" in message.msg


def test_without_a_server_that_keeps_header_names_apart_the_peer_counts(seen, settings):
    """Issue 14, point 1: WSGI spells X_Forwarded_For like X-Forwarded-For."""
    settings.SECRETS_APP = settings.SECRETS_APP | {"HEADER_NAMES_KEPT_APART": False}
    assert seen("10.0.0.1", "192.0.2.7") == "10.0.0.1"


def test_the_wsgi_application_believes_no_forwarding_header_by_default(settings, capfd):
    from vaultsite.forwarding import WithoutForwarding

    app = settings.SECRETS_APP | {"TRUSTED_PROXIES": PROXIES}
    for kept_apart in (False, True):
        settings.SECRETS_APP = app | {"HEADER_NAMES_KEPT_APART": kept_apart}
        seen_by_django = []
        environ = {"HTTP_X_FORWARDED_FOR": "192.0.2.7", "HTTP_X_FORWARDED_PROTO": "https"}
        WithoutForwarding(lambda env, _, seen=seen_by_django: seen.extend(env))(environ, None)
        assert bool(seen_by_django) == kept_apart
        assert ("HEADER_NAMES_KEPT_APART" in capfd.readouterr().err) == (not kept_apart)
