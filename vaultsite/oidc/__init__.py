"""Sign people in by OpenID Connect providers, as a relying party (ADR 57).

`providers` reads the settings. `endpoints` finds and asks a provider. `flow` binds an attempt to the
browser that began it. `id_token` says whom a provider's answer is about. `people` finds or makes their
account, and `groups` keeps their groups. `views` puts these together.
"""
