"""Examine the providers for `manage.py doctor`: discovery, keys, client secret, clock."""

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

from secrets_app.errors import OutboundError, ProviderError
from secrets_app.federation.key_sets import ALGORITHMS, KeySetError, parse_key_set
from secrets_app.outbound import Answer
from secrets_app.services.operations import Finding, Status
from vaultsite.oidc.endpoints import BadDiscovery, Endpoints, fetch_document, fetch_endpoints
from vaultsite.oidc.providers import Provider, read_providers

_SKEW_WARN_S, _SKEW_FAIL_S = 5, 60
_SAID = {
    "bad_endpoint": "Its discovery document names endpoints that are missing or not https.",
    "no_algorithm": f"It signs with none of {', '.join(ALGORITHMS)}.",
    "no_document": "There is no discovery document.",
    "no_pkce": "It offers PKCE without S256.",
    "other_issuer": "Its discovery document names another issuer.",
}


def examine_providers() -> list[Finding]:
    """Ask each provider. What is wrong with the settings is a finding of the system checks."""
    found, _ = read_providers()
    return [finding for provider in found for finding in _examine(provider)]


def _examine(provider: Provider) -> Iterator[Finding]:
    about = f"provider {provider.id}"
    try:
        if provider.secret is not None:
            provider.secret.read()
    except ProviderError as error:
        advice = "Write the client secret there, readable by the service."
        yield Finding(about, Status.FAILURE, error.detail, advice)
    try:
        endpoints, answer = fetch_endpoints(provider)
    except OutboundError as error:
        said = f"It cannot be asked: {error.reason.replace('_', ' ')}."
        advice = "Check the network from here, its certificate, and the provider's CA_FILE."
        yield Finding(about, Status.FAILURE, said, advice)
        return
    except BadDiscovery as error:
        advice = "Write ISSUER exactly as the provider does, or mend its set-up."
        yield Finding(about, Status.FAILURE, _SAID[error.reason], advice)
        return
    yield _keys(about, provider, endpoints)
    yield _clock(about, answer)


def _keys(about: str, provider: Provider, endpoints: Endpoints) -> Finding:
    try:
        document = fetch_document(provider, endpoints.jwks)
        keys = parse_key_set(document).public
    except (OutboundError, KeySetError):
        keys = []
    if keys:
        return Finding(about, Status.OK, f"answers, and signs with one of {len(keys)} keys")
    said = "None of its keys (JWKS) can be used."
    return Finding(about, Status.FAILURE, said, f"It must sign with {', '.join(ALGORITHMS)}.")


def _clock(about: str, answer: Answer) -> Finding:
    """Compare the clocks, as exactly as the Date header goes (RFC 9110, 6.6.1): by seconds."""
    try:
        skew_s = parsedate_to_datetime(answer.date or "").timestamp() - time.time()
    except (TypeError, ValueError):
        return Finding(about, Status.OK, "does not tell the time")
    if abs(skew_s) <= _SKEW_WARN_S:
        return Finding(about, Status.OK, "its clock runs with ours")
    status = Status.FAILURE if abs(skew_s) > _SKEW_FAIL_S else Status.WARNING
    said = f"Its clock differs by {skew_s:+.0f} seconds."
    advice = "Its tokens go by its clock: keep both machines on NTP (timedatectl)."
    return Finding(about, status, said, advice)
