from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "vaultsite.accounts"
    label = "accounts"
