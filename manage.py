#!/usr/bin/env python3
"""Django's command line. `quickstart` first makes the files that the settings read."""

import os
import signal
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vaultsite.settings")
    if sys.argv[1:2] == ["quickstart"]:
        from vaultsite import home

        home.create()
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
        sys.stdout.flush()
    except BrokenPipeError:
        if not _reader_is_gone():
            raise
        sys.exit(128 + signal.SIGPIPE)


def _reader_is_gone() -> bool:
    """Whether it is our own output that nobody reads any more, as after `| head`."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more
        return True
    return False


if __name__ == "__main__":
    main()
