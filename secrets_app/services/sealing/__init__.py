"""Provide the keys in use: those that seal in a vault (`vault_keys`), and the audit log's
(`audit_keys`).

What operators do with keys, such as rotating them, is in `services/keys`.
"""
