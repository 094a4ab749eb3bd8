# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What is shown of a gateway that was made by hand, and what its takeover would change."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.adopt_changes import (
    FILE,
    LATER,
    NOTHING,
    SWAP,
    adopt_changes,
)
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.adopt_report import (
    adopt_report,
)

Data = dict[str, t.Any]
ADOPT: Data = {
    "container": {
        "name": "llm",
        "state": "running",
        "image": "gateway:1",
        "digest": None,
        "restart_policy": "always",
        "project": "prod",
        "service": "gw",
        "working_dir": "/opt/llm",
        "compose_files": ["/opt/llm/compose.yaml"],
        "storage": "/data",
        "volume": None,
        "inside": "/root/.devshardctl",
        "ports": {"8080/tcp": ["127.0.0.1:28080"]},
        "variables": {"DEVSHARD_ADMIN_API_KEY": "(secret)", "A": "1"},
        "record": None,
    },
    "generation": "v2",
    "settings": {
        "max_concurrent_requests": 300,
        "model_limits": [{"model_id": "m/1", "access_mode": "api_key"}, {"model_id": "m/2"}],
        "escrow_rotation": {"enabled": True, "settlement_enabled": False, "pre_poc_blocks": 300},
    },
    "escrows": [
        {
            "id": "7",
            "model": "m/1",
            "active": True,
            "key": "",
            "settled": False,
            "creator": "gonka1a",
            "amount": 5_000_000_000,
            "pruned": False,
        }
    ],
    "chain_error": None,
    "front": {
        "installed": True,
        "error": None,
        "listens": {"80": ["/etc/nginx/sites-enabled/site"]},
        "leads": ["/etc/nginx/sites-enabled/site"],
        "ours": [],
    },
    "others": ["second (gateway:1, running)"],
    "inventory": {"devshard_env_file": "/opt/llm/gw.env", "edge_http_port": 8080},
}


def changed(**values: t.Any) -> Data:
    return {**copy.deepcopy(ADOPT), **values}


def test_the_report_says_what_there_is() -> None:
    text = "\n".join(adopt_report(ADOPT, "host"))
    for part in (
        "host: the container llm is a gateway of generation v2",
        "restart policy always, made by Compose (project prod, service gw, directory /opt/llm)",
        "storage: /data, mounted on /root/.devshardctl",
        "8080/tcp on 127.0.0.1:28080",
        "variables: 2, of which are secret: DEVSHARD_ADMIN_API_KEY",
        "limits: max_concurrent_requests 300",
        "access: m/1 (api_key), m/2 (admin_only)",
        "rotation: on, does not settle, 300 blocks before the epoch",
        "escrow 7: m/1, active, 5 GNK of gonka1a, key in its record",
        "nginx leads to the gateway in /etc/nginx/sites-enabled/site",
        "left alone: second (gateway:1, running)",
    ):
        assert part in text


def test_what_is_unknown_is_said() -> None:
    escrow = {**ADOPT["escrows"][0], "settled": None, "key": "OWN_KEY"}
    text = "\n".join(
        adopt_report(
            changed(
                generation=None,
                escrows=[escrow],
                chain_error="no answer",
                front={"installed": True, "error": "nginx -T fails", "listens": {}, "leads": []},
            ),
            "host",
        )
    )
    assert "of generation unknown" in text
    assert "its deposit is unknown, key by the name OWN_KEY" in text
    assert "could not be asked for the escrows: no answer" in text
    assert "nginx: it could not be read: nginx -T fails" in text


LOOK: Data = {
    "plan": {
        "docker_engine": ["the packages are not installed: x"],
        "creator": ["the key could not be checked: there is no file"],
        "gateway": ["/opt/llm/docker-compose.yml is not there"],
        "edge": ["not there"],
        "escrow": ["m/1 could not be checked: the gateway is not known to run"],
    },
    "predictions": {
        "gateway": {
            "gateway_plan_info": [
                {"plan": {"recorded": False, "reasons": [], "differing": ["CHAIN_ID"]}}
            ]
        }
    },
}


