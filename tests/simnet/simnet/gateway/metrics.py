# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""``/metrics``: the gauges and counters that are worth scraping."""

from __future__ import annotations

import bisect
import typing as t
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from simnet.gateway.goish import number

if t.TYPE_CHECKING:
    from simnet.gateway.core import Gateway

_TYPE = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
_PREFIX = "devshard_"
_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


def _label(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


Values = Iterable[tuple[Mapping[str, str], float]]


class _Page:
    def __init__(self) -> None:
        self._families: dict[str, list[str]] = {}

    def family(self, name: str, kind: str, values: Values) -> None:
        self.samples(name, kind, ((name, labels, value) for labels, value in values))

    def samples(
        self, name: str, kind: str, values: Iterable[tuple[str, Mapping[str, str], float]]
    ) -> None:
        """A family; without a sample it is not shown at all."""
        lines = [
            f"{_PREFIX}{sample}{_labels(labels)} {number(value)}"
            for sample, labels, value in values
        ]
        if lines:
            head = [f"# HELP {_PREFIX}{name} Simulated.", f"# TYPE {_PREFIX}{name} {kind}"]
            self._families[name] = head + lines

    def text(self) -> str:
        return "".join(
            f"{line}\n" for name in sorted(self._families) for line in self._families[name]
        )


def _labels(labels: Mapping[str, str]) -> str:
    inner = ",".join(f"{key}={_label(text)}" for key, text in labels.items())
    return f"{{{inner}}}" if inner else ""


@dataclass(slots=True)
class Histogram:
    """How long requests took."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(_BOUNDS) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        self.buckets[bisect.bisect_left(_BOUNDS, seconds)] += 1
        self.total += seconds

    def samples(
        self, name: str, labels: Mapping[str, str]
    ) -> Iterable[tuple[str, Mapping[str, str], float]]:
        count = 0
        for bound, found in zip([*map(str, _BOUNDS), "+Inf"], self.buckets, strict=True):
            count += found
            yield f"{name}_bucket", {**labels, "le": bound}, count
        yield f"{name}_sum", labels, self.total
        yield f"{name}_count", labels, count


@dataclass(slots=True)
class Requests:
    """All requests so far, by path, method and status."""

    counts: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    durations: dict[tuple[str, str], Histogram] = field(default_factory=dict)

    def add(self, path: str, method: str, status: int, seconds: float) -> None:
        self.counts[path, method, status] += 1
        self.durations.setdefault((path, method), Histogram()).add(seconds)


def render(gateway: Gateway, requests: Requests) -> web.Response:
    page = _Page()
    capacity = gateway.capacity()
    view, limiter = capacity.capacity_json(), capacity.limiter_json(gateway.load)
    runtimes = gateway.ordered()
    names = [({"devshard_id": each.id, "model": each.model}, each) for each in runtimes]
    page.family(
        "http_requests_total",
        "counter",
        [
            ({"method": method, "path": path, "status": str(status)}, count)
            for (path, method, status), count in sorted(requests.counts.items())
        ],
    )
    page.samples(
        "http_request_duration_seconds",
        "histogram",
        (
            sample
            for (path, method), histogram in sorted(requests.durations.items())
            for sample in histogram.samples(
                "http_request_duration_seconds", {"method": method, "path": path}
            )
        ),
    )
    page.family(
        "gateway_limit_rejections_total",
        "counter",
        [({"reason": reason}, count) for reason, count in sorted(gateway.rejections.items())],
    )
    for name, value in (
        ("inflight_requests", limiter["in_flight_requests"]),
        ("inflight_input_tokens", limiter["in_flight_input_tokens"]),
        ("effective_max_concurrent_requests", limiter["effective_max_concurrent_requests"]),
        ("effective_max_input_tokens_in_flight", limiter["effective_max_input_tokens_in_flight"]),
        ("capacity_scale", view["scale_factor"]),
        ("capacity_total_weight", view["total_weight"]),
        ("capacity_baseline_weight", view["baseline_weight"]),
        ("participants_exhausted", view["unavailable_host_count"]),
        ("participants_tracked", gateway.participants.tracked),
    ):
        page.family(f"gateway_{name}", "gauge", [({}, float(value))])
    page.family(
        "gateway_escrow_weight",
        "gauge",
        [({"devshard_id": key}, value) for key, value in view["escrow_weights"].items()],
    )
    blocked = [
        (key, sum(gateway.participants.blocked(address) for address in each.session.links))
        for key, each in names
    ]
    page.family("gateway_escrow_blocked_participants", "gauge", blocked)
    page.family(
        "gateway_escrow_participant_limited",
        "gauge",
        [(key, float(count > 0)) for key, count in blocked],
    )
    page.family("runtime_active", "gauge", [(key, float(each.active)) for key, each in names])
    page.family(
        "runtime_active_requests", "gauge", [(key, each.active_requests) for key, each in names]
    )
    page.family(
        "runtime_reserved_tokens", "gauge", [(key, each.reserved_tokens) for key, each in names]
    )
    return web.Response(body=page.text().encode(), headers={"Content-Type": _TYPE})
