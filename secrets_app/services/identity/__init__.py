"""Identify who calls: people and agents, their credentials and tokens.

`identification` finds the holder of a credential: the first step of each request. `sign_in` exchanges
credentials for tokens, `assertion_sign_in` tokens of other issuers. `sessions` are what people are signed
in by, `devices` and `device_approval` let devices in. `tokens` and `signing_keys` issue and verify tokens.
`api_keys`, `agents`, `agent_identities`, `principals` and `account` manage what their names say.
`identity_ends` is what ends with an identity. `passwords` and `second_factor` are what people prove their
identity with. `digests` says what is stored of secrets. `roles` lists what people may do in the admin.
"""

from secrets_app.services.identity.account import change_password, get_account, rename_account
from secrets_app.services.identity.agent_identities import (
    DEFAULT_AGE_S,
    MAX_AGE_S,
    MIN_AGE_S,
    NewIdentity,
    create_identity,
    delete_identity,
    get_identity,
    list_identities,
)
from secrets_app.services.identity.agents import (
    DEFAULT_TTL_S,
    MAX_TTL_S,
    MIN_TTL_S,
    NewAgent,
    agents_of,
    deactivate_agent,
    get_agent,
    get_own_agent,
    hand_over_agent,
    list_agents,
    register_agent,
    require_person,
    rotate_agent_key,
    update_agent,
)
from secrets_app.services.identity.api_keys import (
    create_api_key,
    digest_api_key,
    list_api_keys,
    revoke_api_key,
)
from secrets_app.services.identity.assertion_sign_in import (
    sign_in_by_role,
    sign_in_with_assertion,
)
from secrets_app.services.identity.derived_tokens import derive_token
from secrets_app.services.identity.device_approval import (
    Approver,
    approve_device,
    approver_of,
    deny_device,
    look_at_device,
)
from secrets_app.services.identity.devices import NewDevice, poll_device, start_device
from secrets_app.services.identity.digests import digest_of
from secrets_app.services.identity.identification import identify
from secrets_app.services.identity.own_factor import (
    begin_app,
    confirm_app,
    end_sessions_without_factor,
    is_factor_enabled,
    remove_app,
)
from secrets_app.services.identity.passkeys import (
    begin_assertion,
    begin_registration,
    complete_registration,
    list_passkeys,
    remove_passkey,
    sign_in_with_passkey,
)
from secrets_app.services.identity.principals import (
    activate_person,
    deactivate_person,
    end_tokens,
    principal_for_user,
)
from secrets_app.services.identity.roles import ROLES, permissions_of
from secrets_app.services.identity.second_factor import open_factor, seal_factor
from secrets_app.services.identity.second_step import CodeAsked, sign_in_with_code
from secrets_app.services.identity.sessions import (
    end_session_by_id,
    list_sessions,
    refresh_by_access_token,
    refresh_session,
    sign_out,
    start_session,
)
from secrets_app.services.identity.sign_in import (
    record_session_sign_in,
    sign_in_with_agent_key,
    sign_in_with_api_key,
    sign_in_with_password,
)
from secrets_app.services.identity.signing_keys import key_set
from secrets_app.services.identity.tokens import IssuedToken, issue_token, read_token

__all__ = [
    "DEFAULT_AGE_S",
    "DEFAULT_TTL_S",
    "MAX_AGE_S",
    "MAX_TTL_S",
    "MIN_AGE_S",
    "MIN_TTL_S",
    "ROLES",
    "Approver",
    "CodeAsked",
    "IssuedToken",
    "NewAgent",
    "NewDevice",
    "NewIdentity",
    "activate_person",
    "agents_of",
    "approve_device",
    "approver_of",
    "begin_app",
    "begin_assertion",
    "begin_registration",
    "change_password",
    "complete_registration",
    "confirm_app",
    "create_api_key",
    "create_identity",
    "deactivate_agent",
    "deactivate_person",
    "delete_identity",
    "deny_device",
    "derive_token",
    "digest_api_key",
    "digest_of",
    "end_session_by_id",
    "end_sessions_without_factor",
    "end_tokens",
    "get_account",
    "get_agent",
    "get_identity",
    "get_own_agent",
    "hand_over_agent",
    "identify",
    "is_factor_enabled",
    "issue_token",
    "key_set",
    "list_agents",
    "list_api_keys",
    "list_identities",
    "list_passkeys",
    "list_sessions",
    "look_at_device",
    "open_factor",
    "permissions_of",
    "poll_device",
    "principal_for_user",
    "read_token",
    "record_session_sign_in",
    "refresh_by_access_token",
    "refresh_session",
    "register_agent",
    "remove_app",
    "remove_passkey",
    "rename_account",
    "require_person",
    "revoke_api_key",
    "rotate_agent_key",
    "seal_factor",
    "sign_in_by_role",
    "sign_in_with_agent_key",
    "sign_in_with_api_key",
    "sign_in_with_assertion",
    "sign_in_with_code",
    "sign_in_with_passkey",
    "sign_in_with_password",
    "sign_out",
    "start_device",
    "start_session",
    "update_agent",
]
