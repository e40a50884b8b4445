"""Back up, examine and count the whole service, for operators.

`overview` answers the admin's first page and filters.
"""

from secrets_app.services.operations.backup import back_up
from secrets_app.services.operations.doctor import Finding, Status, examine
from secrets_app.services.operations.secret_states import count_secrets_by_state

__all__ = [
    "Finding",
    "Status",
    "back_up",
    "count_secrets_by_state",
    "examine",
]
