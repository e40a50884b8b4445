from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "vaultsite.console"
