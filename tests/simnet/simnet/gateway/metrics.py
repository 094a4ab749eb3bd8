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

    def plain(self, name: str, kind: str) -> None:
        """A family that is not the gateway's own."""
        self._families[name] = [f"# HELP {name} Simulated.", f"# TYPE {name} {kind}", f"{name} 0"]

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


# Of the Go runtime, none of which is measured here.
_GO = {
    "go_gc_duration_seconds": "summary",
    "go_gc_gogc_percent": "gauge",
    "go_gc_gomemlimit_bytes": "gauge",
    "go_goroutines": "gauge",
    "go_info": "gauge",
    **{
        f"go_memstats_{name}": "counter" if name.endswith("_total") else "gauge"
        for name in (
            "alloc_bytes", "alloc_bytes_total", "buck_hash_sys_bytes", "frees_total",
            "gc_sys_bytes", "heap_alloc_bytes", "heap_idle_bytes", "heap_inuse_bytes",
            "heap_objects", "heap_released_bytes", "heap_sys_bytes",
        )
    },
}  # fmt: skip
_REASONS = {
    400: ("invalid", "invalid_request"),
    401: ("model_rejected", "model_access_rejected"),
    409: ("runtime_unavailable", "inactive"),
    429: ("limited", "rate_limited"),
    502: ("runtime_unavailable", "runtime_unavailable"),
}


@dataclass(slots=True)
class Chats:
    """What became of chat requests and of the attempts at hosts, from v3 on."""

    requests: Counter[tuple[str, int]] = field(default_factory=Counter)
    started: Counter[tuple[str, str]] = field(default_factory=Counter)
    ended: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    first_content: dict[tuple[str, str], Histogram] = field(default_factory=dict)

    def attempt_ended(self, model: str, host: str, outcome: str, seconds: float) -> None:
        self.ended[model, host, outcome] += 1
        self.first_content.setdefault((model, host), Histogram()).add(seconds)


def _chats(page: _Page, chats: Chats) -> None:
    requests, failures = [], []
    for (model, status), count in sorted(chats.requests.items()):
        outcome, reason = _REASONS.get(status, ("success" if status < 400 else "failed", ""))
        requests.append(({"model": model, "outcome": outcome, "reason": reason}, count))
        if status >= 400:
            failures.append(({"model": model, "reason": reason}, count))
    page.family("gateway_requests_total", "counter", requests)
    page.family("gateway_critical_user_failures_total", "counter", failures)
    page.family(
        "gateway_attempts_started_total",
        "counter",
        [
            ({"model": model, "participant_key": host}, count)
            for (model, host), count in sorted(chats.started.items())
        ],
    )
    page.family(
        "gateway_attempts_terminal_total",
        "counter",
        [
            ({"model": model, "outcome": outcome, "participant_key": host}, count)
            for (model, host, outcome), count in sorted(chats.ended.items())
        ],
    )
    name = "gateway_participant_first_content_seconds"
    page.samples(
        name,
        "histogram",
        (
            sample
            for (model, host), histogram in sorted(chats.first_content.items())
            for sample in histogram.samples(name, {"model": model, "participant_key": host})
        ),
    )


def _newer(page: _Page, gateway: Gateway) -> None:
    """Families that came with v3."""
    _chats(page, gateway.chats)
    models = gateway.capacity().capacity_json().get("models", {})
    for name, key in (
        ("scale", "scale_factor"),
        ("total_weight", "total_weight"),
        ("baseline_weight", "baseline_weight"),
    ):
        page.family(
            f"gateway_capacity_{name}_by_model",
            "gauge",
            [({"model": model}, view[key]) for model, view in models.items()],
        )
    page.family(
        "gateway_startup_skipped_escrow",
        "gauge",
        [
            ({"escrow_id": number, "model": model, "reason": "local_recovery_failed"}, 1)
            for number, model in gateway.skipped.items()
        ],
    )
    for name, kind in _GO.items():
        page.plain(name, kind)


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
    if gateway.generation.activates:
        _newer(page, gateway)
    return web.Response(body=page.text().encode(), headers={"Content-Type": _TYPE})
