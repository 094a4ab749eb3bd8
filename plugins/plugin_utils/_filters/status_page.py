# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: the state of all gateways as one web page that needs nothing else."""

from __future__ import annotations

import base64
import functools
import hashlib
import shlex
import typing as t
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote

from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.status_fleet import (
    fleet_of,
    words,
)
from ansible_collections.gonka.devshard.plugins.plugin_utils._page.details import gateway_part
from ansible_collections.gonka.devshard.plugins.plugin_utils._page.fleet import (
    advice_sections,
    badge,
    creator_table,
    fleet_charts,
    fleet_table,
    state_counts,
    typed,
)
from ansible_collections.gonka.devshard.plugins.plugin_utils._page.gateways import (
    STATUS,
    Gateway,
    advices,
    creators,
)
from ansible_collections.gonka.devshard.plugins.plugin_utils._page.html import Html, joined, tag

_FOLDER: t.Final = Path(__file__).parents[1] / "_page"
_COLOURS: t.Final = {
    "danger": "#b3141d",
    "not known": "#7a3fb0",
    "warning": "#c98200",
    "ok": "#17692f",
}


@functools.cache
def _part(name: str) -> Html:
    return Html((_FOLDER / name).read_text(encoding="utf-8"))


def _digest(text: str) -> str:
    """The only script and style that the browser may use, by what they say."""
    found = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(found).decode()}'"


def _policy() -> str:
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {_digest(_part('page.js'))}",
            f"style-src {_digest(_part('page.css'))}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _icon(worst: str) -> str:
    """The state in the browser's tab."""
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">'
        f'<circle cx="8" cy="8" r="7" fill="{_COLOURS[worst]}"/></svg>'
    )
    return f"data:image/svg+xml,{quote(drawing)}"


def _head(fleet: Sequence[Gateway]) -> Html:
    counts = dict(state_counts(fleet))
    bad = [
        f"{count} {severity}" for severity, count in counts.items() if count and severity != "ok"
    ]
    worst = fleet[0].verdict if fleet else "not known"
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy()),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name_="referrer", content="no-referrer"),
        tag("meta", name_="robots", content="noindex"),
        tag("title", f"{', '.join(bad) or 'all ok'}: {len(fleet)} gateways"),
        tag("link", rel="icon", href=_icon(worst)),
        tag("style", _part("page.css")),
    )


def _header(fleet: Sequence[Gateway], at: str, again: str) -> Html:
    shown = at.replace("T", " ").replace("Z", " UTC")
    counted = [
        badge(severity, f"{count} {severity}") for severity, count in state_counts(fleet) if count
    ]
    return tag(
        "header",
        tag("h1", "Gonka devshard gateways"),
        tag(
            "p",
            "Looked at ",
            tag("time", shown, datetime=at, id="looked-at"),
            ". ",
            tag("span", "The page does not renew itself.", class_="age", id="age"),
        ),
        tag("ul", *(tag("li", item) for item in counted), class_="counts"),
        tag(
            "details",
            tag("summary", "How to look again"),
            tag("div", typed(again)),
        ),
    )


def _tools(fleet: Sequence[Gateway]) -> Html:
    """Useful only with the script, which shows them."""
    buttons = [
        tag("button", f"{severity} ({count})", type="button", value=severity, aria_pressed="false")
        for severity, count in state_counts(fleet)
    ]
    find = tag(
        "div",
        tag("label", "Find a gateway, model or escrow", for_="find"),
        tag("input", type="search", id="find", autocomplete="off"),
    )
    states = tag("div", *buttons, role="group", aria_label="Show only these states", id="states")
    every = tag("button", "Open all details", type="button", id="open", aria_pressed="false")
    return tag("div", find, states, every, class_="tools scripted", hidden=True)


def _body(fleet: Sequence[Gateway], at: str, inventory: Sequence[str], again: str) -> Html:
    paid = list(creators(fleet))
    parts = [gateway_part(number, one, inventory) for number, one in enumerate(fleet, 1)]
    main = tag(
        "main",
        advice_sections(advices(fleet), inventory, len(fleet)),
        tag("h2", "Gateways"),
        _tools(fleet),
        tag("p", f"{len(fleet)} gateways.", role="status", id="shown", class_="soft"),
        fleet_table(fleet),
        fleet_charts(fleet, paid),
        creator_table(paid),
        tag("h2", "Details"),
        *parts,
        tag("p", role="status", id="told", class_="soft"),
    )
    footer = tag(
        "footer", tag("p", "Written by the playbook gonka.devshard.status. It holds no secret.")
    )
    return tag("body", _header(fleet, at, again), main, footer, tag("script", _part("page.js")))


def _again(inventory: Iterable[str], path: str) -> str:
    typed_words = ["ansible-playbook"]
    for source in inventory:
        typed_words += ["-i", source]
    typed_words.append(STATUS)
    return shlex.join([*typed_words, "-e", f"status_page_file={path}"] if path else typed_words)


def status_page(
    looks: object, hosts: object, at: object, inventory: object = (), path: object = ""
) -> str:
    """Return the page. A host of ``hosts`` that is not among the looks is not known."""
    fleet, sources = fleet_of("status_page", looks, hosts, at), words("status_page", inventory)
    again = _again(sources, str(path))
    page = tag("html", _head(fleet), _body(fleet, str(at), sources, again), lang="en")
    return str(joined([Html("<!DOCTYPE html>\n"), page, Html("\n")]))
