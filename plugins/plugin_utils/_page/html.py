# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This file is private to the collection.

"""Elements of a page. Whatever is not an element is text, and is escaped."""

from __future__ import annotations

import html
import re
import typing as t

# control characters, and those that turn the direction of the text around them
_HOSTILE: t.Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_EMPTY: t.Final = frozenset({"meta", "link", "input", "br"})


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def escaped(value: object) -> Html:
    if isinstance(value, Html):
        return value
    return Html(html.escape(_HOSTILE.sub("\N{REPLACEMENT CHARACTER}", str(value))))


def joined(parts: t.Iterable[object], by: str = "") -> Html:
    return Html(by.join(escaped(part) for part in parts))


def tag(name: str, /, *children: object, **attributes: object) -> Html:
    """An element. ``class_`` is the attribute ``class``, ``data_v`` is ``data-v``; None and False
    leave an attribute out."""
    words = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        attribute = key.rstrip("_").replace("_", "-")
        words.append(attribute if value is True else f'{attribute}="{escaped(value)}"')
    start = f"<{' '.join(words)}>"
    return Html(start if name in _EMPTY else f"{start}{joined(children)}</{name}>")
