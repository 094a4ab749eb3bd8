# Copyright (c) 2026 The gonka.devshard authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each module that changes something: what check mode says is what a real run does, once."""

from __future__ import annotations

import copy
import typing as t
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from ansible_collections.gonka.devshard.tests.unit.plugins.module_run import succeeded
from ansible_collections.gonka.devshard.tests.unit.plugins.modules.site import Site

Params = dict[str, t.Any]
OTHER = "other/model"


def no_preparation(_site: Site) -> None:
    """The host and the gateway are fresh."""


@dataclass(frozen=True)
class Case:
    """``assigned`` are paths of what only the other side can know, absent in check mode."""

    name: str
    module: str
    params: Callable[[Site], Params]
    prepare: Callable[[Site], object] = no_preparation
    assigned: tuple[str, ...] = ()


def limits(*entries: Params) -> Callable[[Site], object]:
    def post(site: Site) -> object:
        return site.net.admin.post("/v1/admin/settings", {"model_limits": list(entries)})

    return post


def env(**more: t.Any) -> Callable[[Site], Params]:
    def params(site: Site) -> Params:
        variables = {"DEVSHARDS_JSON": "[]", "DEVSHARD_PORT": 8080, "T": "it is $5 #x"}
        return {"path": str(site.env_file), "variables": variables, **more}

    return params


def settings(**more: t.Any) -> Callable[[Site], Params]:
    return lambda site: {**site.admin(), **more}


def expose(site: Site) -> None:
    succeeded("gateway_env", env()(site))
    site.env_file.chmod(0o644)


def add_variable(site: Site) -> None:
    site.write_env({**site.secrets, "EXTRA": "1"})


def forget_env(site: Site) -> None:
    site.env_file.unlink()


def disable(site: Site) -> object:
    state = {"enabled": True, "message": "gone", "new_url": "https://x.example"}
    return site.net.admin.post("/v1/admin/settings", {"disabled": state})


API_KEY = {"model_id": OTHER, "access_mode": "api_key", "max_concurrent_requests": 3}
CASES = [
    Case(
        "key into a fresh keyring",
        "creator_key",
        lambda site: {
            "env_file": str(site.env_file),
            "address": site.creator,
            **site.inferenced(),
        },
    ),
    Case("environment file anew", "gateway_env", env(), forget_env),
    Case("environment file that lacks something", "gateway_env", env()),
    Case("environment file purged", "gateway_env", env(purge=True), add_variable),
    Case("environment file that all may read", "gateway_env", env(), expose),
    Case("client keys replaced", "gateway_env", env(api_keys="sk-fedcba9876543210"), expose),
    Case(
        "scalars and parts",
        "gateway_settings",
        settings(settings={"request_max_tokens_cap": 8192, "perf": {"sample_size": 99}}),
    ),
    Case(
        "first limits",
        "gateway_settings",
        settings(model_limits=[{"model_id": OTHER, "access_mode": "open"}]),
    ),
    Case(
        "limits of one model beside another",
        "gateway_settings",
        settings(
            model_limits=[{"model_id": "a/b", "access_mode": "api_key", "access_message": ""}]
        ),
        limits(API_KEY),
    ),
    Case(
        "message taken away",
        "gateway_settings",
        settings(model_limits=[{"model_id": OTHER, "access_message": ""}]),
        limits({**API_KEY, "access_message": "ask us"}),
    ),
    Case(
        "all limits purged",
        "gateway_settings",
        settings(model_limits=[], purge_model_limits=True),
        limits(API_KEY),
    ),
    Case(
        "disabled",
        "gateway_settings",
        settings(disabled={"enabled": True, "message": "gone", "new_url": "https://x.example"}),
    ),
    Case("enabled again", "gateway_settings", settings(disabled={"enabled": False}), disable),
]


def without(result: t.Any, paths: tuple[str, ...]) -> t.Any:
    """A copy without some fields; ``*`` in a path stands for each item of a list."""
    copied = copy.deepcopy(result)
    for path in paths:
        _remove(copied, path.split("."))
    return copied


def _remove(value: t.Any, path: list[str]) -> None:
    if path[0] == "*":
        for item in value:
            _remove(item, path[1:])
    elif len(path) == 1:
        value.pop(path[0], None)
    elif path[0] in value:
        _remove(value[path[0]], path[1:])


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.module}: {case.name}")
def test_check_mode_tells_what_a_real_run_does(case: Case, site: Site) -> None:
    case.prepare(site)
    params = case.params(site)
    site.net.forget()
    files = site.snapshot()

    checked = succeeded(case.module, params, check=True)
    assert site.net.writes() == [], "check mode writes nothing"
    assert site.snapshot() == files, "check mode leaves no file behind"

    done = succeeded(case.module, params)
    assert done["changed"] is True, "the case would prove nothing"
    assert without(checked, case.assigned) == without(done, case.assigned)
    assert done["diff"]["before"] != done["diff"]["after"]

    site.net.forget()
    files = site.snapshot()
    again = succeeded(case.module, params)
    assert again["changed"] is False
    assert again["diff"]["before"] == again["diff"]["after"]
    assert again.get("actions", []) == []
    assert site.net.writes() == [], "a second run writes nothing"
    assert site.snapshot() == files
    assert succeeded(case.module, params, check=True) == again
