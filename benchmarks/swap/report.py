# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""From recorded requests and marks to one row of numbers and one lane of the picture."""

from __future__ import annotations

import math
import typing as t
from dataclasses import asdict, dataclass

if t.TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ansible_collections.gonka.devshard.tests.swap.load import Exchange


DEFAULT_GENERATION = "v2"


@dataclass(frozen=True)
class Swap:
    """When one swap's phases were, in seconds since the start of the run."""

    begin: float
    switched: float | None
    drained: float | None
    end: float
    back: float | None = None
    imported: float | None = None


Lane = tuple["Row", "Sequence[Exchange]", "Sequence[Swap]"]
"""One mode: its numbers, all requests, its swaps."""


@dataclass(frozen=True)
class Row:
    """One mode's result; times in the unit their name says.

    ``p50_ms``/``p99_ms`` are times to the first byte of requests begun during a swap,
    ``before_…`` the same for requests begun before the first swap. ``late_s`` is the time from a
    switch to the last request that still began on the old slot.
    """

    mode: str
    clients: int
    swaps: int
    requests: int
    streams_cut: int
    requests_failed: int
    p50_ms: float | None
    p99_ms: float | None
    before_p50_ms: float | None
    before_p99_ms: float | None
    late_s: float | None
    drain_s: float | None
    total_s: float | None

    def to_dict(self) -> dict[str, t.Any]:
        return asdict(self)


def results(
    kept: Sequence[dict[str, t.Any]], rows: Sequence[Row], profile: str
) -> list[dict[str, t.Any]]:
    """The rows of a run in place of the earlier ones of the same generation and mode."""
    new = [{"profile": profile, **row.to_dict()} for row in rows]
    replaced = {(row["profile"], row["mode"]) for row in new}
    old = [{"profile": DEFAULT_GENERATION, **row} for row in kept]
    found = [row for row in old if (row["profile"], row["mode"]) not in replaced] + new
    return sorted(found, key=lambda row: [int(part) for part in row["profile"][1:].split(".")])


def percentile(values: Sequence[float], share: float) -> float | None:
    """The nearest-rank percentile, None for no values."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _first_byte_ms(exchanges: Sequence[Exchange]) -> list[float]:
    return [
        1000 * (exchange.first_byte - exchange.begin)
        for exchange in exchanges
        if exchange.first_byte is not None and exchange.kind != "slow"
    ]


def _rounded(value: float | None, digits: int = 1) -> float | None:
    return None if value is None else round(value, digits)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def summarize(mode: str, clients: int, exchanges: Sequence[Exchange], swaps: Sequence[Swap]) -> Row:
    """Counts what was cut and failed, and measures latency during the swaps against before."""
    first = swaps[0].begin if swaps else float("inf")
    before = _first_byte_ms([item for item in exchanges if item.begin < first])
    during = _first_byte_ms(
        [item for item in exchanges if any(s.begin <= item.begin <= s.end for s in swaps)]
    )
    late = [
        item.begin - swap.switched
        for swap in swaps
        if swap.switched is not None
        for item in exchanges
        if item.slot == "main" and swap.switched <= item.begin <= (swap.drained or swap.end)
    ]
    drains = [s.drained - s.switched for s in swaps if s.drained and s.switched]
    return Row(
        mode=mode,
        clients=clients,
        swaps=len(swaps),
        requests=len(exchanges),
        streams_cut=sum(item.outcome == "cut" for item in exchanges),
        requests_failed=sum(item.outcome == "failed" for item in exchanges),
        p50_ms=_rounded(percentile(during, 0.5)),
        p99_ms=_rounded(percentile(during, 0.99)),
        before_p50_ms=_rounded(percentile(before, 0.5)),
        before_p99_ms=_rounded(percentile(before, 0.99)),
        late_s=_rounded(max(late, default=0.0), 3) if swaps else None,
        drain_s=_rounded(_mean(drains)),
        total_s=_rounded(_mean([swap.end - swap.begin for swap in swaps])),
    )


_COLOURS = {"main": "#3b6ea5", "temp": "#e08e2b", "": "#999999"}


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown."""
    columns = (
        ("mode", "mode"),
        ("clients", "clients"),
        ("swaps", "swaps"),
        ("requests", "requests"),
        ("streams cut", "streams_cut"),
        ("requests failed", "requests_failed"),
        ("first byte p50/p99 before, ms", "before_p50_ms before_p99_ms"),
        ("during, ms", "p50_ms p99_ms"),
        ("drain, s", "drain_s"),
        ("total, s", "total_s"),
    )

    def cell(row: Row, names: str) -> str:
        values = [getattr(row, name) for name in names.split()]
        return " / ".join("-" if value is None else str(value) for value in values)

    lines = ["| " + " | ".join(title for title, _unused in columns) + " |"]
    lines.append("|" + "---|" * len(columns))
    lines += [
        "| " + " | ".join(cell(row, names) for _unused, names in columns) + " |" for row in rows
    ]
    return "\n".join(lines)


def draw(path: Path, lanes: Sequence[Lane]) -> None:
    """A lane per mode: each request a line, coloured by slot, red where it was cut or failed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        len(lanes), 1, figsize=(14, 3.2 * len(lanes)), squeeze=False, layout="constrained"
    )
    for axis, (row, exchanges, swaps) in zip(axes[:, 0], lanes, strict=True):
        for item in exchanges:
            colour = _COLOURS.get(item.slot, "#999999") if item.outcome == "ok" else "#d62728"
            width = 0.5 if item.outcome == "ok" else 1.6
            axis.plot([item.begin, item.end], [item.client] * 2, color=colour, linewidth=width)
        for swap in swaps:
            axis.axvspan(swap.begin, swap.end, color="#000000", alpha=0.06)
            if swap.switched is not None:
                axis.axvline(swap.switched, color="#2ca02c", linewidth=1)
            if swap.back is not None:
                axis.axvline(swap.back, color="#2ca02c", linewidth=1, linestyle=":")
            if swap.imported is not None:
                axis.axvline(swap.imported, color="#9467bd", linewidth=1)
            if swap.switched is not None and swap.drained is not None:
                axis.axvspan(swap.switched, swap.drained, color="#2ca02c", alpha=0.10)
        axis.set_title(
            f"{row.mode}: {row.requests} requests, {row.streams_cut} streams cut,"
            f" {row.requests_failed} failed",
            loc="left",
            fontsize=10,
        )
        axis.set_ylabel("client")
    axes[-1, 0].set_xlabel(
        "seconds; blue main, orange temp, red cut or failed; green line switch (dotted: back),"
        " green area drain, violet line import"
    )
    figure.savefig(path, dpi=90)
    pyplot.close(figure)
