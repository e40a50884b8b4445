"""Judge an ID token (OpenID Connect Core 1.0, 3.1.3.7), and say whom it is about."""

import hmac
import time
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from secrets_app.errors import IssuerUnavailable, Unauthenticated
from secrets_app.federation.assertion import Assertion, check_signature, read_assertion
from secrets_app.federation.issuers import KeySource, issuer_keys
from vaultsite.oidc.endpoints import Endpoints
from vaultsite.oidc.groups import groups_of
from vaultsite.oidc.providers import Provider
from vaultsite.oidc.refused import SignInRefused

# As long as the column of django-allauth; OpenID Connect Core 1.0 allows 255.
_MAX_SUBJECT_CHARS = 191
_MAX_EMAIL_CHARS = 254
_MAX_NAME_CHARS = 255
_MAX_AUDIENCES = 10


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a provider vouches for. `email` is set where the provider is trusted about it.

    `groups` are groups here, as the settings map them.
    """

    provider: Provider
    subject: str = field(repr=False)
    email: str | None = field(repr=False)
    name: str = field(repr=False)
    groups: frozenset[str] = field(repr=False)


def read_id_token(
    raw: str, *, provider: Provider, endpoints: Endpoints, nonce: str
) -> dict[str, Any]:
    """Return the claims of an ID token that is valid, signed, for us, and of this attempt.

    Raises SignInRefused with what is wrong.
    """
    try:
        token = read_assertion(raw, now=time.time())
        if token.issuer != provider.issuer:
            raise SignInRefused("other_issuer")
        if token.algorithm not in endpoints.algorithms:
            raise SignInRefused("algorithm_not_allowed")
        source = KeySource(provider.issuer, is_trusted=True, ca_file=provider.ca_file)
        key = issuer_keys.find(source, token.kid, token.algorithm, holder=provider.issuer)
        check_signature(token, key)
    except Unauthenticated as error:
        raise SignInRefused(error.reason) from None
    except IssuerUnavailable:
        raise SignInRefused("provider_unavailable") from None
    _check_audience(token, provider.client_id)
    given = token.claims.get("nonce")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
        raise SignInRefused("bad_nonce")
    if not is_subject(token.claims.get("sub")):
        raise SignInRefused("bad_subject")
    return token.claims


def with_userinfo(
    claims: dict[str, Any], userinfo: dict[str, Any], provider: Provider
) -> dict[str, Any]:
    """Add the claims of the userinfo endpoint. Raises SignInRefused when they are about another."""
    if userinfo.get("sub") != claims["sub"]:
        raise SignInRefused("other_subject")
    # What the ID token says stands: it is signed.
    merged = userinfo | claims
    address = ("email", provider.verified_claim)
    differ = any(name in userinfo and userinfo[name] != merged[name] for name in address)
    if differ and not all(name in claims for name in address):
        # One would vouch for an address of the other.
        merged.pop(provider.verified_claim, None)
    return merged


def identify(claims: dict[str, Any], provider: Provider) -> Identity:
    """Say whom claims are about. Raises SignInRefused where the settings want others."""
    for name, wanted in provider.required_claims:
        if claims.get(name) != wanted:
            raise SignInRefused("required_claim")
    given = claims.get("name")
    is_name = isinstance(given, str) and given.isprintable()
    return Identity(
        provider=provider,
        subject=claims["sub"],
        email=_trusted_email(claims, provider),
        name=str(given).strip()[:_MAX_NAME_CHARS] if is_name else "",
        groups=groups_of(claims, provider),
    )


def _check_audience(token: Assertion, client_id: str) -> None:
    azp = token.claims.get("azp")
    if azp is not None and azp != client_id:
        raise SignInRefused("other_party")
    if token.has_audience(client_id):
        return
    named = token.claims.get("aud")
    if not isinstance(named, list) or len(named) > _MAX_AUDIENCES or client_id not in named:
        raise SignInRefused("other_audience")
    if azp is None:
        # One token for several must say to whom it was issued.
        raise SignInRefused("other_party")


def is_subject(subject: Any) -> bool:
    """Tell whether this can be a `sub`: ASCII, of 1 to 191 characters, not padded."""
    return (
        isinstance(subject, str)
        and 0 < len(subject) <= _MAX_SUBJECT_CHARS
        and subject.isascii()
        and subject.isprintable()
        and subject == subject.strip()
    )


def _trusted_email(claims: dict[str, Any], provider: Provider) -> str | None:
    """Return the address in lower case, where the provider has verified it and may speak for its domain."""
    email, verified = claims.get("email"), claims.get(provider.verified_claim)
    # Some providers write it as text.
    if not (verified is True or verified in ("true", "1")):
        return None
    if not isinstance(email, str) or len(email) > _MAX_EMAIL_CHARS or not email.isascii():
        return None
    email = email.lower()
    try:
        validate_email(email)
    except ValidationError:
        return None
    return email if email.rpartition("@")[2] in provider.trusted_domains else None
