from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "vaultsite.accounts"
    label = "accounts"

    def ready(self) -> None:
        import vaultsite.oidc.checks  # noqa: F401  (registers them)
