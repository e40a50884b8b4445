"""Bind an attempt to sign in by a provider to the browser that began it.

The session's cookie is SameSite=Strict and does not come along when a provider sends somebody back. So each
attempt has a cookie of its own: Lax, signed, for ten minutes, and with the prefix `__Host-` over TLS. It
holds one random number. `state`, `nonce` and the PKCE verifier are derived from that with the service's
key, so the cookie reveals none of them. A `state` without its cookie is of somebody else's browser.
"""

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core import signing
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.encoding import iri_to_uri

from vaultsite.accounts.models import SpentFlow
from vaultsite.oidc.providers import Provider
from vaultsite.oidc.refused import SignInRefused

LIFETIME_S = 600
_SALT = "vaultsite.oidc.flow"
# What `state` is made of here. It names the cookie, where other characters cannot be.
_STATE = re.compile(r"[A-Za-z0-9_-]{43}")
_MAX_NEXT_CHARS = 1024


@dataclass(frozen=True, slots=True)
class Flow:
    """An attempt. `next` is where to go on, `invitation` the digest of the one that is accepted."""

    seed: str
    next: str = ""
    invitation: str = ""

    @property
    def state(self) -> str:
        return self._derive("state")

    @property
    def nonce(self) -> str:
        return self._derive("nonce")

    @property
    def verifier(self) -> str:
        """The PKCE verifier (RFC 7636, 4.1): 43 characters."""
        return self._derive("verifier")

    @property
    def challenge(self) -> str:
        """What the provider is told of the verifier (`S256`)."""
        return _encoded(hashlib.sha256(self.verifier.encode()).digest())

    def __repr__(self) -> str:
        return "Flow()"

    def _derive(self, what: str) -> str:
        digest = salted_hmac(f"{_SALT}.{what}", self.seed, algorithm="sha256").digest()
        return _encoded(digest)


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def begin_flow(*, next_url: str, invitation: str) -> Flow:
    """Begin an attempt. `next_url` must be safe to go to."""
    # Encoded first: a browser keeps no cookie of more than 4096 bytes (RFC 6265, 6.1).
    next_url = iri_to_uri(next_url)
    is_short = len(next_url) <= _MAX_NEXT_CHARS
    return Flow(secrets.token_urlsafe(32), next_url if is_short else "", invitation)


def keep(answer: HttpResponse, flow: Flow, provider: Provider) -> None:
    """Have the browser keep an attempt."""
    kept = {"p": provider.id, "i": provider.issuer, "s": flow.seed, "n": flow.next}
    value = signing.dumps(kept | {"v": flow.invitation}, salt=_SALT)
    answer.set_cookie(
        _cookie(flow.state),
        value,
        max_age=LIFETIME_S,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def drop(answer: HttpResponse, state: str) -> None:
    """Have the browser forget an attempt."""
    if _STATE.fullmatch(state):
        name = _cookie(state)
        answer.delete_cookie(name, samesite="Lax")
        # Browsers ignore the deletion of such a cookie unless it is Secure as well.
        answer.cookies[name]["secure"] = settings.SESSION_COOKIE_SECURE


def take_flow(request: HttpRequest, provider: Provider, state: str) -> Flow:
    """Return the attempt that this browser began with this provider. It is spent then, also if it fails.

    Raises SignInRefused: `no_flow`, `other_provider`, `state_used`.
    """
    kept = _read(request, state)
    flow = Flow(kept["s"], kept["n"], kept["v"])
    if not hmac.compare_digest(flow.state, state):
        raise SignInRefused("no_flow")
    if (kept["p"], kept["i"]) != (provider.id, provider.issuer):
        raise SignInRefused("other_provider")
    _spend(flow)
    return flow


def _read(request: HttpRequest, state: str) -> dict[str, Any]:
    if _STATE.fullmatch(state) is None:
        raise SignInRefused("no_flow")
    try:
        kept: dict[str, Any] = signing.loads(
            request.COOKIES.get(_cookie(state), ""), salt=_SALT, max_age=LIFETIME_S
        )
    except signing.BadSignature:
        raise SignInRefused("no_flow") from None
    return kept


def _spend(flow: Flow) -> None:
    now = timezone.now()
    SpentFlow.objects.filter(spent_at__lt=now - timedelta(seconds=2 * LIFETIME_S)).delete()
    try:
        with transaction.atomic():
            SpentFlow.objects.create(state=flow.state, spent_at=now)
    except IntegrityError:
        raise SignInRefused("state_used") from None


def _cookie(state: str) -> str:
    # One for each attempt, so that two tabs do not end each other's.
    prefix = "__Host-" if settings.SESSION_COOKIE_SECURE else ""
    return f"{prefix}oidc-{state[:16]}"
