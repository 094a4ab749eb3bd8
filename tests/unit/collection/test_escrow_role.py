# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What the role escrow gives its module: the ids that each model's run is to adopt."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    ROOT,
    Data,
    read_yaml,
)
from ansible_collections.gonka.devshard.tests.unit.collection.test_hot_swap_role import evaluated

VARIABLES: Data = read_yaml(ROOT / "roles/escrow/vars/main.yml")


@pytest.mark.parametrize(
    ("mine", "theirs", "twice"),
    [
        ([12], [12, 13], [12]),
        # as it comes from the command line
        ("12,13", "12,13", [12, 13]),
        ([12], [13], []),
        ([], [12], []),
        ([12], None, []),
    ],
)
def test_one_escrow_is_not_for_two_gateways(mine: t.Any, theirs: t.Any, twice: list[int]) -> None:
    given = {
        "escrow_adopt": mine,
        "inventory_hostname": "a",
        "ansible_play_hosts_all": ["a", "b"],
        "hostvars": {"a": {}, "b": {} if theirs is None else {"escrow_adopt": theirs}},
    }
    assert evaluated(VARIABLES["__escrow_twice"], given) == twice


def test_each_run_knows_the_models_of_the_others() -> None:
    given = {
        "escrow_adopt": [1],
        "devshard_models": [{"id": "a", "amount": 1}, {"id": "b", "amount": 1}],
    }
    names = ("create_via", "adopt_orphans", "other_gateway_ids", "reactivate")
    given |= {f"escrow_{name}": "" for name in names}
    given |= {f"escrow_{name}": 1 for name in ("max_creates_per_run", "fee_amount", "gas_limit")}
    pools = evaluated(VARIABLES["__escrow_pools"], given)
    assert [pool["args"]["other_models"] for pool in pools] == [["a", "b"], ["a", "b"]]
