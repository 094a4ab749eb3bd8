# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""Each module that changes something: what check mode says is what a real run does, once."""

from __future__ import annotations

import json
import stat
import typing as t
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.keys import (
    ADMIN_API_KEY,
    API_KEYS,
    PRIVATE_KEY,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway import env_file
from ansible_collections.gonka.devshard.plugins.module_utils._wiring import gateway_env
from ansible_collections.gonka.devshard.tests.unit.plugins.module_run import succeeded
from ansible_collections.gonka.devshard.tests.unit.plugins.modules.equality import prove
from ansible_collections.gonka.devshard.tests.unit.plugins.modules.site import Site

Params = dict[str, t.Any]
OTHER = "other/model"


def no_preparation(_site: Site) -> None:
    """The host and the gateway are fresh."""


@dataclass(frozen=True)
class Case:
    """``assigned`` are paths of what only the other side can know, absent in check mode.

    ``partly`` names objects of which check mode tells some fields only.
    """

    name: str
    module: str
    params: Callable[[Site], Params]
    prepare: Callable[[Site], object] = no_preparation
    assigned: tuple[str, ...] = ()
    partly: tuple[str, ...] = ()


def limits(*entries: Params) -> Callable[[Site], object]:
    def post(site: Site) -> object:
        return site.net.admin.post("/v1/admin/settings", {"model_limits": list(entries)})

    return post


def env(**more: t.Any) -> Callable[[Site], Params]:
    def params(site: Site) -> Params:
        variables = {"DEVSHARDS_JSON": "[]", "DEVSHARD_PORT": 8080, "T": "it is $5 #x"}
        return {"path": str(site.env_file), "variables": variables, **more}

    return params


def new_keys(*actions: str) -> Callable[[Site], Params]:
    return lambda site: {"env_file": str(site.env_file), "name": "one", "actions": list(actions)}


def let_keys_wait(site: Site) -> None:
    succeeded("gateway_env", env()(site))
    succeeded("gateway_keys", new_keys("admin", "client_add")(site))


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


def use_the_real_program(site: Site) -> None:
    site.cli = Path(site.net.ready["inferenced"])
    succeeded("creator_key", {"env_file": str(site.env_file), **site.inferenced()})


def records(site: Site) -> list[Params]:
    found: list[Params] = site.net.admin.get("/v1/admin/state")["devshards"]
    return found


def one_more_escrow(site: Site) -> Params:
    there = [item for item in records(site) if item["active"] and item["model"] == site.model]
    # other tests may have left more than the default allows
    wanted = len(there) + 1
    return site.escrow(count=wanted, max_creates_per_run=wanted)


def make_escrow(site: Site) -> None:
    """One made by the gateway itself; the module learns its number from the records."""
    body = {"model_id": site.model, "amount": site.net.ready["amount"]}
    site.net.admin.post("/v1/admin/escrows", body)


def newest(site: Site) -> int:
    return max(int(item["id"]) for item in records(site))


def make_escrow_for_rotation(site: Site) -> None:
    make_escrow(site)
    site.import_key()


def devshard(state: str) -> Callable[[Site], Params]:
    def params(site: Site) -> Params:
        wish = {"id": newest(site), "state": state, "wait_interval": 1}
        return {**site.admin(), **site.chain(), **site.ledger(), **wish}

    return params


def make_inactive(site: Site) -> None:
    make_escrow(site)
    site.net.admin.post(f"/v1/admin/devshards/{newest(site)}/deactivate")


def rotation(site: Site) -> Params:
    model = {"model_id": site.model, "amount": site.net.ready["amount"]}
    return {
        **site.money(),
        "enabled": True,
        "settlement_enabled": True,
        "pre_poc_blocks": 5,
        "models": [model],
    }


API_KEY = {"model_id": OTHER, "access_mode": "api_key", "max_concurrent_requests": 3}
# blocks go on from run to run
MOVING = ("devshard.deadline", "escrows.*.deadline")
ESCROW_ASSIGNED = (
    "created.*.id",
    "created.*.tx_hash",
    "escrows",
    "actions",
    "created.*.height",
    "created.*.settle_before",
)
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
    Case("keys made", "gateway_keys", new_keys("admin", "client_add")),
    Case("keys that waited are used", "gateway_env", env(), let_keys_wait),
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
        settings(disabled={"enabled": True, "text": "gone", "new_url": "https://x.example"}),
    ),
    Case("one more escrow", "escrow", one_more_escrow, use_the_real_program, ESCROW_ASSIGNED),
    Case("taken out", "devshard", devshard("inactive"), make_escrow, (), ("devshard",)),
    Case("put in again", "devshard", devshard("active"), make_inactive, (), ("devshard",)),
    Case("rotation", "escrow_rotation", rotation, make_escrow_for_rotation),
    Case("enabled again", "gateway_settings", settings(disabled={"enabled": False}), disable),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.module}: {case.name}")
def test_check_mode_tells_what_a_real_run_does(case: Case, site: Site) -> None:
    case.prepare(site)
    prove(
        case.module,
        case.params(site),
        site.folder,
        writes=site.writes,
        assigned=case.assigned,
        partly=case.partly,
        moving=MOVING,
    )


def test_new_keys_wait_beside_the_file_until_it_is_written(site: Site) -> None:
    succeeded("gateway_env", env()(site))
    before = env_file.parse(site.env_file.read_text(), "before")
    made = succeeded("gateway_keys", new_keys("admin", "client_add")(site))["rotation"]
    assert (made["begun"], made["client_keys"]) == (["admin", "client_add"], 2)
    assert env_file.parse(site.env_file.read_text(), "file") == before
    waiting = Path(made["file"])
    assert stat.S_IMODE(waiting.stat().st_mode) == 0o600
    done = succeeded("gateway_env", env()(site))
    assert done["env"]["differing"] == made["pending"]
    after = env_file.parse(site.env_file.read_text(), "after")
    assert after[API_KEYS].split(",")[1:] == [before[API_KEYS]]
    assert after[ADMIN_API_KEY] != before[ADMIN_API_KEY]
    assert after[PRIVATE_KEY] == before[PRIVATE_KEY]
    assert json.loads(waiting.read_text())["staged"] == {}
    shown = json.dumps([made, done])
    assert not any(key in shown for key in (*after[API_KEYS].split(","), after[ADMIN_API_KEY]))


def test_what_the_container_does_not_have_yet_is_not_called_new(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    succeeded("gateway_env", env()(site))
    held = env_file.parse(site.env_file.read_text(), "before")
    monkeypatch.setattr(gateway_env, "running", lambda _context: held)
    look = {**new_keys("admin", "client_add")(site), "container_name": "x"}
    made = succeeded("gateway_keys", look)["rotation"]
    assert made["unused"] == made["pending"] == [ADMIN_API_KEY, API_KEYS]
    assert (made["client_keys"], made["droppable"]) == (2, True)
    # a swap that was interrupted behind the file
    succeeded("gateway_env", env()(site))
    found = succeeded("gateway_keys", look, check=True)["rotation"]
    assert (found["pending"], found["unused"]) == ([], [ADMIN_API_KEY, API_KEYS])
    held = env_file.parse(site.env_file.read_text(), "after")
    found = succeeded("gateway_keys", look, check=True)["rotation"]
    assert (found["unused"], found["droppable"]) == ([], True)


def test_a_key_in_the_options_goes_before_one_that_waits(site: Site) -> None:
    let_keys_wait(site)
    given = "sk-fedcba9876543210"
    succeeded("gateway_env", env(api_keys=given)(site))
    assert env_file.parse(site.env_file.read_text(), "file")[API_KEYS] == given
