"""Rows by the million, made by the database itself. Their values are sealed for another row and never
open: they are there to be in the way. What a load reads is written through the API."""

import psycopg

# Secrets with a history of unreadable versions; the next write to them is the first that opens.
_SECRETS = """
INSERT INTO secrets_app_secret (id, vault_id, path, current_version, created_at)
SELECT md5(%(prefix)s || n)::uuid, %(vault)s, %(prefix)s || lpad(n::text, 9, '0'), %(versions)s, now()
FROM generate_series(0, %(secrets)s - 1) AS n
"""
_VERSIONS = """
INSERT INTO secrets_app_secretversion
  (id, vault_id, secret_id, number, type, value, vault_key_id, access_count, created_by_id, created_at)
SELECT gen_random_uuid(), %(vault)s, md5(%(prefix)s || n)::uuid, v, known.type, known.value,
  known.vault_key_id, 0, known.created_by_id, now()
FROM (SELECT * FROM secrets_app_secretversion WHERE vault_id = %(vault)s LIMIT 1) AS known,
  generate_series(0, %(secrets)s - 1) AS n, generate_series(1, %(versions)s) AS v
"""
# Their events, taken for sealed, so that the sealer lets them be.
_EVENTS = """
INSERT INTO secrets_app_auditevent
  (id, created_at, action, outcome, actor_id, actor_type, vault_id, resource_type, resource_id,
   details, ip_address, request_id, key_number, mac, seal_number)
SELECT gen_random_uuid(), now() - interval '1 day', 'secret.write', 'success', secret.vault_id, 'user',
  secret.vault_id, 'secret', secret.id, '{"path": "", "version": 1}', '192.0.2.7',
  gen_random_uuid(), 1, '\\x00', 1
FROM secrets_app_secret AS secret, generate_series(1, %(versions)s)
WHERE secret.vault_id = %(vault)s AND secret.path LIKE %(prefix)s || '%%'
"""
_PRINCIPALS = """
INSERT INTO secrets_app_principal (id, kind, name, is_active, token_generation, created_at)
SELECT md5(%(vault)s::text || n)::uuid, 'agent', 'agent ' || n, true, known.token_generation, now()
FROM (SELECT * FROM secrets_app_principal LIMIT 1) AS known, generate_series(0, %(principals)s - 1) AS n
"""
_POLICIES = """
INSERT INTO secrets_app_policy
  (id, vault_id, principal_id, pattern, permissions, effect, created_by_id, created_at, updated_at)
SELECT gen_random_uuid(), vault_id,
  coalesce(%(for)s::uuid, md5(vault_id::text || n %% %(principals)s)::uuid),
  'team-' || n || '/**', permissions, effect, created_by_id, now(), now()
FROM (SELECT * FROM secrets_app_policy WHERE vault_id = %(vault)s LIMIT 1) AS known,
  generate_series(0, %(policies)s - 1) AS n
"""


def add_versions(url: str, *, vault: str, prefix: str, secrets: int, versions: int) -> None:
    """That many versions of that many secrets, with an event each. The vault has one version already."""
    given = {"vault": vault, "prefix": prefix, "secrets": secrets, "versions": versions}
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in (_SECRETS, _VERSIONS, _EVENTS):
            connection.execute(statement, given)
        connection.execute("VACUUM ANALYZE")


def add_policies(url: str, *, vault: str, policies: int, principal: str | None = None) -> None:
    """Policies for paths that nobody asks for: of one principal, or ten each of made-up agents."""
    agents = max(1, policies // 10)
    given = {"vault": vault, "policies": policies, "principals": agents, "for": principal}
    with psycopg.connect(url, autocommit=True) as connection:
        if principal is None:
            connection.execute(_PRINCIPALS, given)
        connection.execute(_POLICIES, given)
        connection.execute("VACUUM ANALYZE")
