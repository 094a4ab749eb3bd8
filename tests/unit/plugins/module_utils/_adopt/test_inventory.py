# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The inventory says of a gateway what it is, and no secret."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._adopt.inventory import (
    closed,
    make,
    overridden,
)
from ansible_collections.gonka.devshard.plugins.module_utils._adopt.model import (
    Answers,
    Deposit,
    EnvFile,
    Front,
    Given,
    HandMade,
    Seen,
)
from ansible_collections.gonka.devshard.plugins.module_utils._adopt.places import port_of
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.beyond import Beyond
from ansible_collections.gonka.devshard.plugins.module_utils._host.options import Options

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
        "temp_port": 18081,
        "edge_port": 80,
    }
    return Seen(**{**values, **changes})


def in_file(**variables: str) -> EnvFile:
    return EnvFile(path="/opt/broker/gateway.env", variables=variables)


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
        seen(gateway=gateway(variables=more), file=in_file(OTHER="2", EXPANDED="$HOME/x")), GIVEN
    )
    assert found["gateway_env_extra"] == {"EXPANDED": "/root/x", "OTHER": "2", "OWN_NOTE": "a"}


def test_what_the_gateway_does_not_know_is_asked_for() -> None:
    _found, problems = make(seen(), Given())
    assert [text.partition(" ")[0] for text in problems] == ["devshard_chain_rest"]


# escrows that were not asked for


def unasked(number: str, **changes: t.Any) -> Deposit:
    return deposit(number, **{"settled": None, "creator": None, "amount": None, **changes})


def test_escrows_of_a_chain_that_is_not_known_are_not_none() -> None:
    """The first look at a gateway by the guide for 4.1.1, which has no REST address."""
    asked = answers(deposits=(unasked("101"),), settings={"default_model": MODEL})
    found, problems = make(seen(answers=asked), Given())
    assert not any("first escrow" in text or "neither" in text for text in problems)
    (unknown,) = [text for text in problems if "escrow 101" in text]
    assert "the chain was not asked. Set devshard_chain_rest, and run this again" in unknown
    assert "devshard_models" not in found
    assert "creator_address" not in found


@pytest.mark.parametrize(
    ("active", "limits"),
    [(True, []), (False, []), (False, [{"model_id": "other/model", "access_mode": "api_key"}])],
)
def test_a_chain_that_fails_halfway_says_nothing_of_the_rest(
    active: bool, limits: list[dict[str, str]]
) -> None:
    half = answers(
        deposits=(deposit("7"), unasked("8", model="other/model", active=active)),
        settings={"default_model": MODEL, "model_limits": limits},
        chain_error="HTTP 429",
    )
    found, problems = make(seen(answers=half), GIVEN)
    (unknown,) = problems
    assert "whose escrow 8 is" in unknown
    assert "HTTP 429" in unknown
    assert "devshard_models" not in found
    assert "creator_address" not in found


def test_a_failure_of_the_chain_alone_is_in_the_way() -> None:
    _found, problems = make(seen(answers=answers(chain_error="no answer")), GIVEN)
    assert [text.partition(". ")[0] for text in problems] == [
        "the chain could not be asked: no answer"
    ]


LIMITS = {"model_limits": [{"model_id": MODEL, "access_mode": "api_key"}]}


@pytest.mark.parametrize(
    ("deposits", "settings", "said"),
    [
        ((), {}, "Create the first escrow by hand"),
        ((), {"default_model": MODEL}, "Create the first escrow by hand"),
        ((), LIMITS, "no escrow of the gateway shows the amount"),
        (
            (deposit("7", settled=True, amount=None),),
            {},
            "no escrow of the gateway shows the amount",
        ),
    ],
)
def test_models_that_cannot_be_said_are_set_by_the_owner(
    deposits: tuple[Deposit, ...], settings: dict[str, t.Any], said: str
) -> None:
    bare = seen(answers=answers(deposits=deposits, settings=settings))
    found, problems = make(bare, GIVEN)
    assert [said in text for text in problems] == [True]
    assert "devshard_models" not in found
    mine = {"id": MODEL, "amount": 1, "count": 1}
    found, problems = make(bare, dataclasses.replace(GIVEN, models=(mine,)))
    assert (found["devshard_models"], problems) == ([mine], [])


def test_what_the_gateway_shows_counts_before_what_is_set() -> None:
    given = dataclasses.replace(GIVEN, models=({"id": "mine", "amount": 1, "count": 1},))
    assert [one["id"] for one in make(seen(), given)[0]["devshard_models"]] == [MODEL]


# what another container would not have


