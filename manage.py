#!/usr/bin/env python3
"""Django's command line. `quickstart` first makes the files that the settings read."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vaultsite.settings")
    if sys.argv[1:2] == ["quickstart"]:
        from vaultsite import home

        home.create()
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
