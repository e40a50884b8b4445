"""Describe who calls a use case: the actor of its events, its token, and what it may do in a vault."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from secrets_app.models.request_state import PathState
from secrets_app.policy.decision import Rule


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and from where. `type`: user, agent, anonymous or operator (a shell on the server).

    `door`: by which protocol, where it is not our own; it stands in the details of each event.
    """

    id: UUID | None
    type: str
    address: str | None = None
    request_id: UUID | None = None
    door: str | None = None


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token with a valid signature and expiry says. The database tells whether it was revoked."""

    principal_id: UUID
    generation: int
    jti: str
    issued_at: datetime
    expires_at: datetime
    api_key_id: UUID | None
    vault_ids: tuple[str, ...] = ()
    parent: str | None = None
    session: UUID | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """How a vault was found by its name: whether it is the caller's own, and how many vaults of the name
    the caller sees, this one included.
    """

    is_own: bool
    namesakes: int


@dataclass(frozen=True, slots=True)
class VaultAccess:
    """A vault that exists, and what the caller may do in it.

    `path_state`: what is stored at the request's path, if that was read along. `is_consistent`: False
    if its marks contradict its keys; it is not served then. `named`: None where it was asked for by its
    id.
    """

    id: UUID
    is_owner: bool
    rules: tuple[Rule, ...]
    path_state: PathState | None = None
    is_consistent: bool = True
    named: Named | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated principal. `vault` is the one that the request names, None if it does not exist.

    `claims` is None when the credential is an API key itself. `api_key_id` is that key, or the one that
    the token was made with. `restrictions` are lists of vault ids, as text: for the caller, no vault
    outside any of them exists.
    """

    id: UUID
    kind: str
    actor: Actor
    claims: Claims | None
    vault: VaultAccess | None
    api_key_id: UUID | None = None
    restrictions: tuple[Sequence[str], ...] = ()
    is_authenticated = True

    def may_enter(self, vault_id: UUID) -> bool:
        """Tell whether agent and token are not restricted to other vaults."""
        return is_within(self.restrictions, vault_id)

    def path_state(self, vault_id: UUID, path: str) -> PathState | None:
        """Return what was read along with the caller about this very path. The service must still check
        it.
        """
        vault = self.vault
        if vault is None or vault.id != vault_id or vault.path_state is None:
            return None
        return vault.path_state if vault.path_state.path == path else None


def is_within(restrictions: tuple[Sequence[str], ...], vault_id: UUID) -> bool:
    """Tell whether a vault is in each of these lists of vault ids, as text."""
    return all(str(vault_id) in allowed for allowed in restrictions)