@pytest.mark.parametrize(
    ("beyond", "said"),
    [
        (Beyond(networks=("chain-net", "other")), "is on the Docker network chain-net, other,"),
        (Beyond(names=("node:10.0.0.5",)), "(extra_hosts, links, dns: node:10.0.0.5)"),
        (Beyond(mounts=("/certs",)), "more mounted than its storage (/certs)"),
        (Beyond(process=("command", "user")), "was started with command, user of its own"),
        (Beyond(rights=("cap_add", "sysctls")), "does not have (cap_add, sysctls), and the next"),
    ],
)
def test_what_another_container_would_not_have_is_in_the_way(beyond: Beyond, said: str) -> None:
    _found, problems = make(seen(gateway=gateway(beyond=beyond)), GIVEN)
    (text,) = problems
    assert said in text
    assert "cuts its streams once, and run this again" in text


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"DEVSHARD_CHAIN_GRPC": "node:9090"}, ["devshard_chain_grpc (node)"]),
        ({"DEVSHARD_CHAIN_GRPC": "node.example.org:9090"}, []),
        ({"DEVSHARD_CHAIN_GRPC": "10.0.0.5:9090"}, []),
        ({"DEVSHARD_CHAIN_GRPC": "[fd00::5]:9090"}, []),
        ({"DEVSHARD_CHAIN_GRPC": "localhost:9090"}, []),
        (
            {
                "DEVSHARD_CHAIN_RPC": "http://node:26657/",
                "DEVSHARD_PUBLIC_API": "http://api:9000",
            },
            ["devshard_chain_rpc (node)", "devshard_public_api (api)"],
        ),
    ],
)
def test_a_name_that_only_the_owners_network_resolves(
    variables: dict[str, str], said: list[str]
) -> None:
    mine = gateway(variables={**BROKER, **variables})
    _found, problems = make(seen(gateway=mine), GIVEN)
    assert len(problems) == bool(said)
    assert all(name in problems[0] for name in said)


PEERS = {
    "node.api": "api",
    "proxy.internal": "squid",
    "otel.net": "collector",
    "otel": "collector",
}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (
            {"DEVSHARD_PUBLIC_API": "http://Node.api.:9000"},
            ["devshard_public_api (node.api, of the container api)", "Set in the inventory"],
        ),
        (
            {"HTTPS_PROXY": "http://me:hush@proxy.internal:3128"},
            ["HTTPS_PROXY (proxy.internal, of the container squid)", "Write an address"],
        ),
        ({"OTLP": "grpc://otel.net:4317"}, ["OTLP (otel.net, of the container collector)"]),
        ({"OTLP": "http://otel:4318"}, ["OTLP (otel) names a host without a dot"]),
        # of what may hold a secret only the name is shown
        ({"MY_TOKEN": "http://otel.net/x"}, ["MY_TOKEN names another container"]),
        ({"MY_TOKEN": "http://otel/x"}, ["MY_TOKEN names a host without a dot"]),
        ({"HTTPS_PROXY": "http://proxy.example.org:3128", "PAIR": "a:b"}, []),
        # a search domain of the host may resolve a name that no container of the owner has
        ({"HTTPS_PROXY": "http://proxy:3128"}, []),
        ({"ALERT_TOKEN": "slack://xoxb-SECRET/abc"}, []),
        # not an address, although a container is called so
        ({"LOG": "otel:debug"}, []),
    ],
)
def test_a_name_of_another_container_is_in_the_way_with_a_dot_too(
    variables: dict[str, str], said: list[str]
) -> None:
    mine = gateway(variables={**BROKER, **variables}, peers=PEERS)
    _found, problems = make(seen(gateway=mine), GIVEN)
    assert len(problems) == bool(said)
    assert all(part in problems[0] for part in said)
    assert "hush" not in str(problems)
    if "MY_TOKEN" in variables:
        assert "otel" not in str(problems)


def test_the_file_counts_for_the_names_of_the_next_container() -> None:
    mine = gateway(variables={**BROKER, "HTTPS_PROXY": "http://proxy.internal:1"}, peers=PEERS)
    file = in_file(HTTPS_PROXY="http://10.0.0.5:1")
    assert make(seen(gateway=mine, file=file), GIVEN)[1] == []


# what the next container has otherwise


def test_what_the_role_has_an_option_for_is_kept() -> None:
    options = Options(stop_seconds=90, log_size="10m", log_files=2)
    found, problems = make(seen(gateway=gateway(options=options)), GIVEN)
    assert problems == []
    kept = ("gateway_stop_grace_period", "gateway_log_max_size", "gateway_log_max_files")
    assert [found[name] for name in kept] == ["90s", "10m", 2]


