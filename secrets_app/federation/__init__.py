"""Tokens of other issuers, as proof of who signs in: read, verified, and compared with what an identity of
an agent demands. Knows no Django and no database.

`assertion` reads a token. `key_sets` reads public keys. `issuers` fetches and keeps those of issuers.
`claims` compares claims with patterns.
"""
