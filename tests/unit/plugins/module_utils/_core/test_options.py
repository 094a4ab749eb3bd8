# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import enum
import typing as t
from dataclasses import dataclass
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.options import (
    OptionTypeError,
    read_options,
)


class Colour(enum.Enum):
    RED = "red"


@dataclass(frozen=True, kw_only=True)
class Inner:
    name: str


@dataclass(frozen=True, kw_only=True)
class Wish:
    count: int
    share: float
    colour: Colour
    kind: t.Literal["a", "b"] | None
    ids: tuple[int, ...]
    others: frozenset[int]
    inner: tuple[Inner, ...]
    folder: Path
    raw: dict[str, t.Any]
    extra: str | None = None


PARAMS: dict[str, t.Any] = {
    "count": 3,
    "share": 2,
    "colour": "red",
    "kind": "a",
    "ids": [1, 2],
    "others": [2, 2],
    "inner": [{"name": "x"}],
    "folder": "/srv",
    "raw": {"k": None},
    "not_asked_for": 1,
}


def test_each_field_is_the_option_of_its_name() -> None:
    wish = read_options(Wish, PARAMS)
    assert wish == Wish(
        count=3,
        share=2,
        colour=Colour.RED,
        kind="a",
        ids=(1, 2),
        others=frozenset({2}),
        inner=(Inner(name="x"),),
        folder=Path("/srv"),
        raw={"k": None},
    )


def test_what_was_left_out_is_none_or_empty() -> None:
    wish = read_options(Wish, {**PARAMS, "kind": None, "ids": None})
    assert (wish.kind, wish.ids, wish.extra) == (None, (), None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count", "3"),
        ("count", True),
        ("count", None),
        ("share", "0.5"),
        ("kind", "c"),
        ("ids", "1"),
        ("ids", ["1"]),
        ("inner", [{"name": 1}]),
        ("folder", 5),
        ("raw", []),
        ("extra", 1),
    ],
)
def test_another_type_than_the_fields_is_a_bug_and_names_no_value(name: str, value: object) -> None:
    with pytest.raises(
        OptionTypeError, match=r"option (count|share|kind|ids|name|folder|raw|extra)"
    ):
        read_options(Wish, {**PARAMS, name: value})


def test_a_field_without_a_default_needs_its_option() -> None:
    params = {key: value for key, value in PARAMS.items() if key != "count"}
    with pytest.raises(OptionTypeError, match="Wish needs an option count"):
        read_options(Wish, params)
