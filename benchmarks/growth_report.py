"""The result of `benchmarks.growth` as text for docs/performance.md."""

from typing import Any

from benchmarks.rig.report import median, ratios, spread


def table(result: dict[str, Any]) -> str:
    parts = [_pairs(result)]
    if result["memory"]:
        parts.append(_memory(result["memory"]))
    return "\n\n".join(parts)


def _pairs(result: dict[str, Any]) -> str:
    lines = [
        f"{result['when']}, {result['machine']}. Requests a second of the small and the large case,"
        f" and the large in relation to the small: median of rounds of {result['seconds']:g} s, lowest"
        " and highest.",
        "",
        "| growth | | small | large | ratio |",
        "|---|---|--:|--:|--:|",
    ]
    for name, methods in result["rounds"].items():
        for method, (small, large) in methods.items():
            cells = [
                name,
                method,
                f"{median(small, 'per_s'):,.0f}",
                f"{median(large, 'per_s'):,.0f}",
                f"**{spread(ratios(large, small))}**",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _memory(series: list[dict[str, Any]]) -> str:
    heads = [f"{each['requests']:,}" for each in series]
    lines = [
        "Memory of each worker process under load, in MiB, after so many requests (four reads to each"
        " write in time):",
        "",
        f"| requests | {' | '.join(heads)} |",
        "|---|" + "--:|" * len(series),
    ]
    for worker in range(len(series[0]["mib"])):
        cells = [f"{each['mib'][worker]:.0f}" for each in series]
        lines.append(f"| worker {worker + 1} | {' | '.join(cells)} |")
    return "\n".join(lines)
