"""What is mutated, and by which tests each part is judged. The only place that names files: when one moves,
its line here changes."""

from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "secrets_app"

# Not mutated: figures for a page of the admin.
LEFT_OUT = ("services/operations/overview/*",)


@dataclass(frozen=True, slots=True)
class Slice:
    """`files`: globs below `secrets_app/`. `tests`: what below `tests/` judges them; few, so
    that a mutant costs seconds."""

    name: str
    files: tuple[str, ...]
    tests: tuple[str, ...]

    def holds(self, file: str) -> bool:
        """Whether a file, named from `secrets_app/`, belongs to this slice."""
        return any(fnmatch(file, glob) for glob in self.files)


# What the log says of each route, command and action of the admin.
_EVENTS = tuple(
    f"security/test_no_event_no_action.py::test_every_{what}"
    for what in (
        "route_leaves_an_event",
        "refusal_of_a_stranger_leaves_an_event_with_its_reason",
        "command_leaves_an_event_of_the_operator",
        "action_of_the_admin_leaves_an_event_of_the_person",
    )
)

SLICES = (
    # In the order of risk: what ends and reveals, what writes, who may, what is shown, what is recorded.
    Slice(
        "purge",
        ("services/secrets/purge.py",),
        ("services/test_purge.py", "api/test_delete_vault.py", "security/test_turned_back.py"),
    ),
    Slice(
        "lifecycle",
        ("services/secrets/lifecycle.py",),
        (
            "api/test_delete_secret.py",
            "api/test_versions.py",
            "api/test_what_events_say.py",
            "services/test_lifecycle.py",
            "services/test_purge.py",
        ),
    ),
    Slice(
        "reveal",
        (
            "services/secrets/reveal.py",
            "services/secrets/lookup.py",
            "services/transactions/audited.py",
        ),
        (
            "api/test_get_secret.py",
            "api/test_versions.py",
            "api/test_what_events_say.py",
            "security/test_rows_in_the_database.py",
            "security/test_turned_back.py",
            "services/test_access.py",
        ),
    ),
    Slice(
        "write",
        (
            "services/secrets/write.py",
            "services/secrets/preconditions.py",
            "services/secrets/generate.py",
        ),
        (
            "services/test_write.py",
            "api/test_put_secret.py",
            "api/test_preconditions.py",
            "api/test_rotate_secret.py",
            "api/test_what_events_say.py",
            "api/test_delete_secret.py",
            "api/test_concurrency.py",
        ),
    ),
    Slice(
        "sign_in",
        (
            "services/identity/sign_in.py",
            "services/identity/passwords.py",
            "services/identity/second_factor.py",
            "services/identity/sign_in_events.py",
        ),
        (
            "api/test_sign_in.py",
            "api/test_what_sign_ins_say.py",
            "api/test_account.py",
            "accounts",
            "api/test_agents.py",
            "api/test_token.py",
            "api/test_throttling.py",
            "admin/test_sign_in.py",
            "vault_api/test_signing_in.py",
            "security/test_identity_attacks.py",
            "security/test_failure_flood.py",
            "security/test_owners_of_agents.py",
            *_EVENTS,
        ),
    ),
    Slice(
        "devices",
        (
            "services/identity/devices.py",
            "services/identity/device_approval.py",
            "services/identity/device_codes.py",
        ),
        ("api/test_devices.py", "security/test_device_attacks.py"),
    ),
    Slice(
        "second factors",
        (
            "services/identity/challenges.py",
            "services/identity/digests.py",
            "services/identity/factors.py",
            "services/identity/own_factor.py",
            "services/identity/own_session.py",
            "services/identity/passkeys.py",
            "services/identity/second_step.py",
            "services/identity/steps.py",
        ),
        (
            "api/test_second_factor.py",
            "api/test_passkeys.py",
            "security/test_second_step.py",
            "security/test_passkey_attacks.py",
        ),
    ),
    Slice(
        "sessions",
        ("services/identity/sessions.py", "services/identity/web_sessions.py"),
        ("api/test_sessions.py", "security/test_refresh_tokens.py"),
    ),
    Slice(
        "workloads",
        (
            "services/identity/agent_identities.py",
            "services/identity/assertion_sign_in.py",
            "services/identity/identity_ends.py",
        ),
        (
            "api/test_agent_identities.py",
            "api/test_assertion_sign_in.py",
            "security/test_assertion_attacks.py",
            "services/test_purge.py",
        ),
    ),
    Slice(
        "tokens",
        (
            "services/identity/tokens.py",
            "services/identity/signing_keys.py",
            "services/identity/derived_tokens.py",
        ),
        (
            "api/test_token.py",
            "api/test_sign_in.py",
            "api/test_what_sign_ins_say.py",
            "api/test_account.py",
            "services/test_rotate_signing_key.py",
            "api/test_agents.py",
            "vault_api/test_signing_in.py",
            "security/test_after_rotation.py",
            "security/test_answers_and_audiences.py",
            "security/test_identity_attacks.py",
            "security/test_keys_made_with_keys.py",
            "security/test_review_findings.py",
            *_EVENTS,
        ),
    ),
    Slice(
        "api_keys",
        (
            "services/identity/api_keys.py",
            "services/identity/principals.py",
            "services/access/active.py",
        ),
        (
            "api/test_sign_in.py",
            "api/test_what_sign_ins_say.py",
            "api/test_account.py",
            "api/test_agents.py",
            "admin/test_actions.py",
            "security/test_identity_attacks.py",
            "security/test_keys_made_with_keys.py",
            "security/test_owners_of_agents.py",
            *_EVENTS,
        ),
    ),
    Slice(
        "policies",
        ("services/access/policies.py", "services/access/refusals.py"),
        (
            "api/test_policies.py",
            "security/test_policy_attacks.py",
            "security/test_identity_attacks.py",
            "security/test_mapped_networks.py",
            "security/test_vaults_of_strangers.py",
            "security/test_review_findings.py",
            *_EVENTS,
        ),
    ),
    Slice(
        "explain",
        ("services/access/explain.py", "services/access/whocan.py"),
        (
            "api/test_access.py",
            "management/test_commands.py",
            "security/test_narrowed_agents.py",
            *_EVENTS,
        ),
    ),
    Slice(
        "listing",
        ("services/secrets/listing.py", "services/secrets/cursors.py"),
        (
            "api/test_list_secrets.py",
            "api/test_versions.py",
            "security/test_hidden_rows.py",
            "api/test_what_events_say.py",
            *_EVENTS,
        ),
    ),
    Slice(
        "batches",
        (
            "services/secrets/batch_read.py",
            "services/secrets/batch_write.py",
            "services/secrets/batch_memory.py",
        ),
        (
            "api/test_batches.py",
            "api/test_what_events_say.py",
            "services/test_write.py",
            "security/test_batch_memory.py",
        ),
    ),
    Slice(
        "idempotency",
        ("services/transactions/idempotency.py",),
        (
            "api/test_idempotency.py",
            "api/test_what_events_say.py",
            "services/test_purge.py",
            "security/test_races.py",
            "security/test_turned_back.py",
        ),
    ),
    Slice(
        "group_commit",
        ("services/transactions/group_commit.py", "services/transactions/retry.py"),
        (
            "services/test_group_commit.py",
            "services/test_retry.py",
            "api/test_concurrency.py",
            "security/test_held_rows.py",
            "security/test_turned_back.py",
        ),
    ),
    Slice(
        "audit",
        ("services/audit/*",),
        (
            "services/audit",
            "management/test_audit_commands.py",
            "api/test_audit_events.py",
            "api/test_audit_verify.py",
            "services/test_verify.py",
            "api/test_what_events_say.py",
            "security/test_failure_flood.py",
            "security/test_turned_back.py",
            *_EVENTS,
        ),
    ),
    Slice(
        "rotation",
        ("services/keys/*", "services/sealing/*"),
        (
            "services/test_rotate_kek.py",
            "services/test_rotate_root.py",
            "services/test_rotate_signing_key.py",
            "services/test_verify.py",
            "management/test_key_commands.py",
            "security/test_turned_back.py",
            "security/test_after_rotation.py",
            *_EVENTS,
        ),
    ),
    Slice(
        "vaults",
        (
            "services/secrets/vaults.py",
            "services/identity/agents.py",
            "services/identity/account.py",
            "services/identity/roles.py",
        ),
        (
            "api/test_vaults.py",
            "api/test_agents.py",
            "api/test_account.py",
            "accounts",
            "security/test_narrowed_agents.py",
            "security/test_owners_of_agents.py",
            "security/test_vaults_of_strangers.py",
            *_EVENTS,
        ),
    ),
    Slice(
        "importing",
        (
            "services/secrets/importing.py",
            "services/secrets/importing_history.py",
            "services/operations/backup.py",
        ),
        (
            "management/test_import_secrets.py",
            "management/test_backup.py",
            "services/audit",
            "management/test_appending.py",
            "management/test_moving_in.py",
            *_EVENTS,
        ),
    ),
    Slice(
        "observing",
        (
            "services/operations/doctor.py",
            "services/operations/secret_states.py",
            "services/access/addresses.py",
        ),
        (
            "management/test_doctor.py",
            "test_metrics.py",
            "api/test_proxies.py",
            "api/test_health.py",
            "test_probes.py",
            "security/test_mapped_networks.py",
            *_EVENTS,
        ),
    ),
    Slice(
        "access",
        (
            "services/access/authorization.py",
            "services/identity/identification.py",
            "services/caller.py",
        ),
        (
            "api/test_what_sign_ins_say.py",
            "services/test_access.py",
            "services/test_refusals.py",
            "services/test_rotate_signing_key.py",
            "api/test_policies.py",
            "security/test_turned_back.py",
            "test_metrics.py",
            "test_tracing.py",
            "security/test_identity_attacks.py",
            "security/test_policy_attacks.py",
            "security/test_review_findings.py",
            "api/test_list_secrets.py",
            "security/test_narrowed_agents.py",
            "security/test_owners_of_agents.py",
            *_EVENTS,
        ),
    ),
    Slice(
        "vault_door",
        (
            "services/secrets/secret_settings.py",
            "services/secrets/version_marks.py",
            "services/secrets/history.py",
            "services/secrets/levels.py",
            "services/secrets/patching.py",
            "services/secrets/mounts.py",
        ),
        (
            "vault_api",
            "api/test_secret_settings.py",
            *_EVENTS,
        ),
    ),
    Slice("policy", ("policy/*",), ("policy",)),
    Slice("crypto", ("crypto/*",), ("crypto", "test_metrics.py", "test_tracing.py")),
)


def mutated_files() -> list[str]:
    """All files that mutation testing is about, named from `secrets_app/`."""
    found = []
    for folder in ("services", "policy", "crypto"):
        for file in sorted((APP / folder).rglob("*.py")):
            name = file.relative_to(APP).as_posix()
            if not any(fnmatch(name, glob) for glob in LEFT_OUT) and file.name != "__init__.py":
                found.append(name)
    return found


def slice_of(file: str) -> Slice | None:
    """The slice that a file, named from `secrets_app/`, belongs to."""
    return next((each for each in SLICES if each.holds(file)), None)
