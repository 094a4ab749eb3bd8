# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This file is private to the collection.

"""The part of the page about one gateway: the same as the table in the terminal."""

from __future__ import annotations

import typing as t
from collections.abc import Sequence

from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.status_table import (
    escrow_row,
    facts,
    over,
)

from .charts import chart
from .fleet import (
    MOST_BARS,
    advice_list,
    badge,
    balance_bar,
    cell,
    deadline_bar,
    head,
    longest_of,
    part_id,
    spent_per_hour,
    table,
)
from .gateways import Gateway, advices
from .html import Html, tag

if t.TYPE_CHECKING:
    from .gateways import Data

_OPEN: t.Final = 3
"""So many gateways are shown in full from the beginning, if each needs something."""


def gateway_part(number: int, gateway: Gateway, inventory: Sequence[str]) -> Html:
    name = part_id(number)
    parts: list[object] = [tag("p", gateway.line)]
    if gateway.findings:
        parts.append(tag("h4", "Findings"))
        parts.append(advice_list(advices([gateway]), inventory, fleet=1))
    if gateway.status is not None:
        parts.append(tag("h4", "State"))
        parts.append(_facts(gateway.status))
        parts.append(tag("h4", "Escrows"))
        parts.append(_escrows(gateway))
        parts.append(_charts(name, gateway))
    return tag(
        "details",
        tag("summary", tag("h3", gateway.host), " ", badge(gateway.verdict)),
        tag("div", *parts),
        id=name,
        data_host=name,
        open=number <= _OPEN and gateway.verdict != "ok",
    )


def _facts(status: Data) -> Html:
    terms: list[Html] = []
    for name, text in facts(status):
        if name != "host":
            terms += [tag("dt", name), tag("dd", text)]
    return tag("dl", *terms)


def _escrows(gateway: Gateway) -> Html:
    if not gateway.escrows:
        known = "The gateway has no escrow." if gateway.listed else "The escrows are not known."
        return tag("p", known)
    columns = (
        "model",
        "slot",
        "state",
        "deposit",
        "unspent",
        "spent per hour",
        "settle within",
        "why",
    )
    rows = []
    for escrow in gateway.escrows:
        shown = {**escrow_row(escrow), "why": "; ".join(escrow["why_not"]) or "-"}
        shown["spent per hour"] = "-" if over(escrow) else spent_per_hour(escrow)
        if escrow["model"] is not None:
            shown["model"] = escrow["model"]
        rows.append(
            tag(
                "tr",
                tag("th", f"escrow {escrow['id']}", scope="row", role="rowheader"),
                *(cell(name, "-" if shown[name] is None else shown[name]) for name in columns),
                role="row",
            )
        )
    heads = [head(name) for name in ("escrow", *columns)]
    return table(
        f"Escrows of {gateway.host}, the nearest deadline first", heads, rows, class_="plain"
    )


def _charts(name: str, gateway: Gateway) -> Html:
    rows = gateway.open_escrows[:MOST_BARS]
    longest = longest_of(rows)
    return tag(
        "div",
        chart(
            f"{name}-balances",
            f"Unspent part of deposits on {gateway.host}",
            [balance_bar(row, f"escrow {row['id']}") for row in rows],
        ),
        chart(
            f"{name}-deadlines",
            f"Deadlines on {gateway.host}",
            [deadline_bar(row, f"escrow {row['id']}", longest) for row in rows],
        ),
        class_="charts",
    )
