# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The inventory says of a gateway what it is, and no secret."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._adopt.inventory import make, port_of
from ansible_collections.gonka.devshard.plugins.module_utils._adopt.model import (
    Answers,
    Deposit,
    Front,
    Given,
    HandMade,
    Seen,
)

MODEL = "Qwen/Qwen3-235B-A22B-Instruct-2507-FP8"
OWNER = "gonka1owner"
BROKER = {
    "DEVSHARD_PORT": "8080",
    "DEVSHARD_API_KEYS": "sk-client-0123456789",
    "DEVSHARD_ADMIN_API_KEY": "sk-admin-0123456789",
    "DEVSHARD_PRIVATE_KEY": "ab" * 32,
    "DEVSHARDS_JSON": "[]",
    "DEVSHARD_CHAIN_ID": "gonka-mainnet",
    "DEVSHARD_CHAIN_RPC": "https://rpc.example.org/chain-rpc/",
    "DEVSHARD_CHAIN_GRPC": "none",
    "DEVSHARD_PUBLIC_API": "https://api.example.org",
    "DEVSHARD_ROUTE_PREFIX": "/devshard/v4.1",
    "DEVSHARD_STORAGE_DIR": "/root/.devshardctl",
    "DEVSHARD_TX_GAS_LIMIT": "700000",
    "DEVSHARD_STATS_ENABLED": "true",
    "DEVSHARD_ESCROW_ROTATION_ENABLED": "false",
}


def gateway(**changes: t.Any) -> HandMade:
    values: dict[str, t.Any] = {
        "name": "devshard-v41",
        "state": "running",
        "image": "ghcr.io/gonka-ai/devshard-gateway:mainnet-v0.2.15-v4.1.1",
        "digest": None,
        "restart_policy": "unless-stopped",
        "ports": {"8080/tcp": ("127.0.0.1:18085",), "9091/tcp": ("127.0.0.1:9091",)},
        "storage": "/var/lib/docker/volumes/b/_data",
        "inside": "/root/.devshardctl",
        "volume": "b",
        "project": "broker",
        "service": "gateway",
        "working_dir": "/opt/broker",
        "variables": BROKER,
    }
    return HandMade(**{**values, **changes})


def deposit(number: str, **changes: t.Any) -> Deposit:
    values: dict[str, t.Any] = {
        "id": number,
        "model": MODEL,
        "active": True,
        "loaded": True,
        "key": "DEVSHARD_PRIVATE_KEY",
        "protocol": "v4.1",
        "role": None,
        "settled": False,
        "creator": OWNER,
        "amount": 5_000_000_000,
    }
    return Deposit(**{**values, **changes})


def answers(**changes: t.Any) -> Answers:
    values: dict[str, t.Any] = {
        "settings": {
            "default_model": MODEL,
            "model_limits": [{"model_id": MODEL, "access_mode": "api_key"}],
            "escrow_rotation": {"enabled": False, "settlement_enabled": False, "models": []},
        },
        "deposits": (deposit("7"), deposit("8")),
        "generation": "v4.1",
    }
    return Answers(**{**values, **changes})


def seen(**changes: t.Any) -> Seen:
    values: dict[str, t.Any] = {
        "gateway": gateway(),
        "answers": answers(),
        "front": Front(installed=False),
        "env_file": None,
        "temp_port": 18081,
        "edge_port": 80,
    }
    return Seen(**{**values, **changes})


GIVEN = Given(chain_rest="https://api.example.org/chain-api")


def test_a_gateway_by_the_broker_guide() -> None:
    found, problems = make(seen(), GIVEN)
    assert problems == []
    assert found == {
        "devshard_profile": "v4.1",
        "devshard_protocol": "v4.1",
        "devshard_chain_id": "gonka-mainnet",
        "devshard_chain_rest": "https://api.example.org/chain-api",
        "devshard_chain_rpc": "https://rpc.example.org/chain-rpc",
        "devshard_public_api": "https://api.example.org",
        "devshard_chain_grpc": "none",
        "devshard_deploy_dir": "/opt/broker",
        "devshard_env_file": "/opt/broker/config.devshard.env",
        "gateway_container_name": "devshard-v41",
        "gateway_image": "ghcr.io/gonka-ai/devshard-gateway:mainnet-v0.2.15-v4.1.1",
        "devshard_gateway_url": "http://127.0.0.1:18085",
        "devshard_temp_url": "http://127.0.0.1:18081",
        "edge_http_port": 80,
        "gateway_accounting_port": 9091,
        "devshard_models": [
            {"id": MODEL, "amount": 5_000_000_000, "count": 2, "access_mode": "api_key"}
        ],
        "creator_address": OWNER,
    }


def test_no_secret_is_in_it() -> None:
    more = {**BROKER, "OTEL_HEADERS": "Bearer 0123456789", "MY_TOKEN": "0123456789"}
    found, _problems = make(seen(gateway=gateway(variables=more)), GIVEN)
    assert not any(secret in str(found) for secret in ("0123456789", "ab" * 32))


def test_the_owners_own_variables_as_his_file_has_them() -> None:
    more = {**BROKER, "OWN_NOTE": "a", "OTHER": "1", "EXPANDED": "/root/x"}
    found, _problems = make(
        seen(gateway=gateway(variables=more), in_file={"OTHER": "2", "EXPANDED": "$HOME/x"}), GIVEN
    )
    assert found["gateway_env_extra"] == {"EXPANDED": "/root/x", "OTHER": "2", "OWN_NOTE": "a"}


def test_what_the_gateway_does_not_know_is_asked_for() -> None:
    _found, problems = make(seen(), Given())
    assert [text.partition(" ")[0] for text in problems] == ["devshard_chain_rest"]


