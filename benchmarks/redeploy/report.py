# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""From runs to figures, and from figures to a table and a picture."""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import asdict, dataclass
from statistics import median

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

Event = dict[str, t.Any]
"""A line of the callback ``bench_record``."""


@dataclass(frozen=True)
class Timing:
    """One run of a playbook. ``cpu_s`` is that of the controller with all its processes."""

    wall_s: float
    cpu_s: float
    lines: int

    def to_dict(self) -> dict[str, t.Any]:
        return {
            name: round(value, 2) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }


@dataclass(frozen=True)
class Target:
    """A figure of the collection and what it is to reach, at most."""

    name: str
    unit: str
    reach: float


# in the order of the table; measured figures are given by the same keys
TARGETS: t.Mapping[str, Target] = {
    "wall": Target("no-op site against the plain guide, wall time", "×", 0.5),
    "modules": Target("module runs on the host in a no-op site", "", 12),
    "cpu": Target("controller CPU of a no-op site, one host", "s", 3),
    "fleet": Target("cost per host, large fleet against small one", "×", 1.1),
    "ping": Target("no-op state module against ping", "×", 1.3),
    "swap": Target("swap without clients, first task to done", "s", 45),
    "lines": Target("lines that a no-op site prints", "", 120),
}


def on_host(events: Iterable[Event], kind: str) -> list[Event]:
    """The modules or commands that went to the host and not to the controller itself."""
    return [item for item in events if item["kind"] == kind and item["connection"] != "local"]


def by_name(events: Iterable[Event]) -> dict[str, int]:
    """How often each, the most frequent first."""
    return dict(Counter(str(item["name"]) for item in events).most_common())


def ratios(events: Iterable[Event], base: str = "ping") -> dict[str, list[float]]:
    """By module: the durations of tasks that come after one of the base, as multiples of that."""
    found: dict[str, list[float]] = {}
    before: float | None = None
    for item in events:
        if item["kind"] != "task":
            continue
        if item["name"] == base:
            before = item["seconds"]
        elif before is not None:
            found.setdefault(item["name"], []).append(item["seconds"] / before)
            before = None
    return found


def durations(events: Iterable[Event]) -> dict[str, float]:
    """By module: the median duration of its tasks in seconds."""
    found: dict[str, list[float]] = {}
    for item in events:
        if item["kind"] == "task":
            found.setdefault(item["name"], []).append(item["seconds"])
    return {name: median(values) for name, values in found.items()}


def pairwise(ours: Sequence[Timing], theirs: Sequence[Timing]) -> list[float]:
    """Wall times of runs that took turns, one against the other."""
    return [one.wall_s / other.wall_s for one, other in zip(ours, theirs, strict=True)]


def middle(timings: Sequence[Timing]) -> Timing:
    """The median of each number."""
    return Timing(
        wall_s=median(item.wall_s for item in timings),
        cpu_s=median(item.cpu_s for item in timings),
        lines=int(median(item.lines for item in timings)),
    )


def span(lines: Sequence[tuple[float, str]]) -> float:
    """Seconds from the head of the first task to the recap."""
    first = next(moment for moment, line in lines if line.startswith("TASK ["))
    recap = next(moment for moment, line in reversed(lines) if line.startswith("PLAY RECAP"))
    return recap - first


def figures(result: t.Mapping[str, t.Any]) -> dict[str, float]:
    """The figures that have a target, of those parts that were measured."""
    found: dict[str, float] = {}
    if "pairs" in result:
        found["wall"] = median(result["pairs"])
    if "site" in result:
        found["modules"] = result["site"]["module_runs"]
        found["cpu"] = result["site"]["median"]["cpu_s"]
        found["lines"] = result["site"]["median"]["lines"]
    if "ping" in result:
        # creator_key runs another program several times, uri is what others would use
        found["ping"] = median(result["ping"]["ratios"]["gateway_settings"])
    if "fleet" in result and result["fleet"]["growth_wall_s"] is not None:
        found["fleet"] = result["fleet"]["growth_wall_s"]
    if "swap" in result:
        found["swap"] = median(result["swap"]["seconds"])
    return found


