# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This file is private to the collection.

"""Bars as SVG, with the same as text for those who do not see them."""

from __future__ import annotations

import typing as t
from collections.abc import Sequence
from dataclasses import dataclass

from .html import Html, escaped, tag

WIDTH: t.Final = 360
_ROW: t.Final = 36
_ROW_CHARACTERS: t.Final = 48
"""So many fit side by side above a bar, in a wide font."""
_VALUE: t.Final = 34
_THIN: t.Final = 3.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """``share`` is the part of the whole width; None draws no bar, since the value is not known."""

    label: str
    value: str
    share: float | None
    severity: str = "ok"


def chart(name: str, heading: str, bars: Sequence[Bar], note: str = "") -> Html:
    """A figure. ``name`` is unique on the page."""
    if not bars:
        return Html("")
    rows = [_row(item, number * _ROW) for number, item in enumerate(bars)]
    told = "; ".join(f"{item.label}: {item.value}" for item in bars)
    drawing = tag(
        "svg",
        tag("title", heading, id=f"{name}-title"),
        tag("desc", told, id=f"{name}-desc"),
        *rows,
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
        viewBox=f"0 0 {WIDTH} {len(bars) * _ROW}",
    )
    below = tag("p", note, class_="note") if note else ""
    return tag("figure", tag("figcaption", heading), drawing, below)


def _row(item: Bar, top: int) -> Html:
    track = tag("rect", class_="track", x=0, y=top + 18, width=WIDTH, height=9, rx=2)
    value = cut(item.value, _VALUE)
    room = _ROW_CHARACTERS - len(value)
    label = item.label if len(item.label) <= room else f"{item.label[: room - 1]}…"
    parts = [
        tag("text", label, x=0, y=top + 13),
        tag("text", value, x=WIDTH, y=top + 13, text_anchor="end", class_="value"),
        track,
    ]
    if item.share is not None:
        # the least that can be seen
        width = round(max(_THIN, min(1.0, item.share) * WIDTH) if item.share > 0 else 0.0, 1)
        kind = escaped(item.severity).replace(" ", "-")
        parts.append(
            tag("rect", class_=f"bar {kind}", x=0, y=top + 18, width=width, height=9, rx=2)
        )
    return tag("g", *parts)


def cut(text: str, width: int) -> str:
    """The ends of a name say more than its middle."""
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"
