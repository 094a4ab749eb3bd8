# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Which of a host's gateways is meant, and what it shows of its generation."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._adopt.choose import (
    PATHS,
    choose,
    generation_of,
)
from ansible_collections.gonka.devshard.plugins.module_utils._adopt.model import HandMade
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import ConfigurationError


def gateway(name: str, **changes: t.Any) -> HandMade:
    values: dict[str, t.Any] = {
        "name": name,
        "state": "running",
        "image": "gateway:1",
        "digest": None,
        "restart_policy": "unless-stopped",
        "ports": {},
        "storage": f"/srv/{name}",
        "inside": "/root/.devshardctl",
    }
    return HandMade(**{**values, **changes})


A, B = gateway("a"), gateway("b")


def test_the_only_one_is_meant() -> None:
    assert choose([A], None) is A


def test_the_named_one_is_meant() -> None:
    assert choose([A, B], "b") is B


def test_one_that_the_collection_has_is_not_meant_beside_another_one() -> None:
    deployed = gateway("a", record="/srv/a/.gonka-devshard.json")
    assert choose([deployed, B], None) is B
    assert choose([deployed], None) is deployed


def test_of_several_one_has_to_be_named() -> None:
    with pytest.raises(ConfigurationError, match="several gateways") as caught:
        choose([A, B], None)
    assert "a (gateway:1, running, storage /srv/a); b (gateway:1" in str(caught.value)


@pytest.mark.parametrize(("there", "said"), [([], "No container"), ([A], "are: a (gateway:1")])
def test_a_name_that_no_gateway_has(there: list[HandMade], said: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a gateway") as caught:
        choose(there, "c")
    assert said in str(caught.value)


def test_a_host_without_a_gateway() -> None:
    with pytest.raises(ConfigurationError, match="has the variables of a gateway"):
        choose([], None)


@pytest.mark.parametrize(
    ("memory", "profiler", "grpc", "generation"),
    [
        (False, False, False, "v2"),
        (True, True, False, "v3"),
        (True, False, True, "v4"),
        (True, True, True, "v4.1"),
        (False, True, True, None),
        (None, False, False, None),
        (True, None, True, None),
    ],
)
def test_the_generation_follows_from_what_a_gateway_has(
    memory: bool | None, profiler: bool | None, grpc: bool, generation: str | None
) -> None:
    found = dict(zip(PATHS, (memory, profiler), strict=True))
    assert generation_of(found, {"chain_grpc"} if grpc else set()) == generation
