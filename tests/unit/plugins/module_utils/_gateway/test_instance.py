# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Everything that a gateway has of its own follows from its name; what all share does not."""

from __future__ import annotations

import itertools
import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import ConfigurationError
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.instance import (
    Instance,
    Places,
    name_fault,
)

STATE = "/var/lib/gonka-devshard"
NAMES = ["", "a", "a-b", "ab", "blue", "main", "temp", "slots", "slot", "temp-slot", "x" * 21]


def flat(value: t.Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in flat(item)]
    return [value]


def test_the_gateway_without_a_name_has_the_names_of_versions_that_knew_no_others() -> None:
    assert Instance().to_result(STATE) == {
        "name": "",
        "suffix": "",
        "container": "devshardctl-multi",
        "temp_container": "devshardctl-temp",
        "project": None,
        "deploy_dir": "/srv/gonka/devshard-gateway",
        "backup_dir": "/var/backups/gonka-devshard",
        "state_dir": STATE,
        "redirect_note": f"{STATE}/redirect.json",
        "journals": {"main": f"{STATE}/swap.json", "temp": f"{STATE}/swap-temp.json"},
        "swap_backups": f"{STATE}/backups",
        "nginx_prefix": "devshard",
        "edge_dir": "/etc/nginx/devshard",
        "edge_file": "/etc/nginx/conf.d/gonka-devshard.conf",
        "edge_cache": "/var/cache/gonka-devshard-edge",
        "edge_flag": "/etc/nginx/devshard/temp-in-service",
        "edge_includes": "/etc/nginx/devshard/server.d",
        "redirect_file": "/etc/nginx/devshard/server.d/redirect.conf",
        "retired_file": "/etc/nginx/devshard/server.d/retired.conf",
    }


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(NAMES, 2)))
def test_two_gateways_share_no_name(one: str, other: str) -> None:
    first, second = (flat(Instance(name).to_result(STATE)) for name in (one, other))
    assert not set(first) & set(second)


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(NAMES, 2)))
def test_two_gateways_share_no_name_in_nginx(one: str, other: str) -> None:
    words = ("main", "temp", "slot", "served", "again", "now", "temp_runs", "local", "slots")
    first, second = (
        {f"{Instance(name).nginx_prefix}_{word}" for word in words} for name in (one, other)
    )
    assert not first & second


@pytest.mark.parametrize(
    "name",
    ["A", "1a", "-a", "a-", "a--b", "a_b", "a/b", "..", "a b", "a.b", "x" * 22, None, 5, True],
)
def test_a_name_that_fits_not_everywhere(name: object) -> None:
    fault = name_fault(name) or ""
    assert "devshard_instance must be empty, or start with a lower-case letter" in fault
    with pytest.raises(ConfigurationError, match="devshard_instance must be empty"):
        Instance(t.cast("str", name))


def paths(places: Places) -> dict[str, str]:
    names = ("record", "retired", "compose", "temp_compose", "storage", "redirect_note", "ledger")
    return {
        **{name: str(getattr(places, name)) for name in (*names, "swap_backups")},
        **{slot: str(path) for slot, path in places.journals.items()},
    }


def test_paths_follow_from_the_two_directories() -> None:
    assert paths(Places(deploy_dir=Path("/d"), state_dir=Path("/s"))) == {
        "record": "/d/.gonka-devshard.json",
        "retired": "/d/.retired.json",
        "compose": "/d/docker-compose.yml",
        "temp_compose": "/d/docker-compose.temp.yml",
        "storage": "/d/.devshardctl",
        "redirect_note": "/s/redirect.json",
        "ledger": "/s/ledger.db",
        "swap_backups": "/s/backups",
        "main": "/s/swap.json",
        "temp": "/s/swap-temp.json",
    }


def test_a_named_gateway_has_its_own_notes_and_the_ledger_of_the_host() -> None:
    found = paths(Places(deploy_dir=Path("/d"), state_dir=Path("/s"), instance=Instance("blue")))
    own = {name: found[name] for name in ("redirect_note", "swap_backups", "main", "temp")}
    assert own == {
        "redirect_note": "/s/instances/blue/redirect.json",
        "swap_backups": "/s/instances/blue/backups",
        "main": "/s/instances/blue/swap.json",
        "temp": "/s/instances/blue/swap-temp.json",
    }
    assert found["ledger"] == "/s/ledger.db"
