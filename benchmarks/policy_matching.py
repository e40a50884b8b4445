"""What do the patterns of one caller's policies cost, at worst? Processor time of decisions in
this process, without a database.

    python -m benchmarks.policy_matching [--policies 1000] [--paths 30] [--rounds 5]
"""

import argparse
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from secrets_app.policy.decision import Permission, Rule, decide
from secrets_app.policy.pattern import MAX_SEGMENTS
from secrets_app.policy.scope import scope_of

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_STORED = ["**/" + "a/" * (200 - n) + "b" for n in range(40)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policies", type=int, default=1000)
    parser.add_argument("--paths", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    # Different at their ends, so that nothing is known from the one before.
    paths = ["a/" * 250 + f"{n // 26 % 26:x}/{n:x}" for n in range(min(options.paths, 1000))]
    few = ["team/app/**", "team/*/key", "shared/**"]
    short = ["team/app/key"] * len(paths)
    cases = {
        "3 ordinary policies, short path": (few, short),
        "200 ordinary policies, short path": ([f"team/p{n}/*" for n in range(200)], short),
        "40 stored ones of 162 to 202 segments, path of 252": (_STORED, paths),
        f"{options.policies} new ones of {MAX_SEGMENTS} segments, path of 252": (
            [_new(n) for n in range(min(options.policies, 10_000))],
            paths,
        ),
    }
    count = len(paths)
    print(f"| caller's patterns | a decision, ms | {count} in a scope, ms | {count} sieved, ms |")
    print("|---|---|---|---|")
    for name, (patterns, asked) in cases.items():
        rules = tuple(
            Rule(UUID(int=n), p, ("read",), "deny", None, None) for n, p in enumerate(patterns)
        )
        ask: dict[str, Any] = {"permission": Permission.READ, "address": None, "now": _NOW}
        actions = (
            partial(decide, is_owner=False, rules=rules, path=asked[0], **ask),
            partial(_many, rules, asked, ask),
            partial(_sieve, rules, asked, ask),
        )
        times = [_best(options.rounds, action) for action in actions]
        print(f"| {name} | " + " | ".join(f"{each * 1e3:.3f}" for each in times) + " |", flush=True)
    return 0


def _new(number: int) -> str:
    """A pattern that fits a path of many `a` almost, at each of its segments."""
    mark = "".join("*" if number >> bit & 1 else "a" for bit in range(14))
    return "/".join(["**", *mark, *"a" * (MAX_SEGMENTS - 17), "b", "**"])


def _many(rules: tuple[Rule, ...], paths: list[str], ask: dict[str, Any]) -> None:
    scope = scope_of(is_owner=False, rules=(*rules, _allow()), **ask)
    for path in paths:
        scope.covers(path)


def _allow() -> Rule:
    return Rule(UUID(int=0), "**", ("read",), "allow", None, None)


def _sieve(rules: tuple[Rule, ...], paths: list[str], ask: dict[str, Any]) -> None:
    sieve = scope_of(is_owner=False, rules=(*rules, _allow()), **ask).sieve()
    for expression in (sieve.keep, sieve.drop):
        if expression is not None:
            for path in paths:
                re.search(expression, path)


def _best(rounds: int, action: Callable[[], object]) -> float:
    """Seconds of processor time, the least of some rounds."""
    found = []
    for _ in range(max(1, rounds)):
        started = time.process_time()
        action()
        found.append(time.process_time() - started)
    return min(found)


if __name__ == "__main__":
    raise SystemExit(main())
