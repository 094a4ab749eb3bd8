# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What differs is told in words, each part once and not at length."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.module_utils._site.model import PARTS
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.site_changes import (
    NAMES,
    site_changes,
)


def test_every_part_has_a_name() -> None:
    assert set(NAMES) == set(PARTS)


def test_nothing_differs() -> None:
    assert site_changes({"plan": {}, "notes": []}, "gw") == []


def test_parts_and_notes_are_told() -> None:
    look = {"plan": {"edge": ["a", "b"], "rotation": ["c"]}, "notes": ["n"]}
    lines = site_changes(look, "gw", check=True)
    assert lines == [
        "gw: n",
        "gw: what differs from the settings would be worked on:",
        "- the edge: a; b",
        "- the rotation: c",
    ]
    assert site_changes(look, "gw")[1] == "gw: what differs from the settings is worked on:"


def test_many_and_long_reasons_are_cut() -> None:
    (_head, line) = site_changes({"plan": {"edge": ["x" * 999, *"bcdef"]}}, "gw")
    assert line.endswith("…; b; c; d; 2 more")
    assert len(line) < 300


def test_the_result_of_another_module_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="site_plan"):
        site_changes({}, "gw")
