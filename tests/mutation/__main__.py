"""Mutation testing: change one thing at a time, and see whether a test notices (docs/mutation.md).

    python -m tests.mutation                          # what is known of each slice
    python -m tests.mutation purge services/secrets/write.py  # run slices, by name or by a file of theirs
    python -m tests.mutation --again purge            # its survivors once more, when there are new tests
    python -m tests.mutation --sample 12 --seconds 75 # a few mutants of the lines that a change touches

A run that was stopped goes on where it was. Survivors are shown with what they change. Exit status: 0 none
survived, 1 some did, 2 it could not run; of a sample always 0.
"""

import argparse
import signal
import sys

from tests.mutation.sample import try_a_sample
from tests.mutation.slices import SLICES, Slice, slice_of
from tests.mutation.workplace import HOME, Workplace

_SECONDS_OF_A_SAMPLE = 75.0
FINE, SURVIVORS, COULD_NOT_RUN = 0, 1, 2


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("slices", nargs="*", help="names, or files named from secrets_app/")
    parser.add_argument("--again", action="store_true", help="try survivors once more")
    parser.add_argument("--seconds", type=float, help="stop after this time")
    parser.add_argument("--children", type=int, default=2, help="processes at once")
    parser.add_argument("--sample", type=int, metavar="N", help="try N mutants of changed lines")
    parser.add_argument(
        "--changed-since", metavar="REV", help="changed since then; without it, on this branch"
    )
    parser.add_argument("--seed", type=int, help="of the sample; printed, to repeat it")
    options = parser.parse_args()
    # Ended by a signal, it takes mutmut along, which is in a session of its own.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(COULD_NOT_RUN))
    if options.sample:
        try_a_sample(
            since=options.changed_since,
            most=options.sample,
            seconds=options.seconds or _SECONDS_OF_A_SAMPLE,
            seed=options.seed,
            children=options.children,
        )
        return FINE
    statuses = [
        _run(part, again=options.again, seconds=options.seconds, children=options.children)
        for part in _chosen(parser, options.slices)
    ]
    if not options.slices:
        for part in SLICES:
            _tell(part)
    return max(statuses, default=FINE)


def _chosen(parser: argparse.ArgumentParser, names: list[str]) -> list[Slice]:
    by_name = {part.name: part for part in SLICES}
    chosen = []
    for name in names:
        part = by_name.get(name) or slice_of(name)
        if part is None:
            parser.error(f"{name} is no slice and no file of one: {', '.join(by_name)}")
        if part not in chosen:
            chosen.append(part)
    return chosen


def _run(part: Slice, *, again: bool, seconds: float | None, children: int) -> int:
    place = Workplace(part, HOME / part.name)
    before = place.result()
    place.fill()
    mutants = (*before.survived, *before.untested) if again else ()
    came_to_its_end = place.run(
        *mutants, seconds=seconds, children=children, by_all_tests=bool(mutants)
    )
    result = place.result()
    if not came_to_its_end and not seconds and result.not_run:
        print(place.output())
        print(f"{part.name}: mutmut did not come to its end")
        return COULD_NOT_RUN
    print(place.differences([*result.untested, *result.survived]))
    _tell(part)
    return SURVIVORS if result.survived or result.untested else FINE


def _tell(part: Slice) -> None:
    result = Workplace(part, HOME / part.name).result()
    total = sum(map(len, (result.killed, result.survived, result.untested, result.not_run)))
    print(
        f"{part.name:12} {total:5} mutants: {len(result.killed)} killed,"
        f" {len(result.survived)} survived, {len(result.untested)} without a test,"
        f" {len(result.not_run)} not run"
    )


if __name__ == "__main__":
    sys.exit(main())
