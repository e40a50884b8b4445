"""The result of `make bench` as tables and a chart in docs/performance.md."""

import statistics
from typing import Any

from benchmarks.rig import chart, report
from benchmarks.rig.report import median, ratios, spread
from benchmarks.workloads import WORKLOADS

_CHART = "performance.svg"


def publish(result: dict[str, Any]) -> None:
    """Put table, chart and conditions between the markers of the page."""
    (report.DOCS / _CHART).write_text(_bars(result))
    text = [_conditions(result), f"![Requests a second, Vaultsite to OpenBao]({_CHART})"]
    report.put("performance.md", "bench", "\n\n".join([*text, table(result)]))


def table(result: dict[str, Any]) -> str:
    parts = [_against_openbao(result["rounds"]), _beside(result["rounds"])]
    return "\n\n".join(part for part in parts if part)


def _conditions(result: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    rounds = len(next(iter(result["rounds"].values()))["vaultsite"])
    return (
        f"{result['when']}, {result['machine']}, shared by server, database and load generator."
        f" {versions}. {result['server']}, {result['connections']} connections,"
        f" {rounds} rounds of {result['seconds']:g} s for each in turns; medians, with the lowest and"
        " the highest ratio of a round."
    )


def _against_openbao(rounds: dict[str, Any]) -> str:
    lines = [
        "| a second | Vaultsite | OpenBao | ratio | aim | p50 ms | p99 ms | CPU µs |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, measured in rounds.items():
        ours, theirs = measured["vaultsite"], measured["openbao"]
        target = WORKLOADS[name].target
        pairs = [
            f"{median(ours, each):,.{digits}f} / {median(theirs, each):,.{digits}f}"
            for each, digits in (("p50", 1), ("p99", 1), ("cpu_us", 0))
        ]
        cells = [
            WORKLOADS[name].title,
            f"{median(ours, 'per_s'):,.0f}",
            f"{median(theirs, 'per_s'):,.0f}",
            f"**{spread(ratios(ours, theirs))}**",
            f"{target:g}" if target else "–",
            *pairs,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _beside(rounds: dict[str, Any]) -> str:
    """The embedded server, and the limit that our statements alone set."""
    lines = [
        "| a second | on PostgreSQL | embedded, on SQLite | ratio | p50 ms | p99 ms | CPU µs"
        " | our statements in pgbench |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, measured in rounds.items():
        ours, small, alone = (measured.get(who) for who in ("vaultsite", "embedded", "limit"))
        cells = [WORKLOADS[name].title, f"{median(ours, 'per_s'):,.0f}"]
        if small:
            cells += [f"{median(small, 'per_s'):,.0f}", spread(ratios(small, ours))]
            cells += [
                f"{median(small, each):,.{digits}f}"
                for each, digits in (("p50", 1), ("p99", 1), ("cpu_us", 0))
            ]
        else:
            cells += ["–"] * 5
        cells.append(f"{median(alone, 'per_s'):,.0f}" if alone else "–")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _bars(result: dict[str, Any]) -> str:
    bars = []
    for name, measured in result["rounds"].items():
        found = ratios(measured["vaultsite"], measured["openbao"])
        bars.append(
            chart.Bar(
                WORKLOADS[name].title,
                statistics.median(found),
                found[0],
                found[-1],
                WORKLOADS[name].target,
            )
        )
    return chart.draw(f"Requests a second, Vaultsite to OpenBao, {result['when']}", bars)
