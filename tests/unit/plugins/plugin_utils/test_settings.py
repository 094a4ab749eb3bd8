# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What is wrong with the settings of the roles."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.gonka.devshard.plugins.plugin_utils._settings import (
    faults_of,
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


@pytest.mark.parametrize("ids", [[], ["a", "a"], ["a b"], [""]])
def test_models_have_names_of_their_own(ids: list[str]) -> None:
    (fault,) = model_faults([{"id": name, "amount": 5} for name in ids])
    assert "each once, and no id may hold white space" in fault


def shared_faults(**values: object) -> list[str]:
    options = {name: {"type": "str"} for name in values}
    models = {"devshard_models": [{"id": "a", "amount": 5}]}
    return faults_of(
        "devshard", {**values, **models}, {**options, "devshard_models": {"type": "list"}}
    )


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
