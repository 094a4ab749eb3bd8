# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""``/metrics``: the gauges and counters that are worth scraping."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from aiohttp import web

if t.TYPE_CHECKING:
    from simnet.gateway.core import Gateway

_TYPE = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
_PREFIX = "devshard_"


def _label(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


class _Page:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def family(self, name: str, kind: str, values: list[tuple[dict[str, str], float]]) -> None:
        self.lines.append(f"# HELP {_PREFIX}{name} Simulated.")
        self.lines.append(f"# TYPE {_PREFIX}{name} {kind}")
        for labels, value in values:
            inner = ",".join(f"{key}={_label(text)}" for key, text in labels.items())
            self.lines.append(f"{_PREFIX}{name}{f'{{{inner}}}' if inner else ''} {value:g}")


def render(gateway: Gateway, counts: Mapping[tuple[str, str, int], int]) -> web.Response:
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
            for (path, method, status), count in sorted(counts.items())
        ],
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
    page.family("runtime_active", "gauge", [(key, float(each.active)) for key, each in names])
    page.family(
        "runtime_active_requests", "gauge", [(key, each.active_requests) for key, each in names]
    )
    page.family(
        "runtime_reserved_tokens", "gauge", [(key, each.reserved_tokens) for key, each in names]
    )
    body = ("\n".join(page.lines) + "\n").encode()
    return web.Response(body=body, headers={"Content-Type": _TYPE})
