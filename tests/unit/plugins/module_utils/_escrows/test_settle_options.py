# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ConfigurationError,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.settling import (
    wish,
)


def test_ids_and_select_exclude_each_other() -> None:
    for bad in (wish(select="all"), replace(wish(), ids=())):
        with pytest.raises(ConfigurationError):
            bad.check()