@pytest.mark.parametrize(
    ("ports", "said"),
    [
        ({"8080/tcp": ("127.0.0.1:18085",), "9091/tcp": ("127.0.0.1:9091",)}, []),
        (
            {"8080/tcp": ("127.0.0.1:18085", "0.0.0.0:18085", "10.0.0.5:80")},
            [
                "18085 on all addresses (port 8080/tcp in the container)",
                "10.0.0.5:80 (port 8080/tcp in the container)",
            ],
        ),
        ({"8080/tcp": (":18085",)}, ["18085 on all addresses (port 8080/tcp in the container)"]),
        (
            {"8080/tcp": ("127.0.0.1:18085",), "6060/udp": ("127.0.0.1:6060",)},
            ["127.0.0.1:6060 (port 6060/udp in the container)"],
        ),
        (
            {"8080/tcp": ("127.0.0.1:18085",), "9091/tcp": (":9091",)},
            ["9091 on all addresses (port 9091/tcp in the container)"],
        ),
    ],
)
def test_addresses_that_the_next_container_does_not_answer_at(
    ports: dict[str, tuple[str, ...]], said: list[str]
) -> None:
    assert closed(seen(gateway=gateway(ports=ports))) == said


def test_a_gateway_of_no_known_generation_has_no_next_container() -> None:
    assert closed(seen(gateway=gateway(ports={}), answers=Answers())) == []


def test_an_address_in_the_inventory_counts_for_the_next_container() -> None:
    names = {"DEVSHARD_CHAIN_GRPC": "node:9090", "DEVSHARD_PUBLIC_API": "http://api:9000"}
    mine = seen(gateway=gateway(variables={**BROKER, **names}))
    given = dataclasses.replace(
        GIVEN,
        grpc="node.example.org:9090",
        public_api="https://api.example.org",
        gateway_public_api="https://api.example.org",
    )
    found, problems = make(mine, given)
    assert problems == []
    assert found["devshard_chain_grpc"] == "node.example.org:9090"
    assert "gateway_public_api" not in found


# the file and the container


def test_a_secret_that_the_file_has_otherwise_is_in_the_way() -> None:
    """Compose takes ``environment`` before ``env_file``, so clients use what the container has."""
    file = in_file(DEVSHARD_API_KEYS="sk-client-earlier-0123", MY_TOKEN="other-0123456789")
    mine = gateway(variables={**BROKER, "MY_TOKEN": "0123456789"})
    _found, problems = make(seen(gateway=mine, file=file), GIVEN)
    (text,) = problems
    assert "DEVSHARD_API_KEYS, MY_TOKEN in /opt/broker/gateway.env" in text
    assert "0123" not in text
    # in a file of the collection a new key may wait for its container
    deployed = dataclasses.replace(mine, record="/opt/broker/.gonka-devshard.json")
    assert make(seen(gateway=deployed, file=file), GIVEN)[1] == []


def test_the_same_secrets_are_not_in_the_way() -> None:
    file = in_file(
        DEVSHARD_PRIVATE_KEY=BROKER["DEVSHARD_PRIVATE_KEY"].upper(),
        DEVSHARD_API_KEYS=BROKER["DEVSHARD_API_KEYS"],
        ADDED_KEY="later-0123456789",
    )
    assert make(seen(file=file), GIVEN)[1] == []


def test_a_file_that_cannot_be_used_is_in_the_way() -> None:
    assert make(seen(file=EnvFile(path="/x.env", fault="they differ")), GIVEN)[1] == ["they differ"]


def test_another_value_in_the_file_is_a_change() -> None:
    mine = gateway(
        variables={**BROKER, "OTHER": "1", "SAME": "1", "HOME_OF_IT": "/root", "NODE_BASE": "a"}
    )
    file = in_file(
        OTHER="2",
        SAME="1",
        HOME_OF_IT="$HOME",
        ADDED="1",
        NODE_BASE="b",
        DEVSHARD_STATS_ENABLED="false",
        DEVSHARD_CHAIN_RPC="https://other.example.org/",
        DEVSHARD_ESCROW_ROTATION_ENABLED="true",
        DEVSHARD_POC_REQUEST_MODE="off",
    )
    kept = dataclasses.replace(
        mine, variables={**mine.variables, "DEVSHARD_POC_REQUEST_MODE": "relaxed"}
    )
    both = seen(gateway=kept, file=file)
    assert overridden(both) == ["DEVSHARD_POC_REQUEST_MODE", "OTHER"]
    assert make(both, GIVEN)[1] == []
    assert overridden(seen(gateway=kept, file=file, answers=answers(generation=None))) == []


# its port


def test_the_port_of_the_host_is_the_one_that_is_published() -> None:
    variables = {**BROKER, "DEVSHARD_PORT": "9000"}
    mine = gateway(variables=variables, ports={"9000/tcp": ("127.0.0.1:18085",)})
    found, problems = make(seen(gateway=mine), GIVEN)
    assert problems == []
    assert found["devshard_gateway_url"] == "http://127.0.0.1:18085"


def test_a_port_that_is_not_published_is_in_the_way() -> None:
    mine = gateway(variables={**BROKER, "DEVSHARD_PORT": "9000"})
    found, problems = make(seen(gateway=mine), GIVEN)
    assert "devshard_gateway_url" not in found
    assert any("is not published on the host" in text for text in problems)


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
    found, problems = make(seen(gateway=mine, file=in_file()), GIVEN)
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
