"""Who may do what: decide, look after policies, and explain decisions.

`authorization` judges a caller on a path. `policies` makes and changes the policies of a vault.
`explain` and `whocan` answer questions about them. `refusals` refuses what is not the caller's.
`addresses` tells where a request comes from."""

from secrets_app.services.access.addresses import NAMES_KEPT_APART, client_address
from secrets_app.services.access.authorization import (
    authorize,
    authorize_member,
    is_member,
    may,
    require_owner,
    vault_of,
)
from secrets_app.services.access.explain import explain_access
from secrets_app.services.access.policies import (
    PRINCIPAL_TYPES,
    NewPolicy,
    create_policy,
    delete_policy,
    list_policies,
    update_policy,
)
from secrets_app.services.access.whocan import who_can

__all__ = [
    "NAMES_KEPT_APART",
    "PRINCIPAL_TYPES",
    "NewPolicy",
    "authorize",
    "authorize_member",
    "client_address",
    "create_policy",
    "delete_policy",
    "explain_access",
    "is_member",
    "list_policies",
    "may",
    "require_owner",
    "update_policy",
    "vault_of",
    "who_can",
]
