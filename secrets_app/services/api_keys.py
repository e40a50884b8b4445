"""API keys: 256 random bits, shown once, kept as a digest."""

import hashlib
import secrets
from datetime import datetime

from django.db import transaction

from secrets_app.errors import InvalidInput
from secrets_app.models import ApiKey, Principal
from secrets_app.services.audit import SUCCESS, Actor, Resource, record

USER_KEY_PREFIX = "1ck_"
AGENT_KEY_PREFIX = "ocv_"
_KEY_BYTES = 32
_SHOWN_CHARS = 12


def digest_api_key(raw: str) -> str:
    """What is stored of a key and what it is found by: SHA-256, in hex."""
    return hashlib.sha256(raw.encode()).hexdigest()


def create_api_key(
    *, principal: Principal, name: str, actor: Actor, expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """Make a key and return it with its text, which cannot be had again. Raises InvalidInput."""
    if not 0 < len(name) <= 255:
        raise InvalidInput({"name": ["A name has 1 to 255 characters."]})
    is_agent = principal.kind == Principal.Kind.AGENT
    raw = (AGENT_KEY_PREFIX if is_agent else USER_KEY_PREFIX) + secrets.token_urlsafe(_KEY_BYTES)
    with transaction.atomic():
        key = ApiKey.objects.create(
            principal=principal,
            name=name,
            prefix=raw[:_SHOWN_CHARS],
            digest=digest_api_key(raw),
            expires_at=expires_at,
        )
        record("key.create", SUCCESS, actor=actor, resource=Resource("api_key", key.id))
    return key, raw
