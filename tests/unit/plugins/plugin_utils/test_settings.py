# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What is wrong with the settings of the roles."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._gateway.profiles import profile
from ansible_collections.gonka.devshard.plugins.plugin_utils._settings import (
    READS,
    chain_faults,
    edge_faults,
    faults_of,
    gateway_faults,
    generation_of,
    model_faults,
)

Model = dict[str, t.Any]


@pytest.mark.parametrize(
    ("models", "faults"),
    [
        ([{"id": "a", "amount": 5}, {"id": "b", "amount": "7", "count": 0}], []),
        (
            [{"id": "a", "amount": "5 GNK"}, {"id": "b", "amount": 0, "count": "x"}],
            [
                "devshard_models, a: amount must be a whole number of ngonka greater than 0, not 5 GNK",
                "devshard_models, b: amount must be a whole number of ngonka greater than 0, not 0",
                "devshard_models, b: count must be a whole number, not x",
            ],
        ),
    ],
)
def test_all_models_that_are_wrong_are_named_at_once(
    models: list[Model], faults: list[str]
) -> None:
    assert model_faults(models) == faults


@pytest.mark.parametrize(
    ("ids", "wanted"),
    [
        ([], "devshard_models names no model"),
        (["a", "b", "a"], "devshard_models names a more than once"),
        (["a b"], "devshard_models: an id must not be empty or hold white space, as 'a b' does"),
        ([""], "devshard_models: an id must not be empty or hold white space, as '' does"),
    ],
)
def test_models_have_names_of_their_own(ids: list[str], wanted: str) -> None:
    assert model_faults([{"id": name, "amount": 5} for name in ids]) == [wanted]


def shared_faults(**values: object) -> list[str]:
    options = {name: {"type": "str"} for name in values}
    models = {"devshard_models": [{"id": "a", "amount": 5}]}
    return faults_of(
        "devshard", {**values, **models}, {**options, "devshard_models": {"type": "list"}}
    )


def chain_of(name: str, protocol: str, grpc: str | None) -> list[str]:
    return chain_faults({"devshard_chain_grpc": grpc}, profile(name, protocol))


def test_from_v4_on_the_chain_is_asked_by_grpc() -> None:
    for name in ("v2", "v3"):
        assert chain_of(name, name, None) == []
    for good in ("node:9090", "dns:///node.example.org:443", "10.0.0.7:9090", "[fd00::7]:9090"):
        assert chain_of("v4.1", "v4.1", good) == chain_of("v4", "v4", good) == []
    for wrong in ("http://node:9090", "node", "node:x", "node:9090/", "tcp://node:9090"):
        (fault,) = chain_of("v4.1", "v4.1", wrong)
        assert "HOST:PORT" in fault
        assert wrong in fault
    (fault,) = chain_of("v4", "v4", None)
    assert "devshard_chain_grpc is not set, and generation v4 needs it" in fault


def test_only_v4_1_can_do_without_grpc() -> None:
    assert chain_of("v4.1", "v4.1", "none") == []
    (fault,) = chain_of("v4", "v4", "none")
    assert "must not be none" in fault


def test_what_a_generation_does_not_have_is_refused() -> None:
    asked = {
        "gateway_image": "",
        "gateway_public_api": "none",
        "gateway_accounting_port": 9091,
    }
    image, accounting, api = gateway_faults(asked, profile("v3", "v3"))
    assert image.startswith("gateway_image is not set, and generation v3 has no default image")
    assert "generation v3 has no accounting" in accounting
    assert "gateway_public_api must not be none" in api
    assert gateway_faults({**asked, "gateway_image": "a:b"}, profile("v4.1", "v4.1")) == []
    (fault,) = gateway_faults({"gateway_accounting_port": 0}, profile("v4.1", "v4.1"))
    assert "from 1 to 65535" in fault
    (fault,) = gateway_faults({"gateway_public_api": "node"}, profile("v4.1", "v4.1"))
    assert "must be an http or https URL" in fault