def rows(look: Data | None = None, adopt: Data | None = None) -> dict[str, dict[str, str]]:
    return {row["what"]: row for row in adopt_changes(look or LOOK, adopt or ADOPT)}


def test_each_change_has_a_cost() -> None:
    found = rows()
    file = found["environment file /opt/llm/gw.env"]
    assert (file["change"], file["cost"]) == (
        "these variables are added or changed: CHAIN_ID",
        FILE,
    )
    assert found["container"]["cost"] == NOTHING
    assert found["keyring of the creator"]["change"] == "the key is imported"
    assert "the container is not touched" in found["compose file"]["change"]
    assert "Rename compose.yaml" in found["compose file"]["change"]
    assert "a site on port 8080 is added beside your own sites" in found["edge"]["change"]
    assert "escrow 7 is entered" in found["ledger"]["change"]
    assert found["program inferenced"]["text"] == (
        "- program inferenced: no change (cost: nothing)"
    )


def test_a_value_that_the_file_has_otherwise_costs_a_swap() -> None:
    row = rows(adopt=changed(overridden=["A", "B"]))["values of variables"]
    assert row["cost"] == SWAP
    assert "A, B get the value of /opt/llm/gw.env" in row["change"]


@pytest.mark.parametrize(("reasons", "cost"), [([], LATER), (["A differs"], SWAP)])
def test_what_the_next_container_does_without_is_listed(reasons: list[str], cost: str) -> None:
    look = copy.deepcopy(LOOK)
    look["predictions"]["gateway"]["gateway_plan_info"][0]["plan"]["reasons"] = reasons
    adopt = changed(
        closed=["18085 on all addresses"],
        container={**ADOPT["container"], "options": ["labels (traefik.enable)", "mem_limit"]},
    )
    found = rows(look, adopt)
    ports, options = found["published ports"], found["options of the container"]
    assert "is not published on 18085 on all addresses." in ports["change"]
    assert "next container: labels (traefik.enable), mem_limit" in options["change"]
    assert (ports["cost"], options["cost"]) == (cost, cost)


def test_another_port_in_the_container_costs_a_swap() -> None:
    variables = {**ADOPT["container"]["variables"], "DEVSHARD_PORT": "9000"}
    row = rows(adopt=changed(container={**ADOPT["container"], "variables": variables}))[
        "port in the container"
    ]
    assert row["cost"] == SWAP
    assert "9000 becomes 8080" in row["change"]


def test_a_compose_file_with_other_services_is_left_to_its_owner() -> None:
    container = {**ADOPT["container"], "neighbours": ["nginx"]}
    change = rows(adopt=changed(container=container))["compose file"]["change"]
    assert "a folder of its own, since /opt/llm/compose.yaml describes nginx too" in change
    assert "Remove gw from it" in change


def test_another_container_costs_a_swap() -> None:
    look = copy.deepcopy(LOOK)
    look["predictions"]["gateway"]["gateway_plan_info"][0]["plan"]["reasons"] = ["A differs"]
    found = rows(look)
    assert found["container"]["cost"] == SWAP
    assert "A differs" in found["container"]["change"]
    assert "by the swap" in found["compose file"]["change"]


def test_a_gateway_that_is_taken_over_needs_nothing() -> None:
    look = {
        "plan": {},
        "predictions": {"gateway": {"gateway_plan_info": [{"plan": {"recorded": True}}]}},
    }
    found = rows(look, changed(escrows=[]))
    assert {row["cost"] for row in found.values()} == {NOTHING}


@pytest.mark.parametrize("wrong", [None, [], {"plan": {}}])
def test_what_is_not_a_result_is_refused(wrong: object) -> None:
    with pytest.raises(AnsibleFilterError):
        adopt_report(wrong, "host")
    with pytest.raises(AnsibleFilterError):
        adopt_changes(LOOK, None)
