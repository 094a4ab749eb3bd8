# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What the role gateway records before the start is what its second run finds."""

from __future__ import annotations

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._gateway.instance import Instance
from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    ROOT,
    Data,
    read_yaml,
)
from ansible_collections.gonka.devshard.tests.unit.collection.test_hot_swap_role import evaluated


def identity(name: str = "", **plan: object) -> Data:
    place = {"storage": "/s", "volume": None, "service": "devshardctl", "adopting": False, **plan}
    names = {
        "devshard_profile": "v2",
        "devshard_instance": name,
        "__devshard_names": Instance(name).to_result("/var/lib/x"),
        "gateway_container_name": "multi",
        "devshard_gateway_url": "http://127.0.0.1:18080",
        "devshard_state_dir": "/var/lib/x",
        "devshard_ledger_path": "/var/lib/x/ledger.db",
        "devshard_deploy_dir": "/srv/gonka/devshard-gateway",
    }
    variables = read_yaml(ROOT / "roles/gateway/vars/main.yml")
    known: Data = {**variables, **names, "__gateway_plan": place, "__gateway_record": {}}
    return dict(evaluated("{{ __gateway_identity }}", known))


@pytest.mark.parametrize("recreate", [False, True])
def test_the_second_run_records_the_same_project(recreate: bool) -> None:
    first = identity(project=None, composed=True, recreate=recreate)
    second = identity(project="devshard-gateway", composed=True, recreate=False)
    assert first["project"] == "devshard-gateway"
    assert first == second


def test_a_container_that_compose_did_not_make_has_no_project_until_it_is_recreated() -> None:
    assert "project" not in identity(project=None, composed=False, recreate=False)
    assert "project" in identity(project=None, composed=False, recreate=True)


def test_a_gateway_without_a_name_records_none() -> None:
    assert "instance" not in identity(project=None)


def test_a_named_gateway_has_a_project_of_its_own_whatever_its_directory_is_called() -> None:
    """Compose removes what has the same project and service, so two must never share one."""
    found = identity("blue", project=None)
    assert (found["instance"], found["project"]) == ("blue", "devshard-gateway-blue")