@pytest.mark.parametrize("image", ["", None])
def test_an_empty_image_does_not_mean_the_default(image: str | None) -> None:
    (fault,) = gateway_faults({"gateway_image": image}, profile("v2", "v2"))
    assert fault == ("gateway_image is empty. Remove it to use the default image, or name an image")
    (fault,) = gateway_faults({"gateway_image": image}, profile("v3", "v3"))
    assert fault.startswith("gateway_image is not set, and generation v3 has no default image")
    assert gateway_faults({}, profile("v2", "v2")) == []


PUBLIC = {"edge_accounting": True, "gateway_accounting_port": 9091}
V4_1 = profile("v4.1", "v4.1")


@pytest.mark.parametrize("generation", ["v2", "v3", "v4"])
def test_an_accounting_that_a_generation_does_not_have_is_not_made_public(generation: str) -> None:
    (fault,) = edge_faults(PUBLIC, profile(generation, generation))
    assert fault == (
        f"edge_accounting is true, but a gateway of generation {generation} has no accounting. Set"
        " edge_accounting: false"
    )
    assert edge_faults({"edge_accounting": False}, profile(generation, generation)) == []


@pytest.mark.parametrize("on", [True, "true", "yes"])
def test_an_accounting_that_the_gateway_keeps_closed_is_not_made_public(on: object) -> None:
    assert edge_faults({**PUBLIC, "edge_accounting": on}, V4_1) == []
    (fault,) = edge_faults({"edge_accounting": on}, V4_1)
    assert "gateway_accounting_port is not set" in fault


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        (
            "edge_public_paths",
            ["/v1/models", "/api/v1/accounting/epochs"],
            "would lead to the gateway",
        ),
    ],
)
def test_settings_of_the_accounting_that_cannot_be(name: str, value: object, wanted: str) -> None:
    (fault,) = edge_faults({**PUBLIC, name: value}, V4_1)
    assert fault.startswith(name)
    assert wanted in fault
    # of what is off nothing is said
    assert edge_faults({name: value}, V4_1) == []


def test_a_role_is_checked_by_the_settings_of_others_that_it_uses() -> None:
    options = {"edge_accounting": {"type": "bool"}}
    assert faults_of("edge", PUBLIC, options, V4_1) == []
    (fault,) = faults_of("edge", {"edge_accounting": True}, options, V4_1)
    assert fault.startswith("edge_accounting is true")
    # the action reads them for the role
    assert READS["edge"] == ("gateway_accounting_port",)


def test_the_protocol_is_named_with_its_variable() -> None:
    found, fault = generation_of({"devshard_profile": "v4.1"})
    assert (found, (fault or "").partition(",")[0]) == (None, "devshard_protocol is not set")
    found, fault = generation_of({"devshard_profile": "v4.1", "devshard_protocol": "v4.1"})
    assert (found and found.settlement_tag, fault) == ("v4.1", None)
    assert generation_of({}) == (None, None)


def test_a_gateway_listens_on_the_loopback_alone() -> None:
    temp = "http://127.0.0.1:18081/"
    assert (
        shared_faults(devshard_gateway_url="http://127.0.0.1:18080", devshard_temp_url=temp) == []
    )
    (fault,) = shared_faults(
        devshard_gateway_url="http://gw.example.org:18080", devshard_temp_url="http://127.0.0.1"
    )
    assert fault.startswith(
        "devshard_gateway_url: http://gw.example.org:18080 and devshard_temp_url: http://127.0.0.1"
        " must be http://127.0.0.1:PORT"
    )


@pytest.mark.parametrize(
    ("role", "variable"),
    [
        ("devshard", "devshard_chain_rpc"),
        ("docker_engine", "docker_engine_repo_url"),
        ("inferenced", "inferenced_release_url"),
    ],
)
def test_a_url_with_a_password_is_refused_without_showing_it(role: str, variable: str) -> None:
    options = {variable: {"type": "str"}, "devshard_models": {"type": "list"}}
    models = [{"id": "a", "amount": 5}]

    def faults(url: str) -> list[str]:
        return faults_of(role, {variable: url, "devshard_models": models}, options)

    assert faults("https://mirror.example.org/x") == []
    (fault,) = faults("https://me:geheim@mirror.example.org/x")
    assert variable in fault
    assert "geheim" not in fault
