# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Each filter finds its code."""

from __future__ import annotations

import importlib
import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.plugin_utils import _lazily
from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import FILTERS

PLUGINS: t.Final = "ansible_collections.gonka.devshard.plugins"


@pytest.mark.parametrize("file", FILTERS)
def test_a_filter_has_the_name_of_its_code(file: str) -> None:
    filters = importlib.import_module(f"{PLUGINS}.filter.{file}").FilterModule().filters()
    code = importlib.import_module(f"{PLUGINS}.plugin_utils._filters.{file}")
    assert file in filters
    for name in filters:
        assert getattr(code, name).__module__ == code.__name__


def test_it_gets_what_the_filter_is_given() -> None:
    table = _lazily.lazily("table", "table")
    assert table([{"a": 1}], columns=["a"]) == ["a", "-", "1"]
    with pytest.raises(AnsibleFilterError, match="a list of rows is needed"):
        table(None, ["a"])