def judge(figures: t.Mapping[str, float]) -> list[dict[str, t.Any]]:
    """Each measured figure beside its target."""
    return [
        {
            "figure": target.name,
            "measured": round(figures[key], 3),
            "reach": target.reach,
            "unit": target.unit,
            "reached": figures[key] <= target.reach,
        }
        for key, target in TARGETS.items()
        if key in figures
    ]


def table(rows: Sequence[t.Mapping[str, t.Any]]) -> str:
    """The judged figures as Markdown."""
    lines = ["| figure | measured | to reach | reached |", "|---|---|---|---|"]
    for row in rows:
        unit = f" {row['unit']}" if row["unit"] else ""
        lines.append(
            f"| {row['figure']} | {row['measured']:g}{unit} | ≤ {row['reach']:g}{unit} |"
            f" {'yes' if row['reached'] else 'no'} |"
        )
    return "\n".join(lines)


_OURS, _THEIRS, _LIMIT = "#3b6ea5", "#999999", "#d62728"


def draw(path: Path, result: t.Mapping[str, t.Any]) -> None:
    """A panel for each figure: what was measured, and a line at what is to be reached."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = _panels(result)
    figure, axes = pyplot.subplots(
        2, (len(panels) + 1) // 2, figsize=(14, 7), squeeze=False, layout="constrained"
    )
    for axis, panel in zip(axes.flat, panels, strict=False):
        title, unit, bars, limit = panel
        names = [name for name, _unused in bars]
        heights = [median(values) for _unused, values in bars]
        colours = [_THEIRS if name in ("guide", "ping", "uri") else _OURS for name in names]
        axis.bar(names, heights, color=colours, width=0.6)
        for index, (_unused, values) in enumerate(bars):
            axis.plot([index] * len(values), values, "o", color="#000000", markersize=3, alpha=0.6)
            axis.annotate(
                f"{heights[index]:.3g}",
                (index, heights[index]),
                xytext=(0, 4),
                textcoords="offset points",
                ha="center",
                fontsize=9,
            )
        if limit is not None:
            axis.axhline(limit, color=_LIMIT, linewidth=1, linestyle="--")
        axis.set_title(title, loc="left", fontsize=10)
        axis.set_ylabel(unit)
        axis.margins(y=0.15)
        axis.set_ylim(bottom=0)
    for axis in list(axes.flat)[len(panels) :]:
        axis.set_axis_off()
    figure.suptitle(
        "A run that changes nothing. Bars: the median; dots: each run; red: what is to be reached",
        fontsize=10,
    )
    figure.savefig(path, dpi=90)
    pyplot.close(figure)


_Panel = tuple[str, str, list[tuple[str, list[float]]], float | None]


def _panels(result: t.Mapping[str, t.Any]) -> list[_Panel]:
    found: list[_Panel] = []
    runs = {name: result[name]["runs"] for name in ("site", "guide") if name in result}
    guide = result.get("guide")
    if runs:
        limit = TARGETS["wall"].reach * guide["median"]["wall_s"] if guide else None
        bars = [(name, [item["wall_s"] for item in items]) for name, items in runs.items()]
        found.append(("wall time, one host", "seconds", bars, limit))
        bars = [(name, [item["cpu_s"] for item in items]) for name, items in runs.items()]
        found.append(("CPU of the controller", "seconds", bars, TARGETS["cpu"].reach))
        bars = [(name, [float(result[name]["module_runs"])]) for name in runs]
        found.append(("module runs on the host", "", bars, TARGETS["modules"].reach))
        bars = [(name, [float(result[name]["median"]["lines"])]) for name in runs]
        found.append(("lines printed", "", bars, TARGETS["lines"].reach))
    if "ping" in result:
        bars = [(name, list(values)) for name, values in result["ping"]["ratios"].items()]
        found.append(("one task against ping", "multiple", bars, TARGETS["ping"].reach))
    if "fleet" in result:
        sizes: dict[str, list[float]] = {}
        for item in result["fleet"]["runs"]:
            sizes.setdefault(str(item["hosts"]), []).append(item["per_host"]["wall_s"])
        first = median(next(iter(sizes.values())))
        limit = first * TARGETS["fleet"].reach
        found.append(("wall time per host, by hosts", "seconds", list(sizes.items()), limit))
    if "swap" in result:
        bars = [("swap", list(result["swap"]["seconds"]))]
        found.append(("swap without clients", "seconds", bars, TARGETS["swap"].reach))
    return found