def test_rotation_as_it_is() -> None:
    rotation = {
        "enabled": True,
        "settlement_enabled": True,
        "pre_poc_blocks": 250,
        "models": [
            {"model_id": MODEL, "temp_count": 1, "target_count": 3, "amount": 6_000_000_000}
        ],
    }
    settings = {**answers().settings, "escrow_rotation": rotation}
    found, _problems = make(seen(answers=answers(settings=settings)), GIVEN)
    assert found["rotation_enabled"] is True
    assert found["rotation_settlement_enabled"] is True
    assert found["rotation_pre_poc_blocks"] == 250
    assert found["rotation_models"] == rotation["models"]
    assert found["devshard_models"][0]["count"] == 3


def test_a_settled_escrow_does_not_count() -> None:
    mixed = (deposit("7"), deposit("8", settled=True), deposit("9", active=False))
    found, _problems = make(seen(answers=answers(deposits=mixed)), GIVEN)
    assert found["devshard_models"][0]["count"] == 1


def test_a_model_without_an_escrow_is_not_paid_for() -> None:
    settings = {
        **answers().settings,
        "model_limits": [{"model_id": MODEL, "access_mode": "api_key"}, {"model_id": "other"}],
    }
    found, _problems = make(seen(answers=answers(settings=settings)), GIVEN)
    assert found["devshard_models"][1] == {
        "id": "other",
        "amount": 5_000_000_000,
        "count": 0,
        "access_mode": "admin_only",
    }


def test_a_storage_on_the_host_and_the_owners_file_are_named() -> None:
    mine = gateway(storage="/data/gw", volume=None, ports={"8080/tcp": ("0.0.0.0:28080",)})
    found, problems = make(seen(gateway=mine, env_file="/opt/broker/gateway.env"), GIVEN)
    assert problems == []
    assert found["gateway_storage_dir"] == "/data/gw"
    assert found["devshard_env_file"] == "/opt/broker/gateway.env"
    assert found["devshard_gateway_url"] == "http://127.0.0.1:28080"
    assert "gateway_accounting_port" not in found


def test_a_compose_file_with_other_services_is_left_to_its_owner() -> None:
    found, problems = make(seen(gateway=gateway(neighbours=("nginx",))), GIVEN)
    assert problems == []
    assert found["devshard_deploy_dir"] == "/opt/broker/devshard-gateway"
    assert found["devshard_env_file"] == "/opt/broker/devshard-gateway/config.devshard.env"


def test_one_that_compose_did_not_make_gets_a_folder_with_its_name() -> None:
    found, _problems = make(seen(gateway=gateway(working_dir=None, name="Gate")), GIVEN)
    assert found["devshard_deploy_dir"] == "/srv/gonka/gate"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"gateway": gateway(state="exited")}, "does not run (exited)"),
        ({"answers": answers(error="HTTP 401", generation=None)}, "could not be asked: HTTP 401"),
        ({"answers": answers(generation=None)}, "the signs of no generation"),
        ({"gateway": gateway(storage=None)}, "keeps its storage in itself"),
        ({"gateway": gateway(working_dir="/opt/my gateway")}, "(devshard_deploy_dir) has other"),
        (
            {"answers": answers(deposits=(deposit("7"), deposit("8", creator="gonka1other")))},
            "belong to several accounts (gonka1other, gonka1owner)",
        ),
        ({"answers": answers(deposits=(), settings={})}, "neither an escrow nor a limit"),
    ],
)
def test_what_is_in_the_way_is_said(changes: dict[str, t.Any], said: str) -> None:
    _found, problems = make(seen(**changes), GIVEN)
    assert any(said in text for text in problems), problems


def test_a_protocol_that_nothing_shows_is_asked_for() -> None:
    variables = {name: value for name, value in BROKER.items() if "ROUTE" not in name}
    bare = seen(gateway=gateway(variables=variables), answers=answers(deposits=()))
    assert any("Set devshard_protocol" in text for text in make(bare, GIVEN)[1])
    found, problems = make(bare, dataclasses.replace(GIVEN, protocol="v4.1"))
    assert found["devshard_protocol"] == "v4.1"
    assert not any("Set devshard_protocol" in text for text in problems)
    bound = seen(gateway=gateway(variables=variables))
    assert make(bound, GIVEN)[0]["devshard_protocol"] == "v4.1"


def test_a_guide_gateway_has_its_chain_from_its_own_file() -> None:
    variables = {
        "CHAIN_ID": "gonka-mainnet",
        "NODE_RPC": "https://node.example.org/chain-rpc/",
        "NODE_BASE": "https://node.example.org",
        "DEVSHARD_CHAIN_REST": "https://node.example.org/chain-api",
        "DEVSHARD_PUBLIC_API": "https://node.example.org",
    }
    found, problems = make(
        seen(gateway=gateway(variables=variables), answers=answers(generation="v2")), Given()
    )
    assert problems == []
    assert found["devshard_chain_rest"] == "https://node.example.org/chain-api"
    assert found["devshard_chain_rpc"] == "https://node.example.org/chain-rpc"
    assert not any("grpc" in name or "protocol" in name for name in found)


@pytest.mark.parametrize(
    ("ports", "port"),
    [
        ({"8080/tcp": ("127.0.0.1:18085",)}, 18085),
        ({"8080/tcp": ("10.0.0.1:1", "127.0.0.1:2")}, 2),
        ({"8080/tcp": ()}, None),
        ({}, None),
    ],
)
def test_the_port_on_the_host(ports: dict[str, tuple[str, ...]], port: int | None) -> None:
    assert port_of(gateway(ports=ports)) == port
