# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This file is private to the collection.

"""The parts of the page that are about all gateways: what to do, charts, wallets, the table."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Iterator, Sequence

from ansible_collections.gonka.devshard.plugins.module_utils._status.money_rules import time_left
from ansible_collections.gonka.devshard.plugins.module_utils._status.scene import coins
from ansible_collections.gonka.devshard.plugins.module_utils._swap.steps import Step

from .charts import Bar, chart, cut
from .gateways import NOT_KNOWN, RANK, Advice, Creator, Gateway, command
from .html import Html, joined, tag

if t.TYPE_CHECKING:
    from .gateways import Data

MOST_BARS: t.Final = 12
DAY: t.Final = 24
"""Hours."""
ADDRESS: t.Final = 28
"""Characters of an address beside a bar; the table has all of them."""
_ACT: t.Final = ("danger", NOT_KNOWN)


def kind(severity: str) -> str:
    """The class of a severity in the style sheet."""
    return severity.replace(" ", "-")


def badge(severity: str, text: str = "") -> Html:
    return tag("span", text or severity, class_=f"badge {kind(severity)}")


def amount(value: int | None) -> str:
    return NOT_KNOWN if value is None else coins(value)


def spent_per_hour(row: Data) -> str:
    """From the samples that the role monitoring keeps. What was not measured is not known."""
    burn = row.get("burn")
    if not burn:
        return NOT_KNOWN
    pace, lasts = burn["ngonka_per_hour"], ""
    if pace > 0 and row["balance"] is not None:
        lasts = f", lasts {int(row['balance'] / pace)} h"
    return f"{coins(round(pace))}, {burn['nonces_per_hour']:.0f} nonces{lasts}"


# what to do


def advice_list(found: Iterable[Advice], inventory: Sequence[str], *, fleet: int) -> Html:
    return tag("ul", *(_advice(item, inventory, fleet) for item in found), class_="advices")


def _advice(item: Advice, inventory: Sequence[str], fleet: int) -> Html:
    where = "all gateways" if len(item.hosts) == fleet > 1 else ", ".join(item.hosts)
    parts = [
        tag("p", badge(item.severity), " ", where, class_="what"),
        tag("p", f"{item.about}: {item.text}"),
    ]
    for intro, run in (("", item.run), ("Or go back with:", item.back)):
        if run:
            parts += [tag("p", intro)] if intro else []
            parts.append(typed(command(run, item.hosts, inventory)))
    return tag("li", *parts, class_=f"advice {kind(item.severity)}")


def typed(words: str) -> Html:
    return tag("div", tag("code", words), class_="command")


def advice_sections(found: Sequence[Advice], inventory: Sequence[str], fleet: int) -> Html:
    act = [item for item in found if item.severity in _ACT]
    rest = [item for item in found if item.severity not in _ACT]
    parts = [tag("h2", "What to do now")]
    if act:
        parts.append(advice_list(act, inventory, fleet=fleet))
    else:
        parts.append(tag("p", "No gateway is in danger, and every part answered."))
    if rest:
        parts.append(
            tag(
                "details",
                tag("summary", tag("h3", f"{len(rest)} warnings and notes")),
                tag("div", advice_list(rest, inventory, fleet=fleet)),
            )
        )
    return joined(parts)


# charts


def danger_of(row: Data) -> str:
    """What the bar of an escrow says by its colour; the text beside it says it too."""
    if row["dangers"]:
        return "danger"
    deadline = row["deadline"]
    return "warning" if deadline is not None and deadline["last_epoch"] else "ok"


def deadline_bar(row: Data, label: str, longest: int) -> Bar:
    deadline, severity = row["deadline"], danger_of(row)
    if deadline is None:
        return Bar(label=label, value=NOT_KNOWN, share=None)
    blocks = int(deadline["blocks_left"])
    told = "too late" if blocks < 0 else time_left(deadline)
    told += " (danger)" if severity == "danger" else ""
    return Bar(label=label, value=told, share=blocks / max(1, longest), severity=severity)


def balance_bar(row: Data, label: str) -> Bar:
    balance, deposit = row["balance"], row["amount"]
    if balance is None or not deposit:
        return Bar(label=label, value=NOT_KNOWN, share=None)
    return Bar(label=label, value=f"{coins(balance)} of {coins(deposit)}", share=balance / deposit)


def longest_of(rows: Iterable[Data]) -> int:
    return max((int(row["deadline"]["blocks_left"]) for row in rows if row["deadline"]), default=1)


def fleet_charts(fleet: Sequence[Gateway], found: Sequence[Creator]) -> Html:
    rows = [(row, _where(row, one)) for one in fleet for row in one.open_escrows]
    soon = sorted(rows, key=lambda entry: _blocks(entry[0]))[:MOST_BARS]
    low = sorted(rows, key=lambda entry: _share(entry[0]))[:MOST_BARS]
    longest = longest_of(row for row, _label in rows)
    wallets = [(one, one.wallet or 0) for one in found]
    highest = max((wallet for _one, wallet in wallets), default=0) or 1
    poor = sorted(wallets, key=lambda entry: (entry[0].wallet is not None, entry[1]))[:MOST_BARS]
    swaps = [(one.host, swap) for one in fleet if (swap := one.swap) is not None]
    drawn = [
        chart(
            "deadlines",
            "Deadlines, the nearest first",
            [deadline_bar(row, label, longest) for row, label in soon],
            _more(len(rows)),
        ),
        chart(
            "balances",
            "Unspent part of deposits, the lowest first",
            [balance_bar(row, label) for row, label in low],
            _more(len(rows)),
        ),
        chart(
            "wallets",
            "Wallets of the creators, the lowest first",
            [
                Bar(
                    label=cut(one.address, ADDRESS),
                    value=amount(one.wallet),
                    share=None if one.wallet is None else wallet / highest,
                )
                for one, wallet in poor
            ],
            _more(len(wallets)),
        ),
        chart(
            "funding",
            "How long the wallets last, the shortest first",
            [funding_bar(one) for one in sorted(found, key=_lasts)[:MOST_BARS]],
            _more(len(found)),
        ),
        chart(
            "swaps",
            "Swaps that have begun and not ended",
            [swap_bar(host, swap) for host, swap in swaps[:MOST_BARS]],
            _more(len(swaps)),
        ),
    ]
    drawn = [figure for figure in drawn if figure]
    if not drawn:
        return Html("")
    return tag("section", tag("h2", "Deposits and swaps"), tag("div", *drawn, class_="charts"))


def funding_bar(one: Creator) -> Bar:
    """Of all its gateways together. As much as the alert of the role monitoring asks for is red."""
    hours, label = one.lasts, cut(one.address, ADDRESS)
    if hours is None:
        return Bar(label=label, value=NOT_KNOWN, share=None)
    if hours == float("inf"):
        return Bar(label=label, value="nothing is spent", share=1.0)
    severity = "danger" if hours < DAY else "warning" if hours < 3 * DAY else "ok"
    told = f"{int(hours)} h" + (" (danger)" if severity == "danger" else "")
    return Bar(label=label, value=told, share=hours / (7 * DAY), severity=severity)


def swap_bar(host: str, swap: Data) -> Bar:
    """How far it is. A step that this version does not know is named and not drawn."""
    steps = [step.value for step in Step]
    at = str(swap["step"])
    share = (steps.index(at) + 1) / len(steps) if at in steps else None
    way = "back, at" if swap["rolling_back"] else "at"
    return Bar(label=host, value=f"{way} {at}", share=share, severity="warning")


def _lasts(one: Creator) -> float:
    """What is not known comes first."""
    return -1.0 if one.lasts is None else one.lasts


def _where(row: Data, gateway: Gateway) -> str:
    return f"{row['id']} on {gateway.host}"


def _more(count: int) -> str:
    return f"{MOST_BARS} of {count}. The tables have all." if count > MOST_BARS else ""


def _blocks(row: Data) -> int:
    """What is not known comes first."""
    return -1 if row["deadline"] is None else int(row["deadline"]["blocks_left"])


def _share(row: Data) -> float:
    known = row["balance"] is not None and row["amount"]
    return row["balance"] / row["amount"] if known else -1.0


# tables


def cell(label: str, text: object, value: object = None, **more: object) -> Html:
    return tag("td", tag("span", text, **more), role="cell", data_label=label, data_v=value)


def table(caption: str, heads: Sequence[Html], rows: Iterable[Html], **attributes: object) -> Html:
    return tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", *heads, role="row"), role="rowgroup"),
        tag("tbody", *rows, role="rowgroup"),
        role="table",
        **attributes,
    )


def head(text: str, **attributes: object) -> Html:
    return tag("th", text, scope="col", role="columnheader", **attributes)


def creator_table(found: Sequence[Creator]) -> Html:
    if not found:
        return Html("")
    names = (
        "Creator",
        "Wallet",
        "Gateways",
        "Open escrows",
        "Deposits",
        "Unspent",
        "Spent per hour",
        "Lasts",
    )
    rows = [
        tag(
            "tr",
            tag("th", one.address, scope="row", role="rowheader"),
            *(
                cell(name, text)
                for name, text in zip(
                    names[1:],
                    (
                        amount(one.wallet),
                        len(one.hosts),
                        NOT_KNOWN if one.deposits is None else one.count,
                        amount(one.deposits),
                        amount(one.unspent),
                        amount(one.burn),
                        funding_bar(one).value,
                    ),
                    strict=True,
                )
            ),
            role="row",
        )
        for one in found
    ]
    caption = "What each creator has free and what lies in its escrows, over all gateways"
    return joined(
        [tag("h2", "Wallets"), table(caption, [head(name) for name in names], rows, class_="plain")]
    )


def fleet_table(fleet: Sequence[Gateway]) -> Html:
    names = (
        "Gateway",
        "State",
        "Clients",
        "Models served",
        "Requests now",
        "Unspent",
        "Next deadline",
        "Wallet",
    )
    heads = [head(name, aria_sort="ascending" if name == "State" else None) for name in names]
    rows = [_fleet_row(number, one) for number, one in enumerate(fleet, 1)]
    return table("All gateways, the worst first", heads, rows, id="fleet")


def part_id(number: int) -> str:
    return f"gateway-{number}"


def _fleet_row(number: int, one: Gateway) -> Html:
    served = one.served
    words = [one.host, one.verdict, one.clients, one.creator or ""]
    words += [str(model["id"]) for model in one.models]
    words += [str(row["id"]) for row in one.escrows]
    deadline, blocks = deadline_text(one)
    return tag(
        "tr",
        tag(
            "th",
            tag("a", one.host, href=f"#{part_id(number)}"),
            scope="row",
            role="rowheader",
            data_v=one.host,
        ),
        cell("State", joined([badge(one.verdict)]), RANK[one.verdict]),
        cell("Clients", one.clients, one.clients),
        cell(
            "Models served",
            NOT_KNOWN if served is None else f"{served[0]} of {served[1]}",
            -1 if served is None else served[0] - served[1],
        ),
        cell(
            "Requests now",
            NOT_KNOWN if one.requests is None else one.requests,
            _number(one.requests),
        ),
        cell("Unspent", amount(one.unspent), _number(one.unspent), class_="whole"),
        cell("Next deadline", deadline, blocks, class_="whole"),
        cell("Wallet", amount(one.wallet), _number(one.wallet), class_="whole"),
        role="row",
        data_host=part_id(number),
        data_state=one.verdict,
        data_find=" ".join(words).lower(),
    )


def _number(value: int | None) -> int:
    """By which a column is sorted: what is not known comes first."""
    return -1 if value is None else value


def deadline_text(one: Gateway) -> tuple[str, int]:
    """The nearest deadline, and by what it is sorted."""
    nearest = one.next_deadline
    if nearest is None:
        return ("no open escrow", 10**12) if one.all_deadlines else (NOT_KNOWN, -1)
    blocks = int(nearest["blocks_left"])
    told = "too late" if blocks < 0 else time_left(nearest)
    return told if one.all_deadlines else f"{told}, others {NOT_KNOWN}", blocks


# the look at each gateway


def state_counts(fleet: Sequence[Gateway]) -> Iterator[tuple[str, int]]:
    for severity in RANK:
        yield severity, sum(1 for one in fleet if one.verdict == severity)
