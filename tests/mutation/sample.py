"""A few mutants of the lines that a change touches, in a bounded time: what CI can afford."""

import random
import re
import subprocess
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from tests.mutation.slices import ROOT, SLICES, Slice, mutated_files, slice_of
from tests.mutation.workplace import Workplace

_HUNK = re.compile(r"^@@ -\S+ \+(\d+)(?:,(\d+))? @@")
# Starting the tests of a slice costs some seconds, so a sample is from so many slices at most.
_MOST_SLICES = 2


def try_a_sample(
    *, since: str | None, most: int, seconds: float, seed: int | None, children: int
) -> None:
    """Try about `most` mutants of the lines changed since a revision, and end after `seconds`.

    Without `since`, that is where the branch left `main`, or the parent commit. Without `seed` the sample
    follows from the commit, so that a repeated run tries the same. Survivors are told of and fail nothing.
    """
    ends_at = time.monotonic() + seconds
    try:
        base = _base(since)
        lines = changed_lines(base)
        seed = int(_git("rev-parse", "HEAD")[:7], 16) if seed is None else seed
    except (OSError, subprocess.CalledProcessError):
        print("mutation: no sample, since git does not know what was changed")
        return
    count = sum(map(len, lines.values()))
    print(
        f"mutation: {count} changed lines in {len(lines)} mutated files since {base[:10]}, seed {seed}",
        flush=True,
    )
    draw = random.Random(seed)
    tried = survived = 0
    parts = _drawn_slices(lines, draw)
    for part in parts:
        with tempfile.TemporaryDirectory(prefix="vaultsite-mutation-") as folder:
            place = Workplace(part, Path(folder), {f: n for f, n in lines.items() if part.holds(f)})
            place.fill()
            mutants = sorted(place.mutants())
            sample = draw.sample(mutants, min(len(mutants), -(-most // len(parts))))
            if not sample:
                continue
            place.run(*sample, seconds=ends_at - time.monotonic(), children=children)
            result = place.result()
            unnoticed = [name for name in sample if name in (*result.survived, *result.untested)]
            if unnoticed:
                print(place.differences(unnoticed))
            tried += len(set(sample).intersection(result.killed)) + len(unnoticed)
            survived += len(unnoticed)
    print(
        f"mutation: {tried} mutants tried in {', '.join(p.name for p in parts) or 'nothing'}, ",
        end="",
    )
    print(f"{survived} SURVIVED: docs/mutation.md" if survived else "none survived")


def changed_lines(base: str) -> dict[str, set[int]]:
    """Lines of mutated files that differ from a commit, by file named from `secrets_app/`; numbered as they
    are in the working tree."""
    found: dict[str, set[int]] = defaultdict(set)
    mutated = set(mutated_files())
    name = ""
    for line in _git(
        "diff", "--unified=0", "--no-ext-diff", base, "--", "secrets_app"
    ).splitlines():
        hunk = _HUNK.match(line)
        if line.startswith("+++ "):
            name = line.removeprefix("+++ b/secrets_app/")
        elif hunk and name in mutated:
            first, many = int(hunk[1]), int(hunk[2] or 1)
            found[name].update(range(first, first + many))
    return {name: numbers for name, numbers in sorted(found.items()) if numbers}


def _drawn_slices(lines: dict[str, set[int]], draw: random.Random) -> list[Slice]:
    """Of those that were changed; one in which more was changed is more likely."""
    weights: dict[str, int] = defaultdict(int)
    for file, numbers in lines.items():
        part = slice_of(file)
        if part is not None:
            weights[part.name] += len(numbers)
    drawn: list[str] = []
    while weights and len(drawn) < _MOST_SLICES:
        (name,) = draw.choices(list(weights), list(weights.values()))
        drawn.append(name)
        del weights[name]
    return [part for part in SLICES if part.name in drawn]


def _base(since: str | None) -> str:
    head = _git("rev-parse", "HEAD")
    for revision in (since,) if since else ("origin/main", "main"):
        asked = subprocess.run(
            ["git", "merge-base", revision, "HEAD"], cwd=ROOT, capture_output=True, text=True
        )
        if asked.returncode == 0 and (since or asked.stdout != head):
            return asked.stdout.strip()
    return _git("rev-parse", since or "HEAD^").strip()


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
