# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Many questions in one run: what was broken is seen, and asking writes nothing."""

from __future__ import annotations

import os
import pwd
import typing as t

import pytest
import yaml

from ansible_collections.gonka.devshard.plugins.module_utils._wiring.site_look_info import (
    QUESTIONS,
)
from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import doc_constants
from ansible_collections.gonka.devshard.tests.unit.plugins.module_run import (
    run_module,
    succeeded,
    without,
    without_library,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.modules.site import Net, Site

Params = dict[str, t.Any]
OWNER = pwd.getpwuid(os.geteuid()).pw_name


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Net]:
    """One of its own: escrows that other tests took out of service would be in the plan."""
    started = Net(tmp_path_factory.mktemp("look"))
    yield started
    started.stop()


def part(name: str, **more: t.Any) -> Params:
    return {"name": name, **more}


def question(module: str, what: str, **args: t.Any) -> Params:
    return {"module": module, "what": what, "args": args}


def look(site: Site, *parts: Params, **more: t.Any) -> Params:
    return succeeded("site_look_info", {"parts": list(parts), "common": site.money(), **more})


def test_every_question_is_documented() -> None:
    docs = yaml.safe_load(doc_constants("site_look_info")["DOCUMENTATION"])
    named = docs["options"]["parts"]["suboptions"]["questions"]["suboptions"]["module"]["choices"]
    assert sorted(named) == sorted(QUESTIONS)


def test_a_file_that_was_broken_is_in_the_plan(site: Site) -> None:
    folder = site.folder / "d"
    wanted = part("edge", files=[{"path": str(folder), "state": "directory", "mode": "0750"}])
    assert look(site, wanted)["plan"] == {"edge": [f"{folder} is not there"]}
    folder.mkdir()
    folder.chmod(0o750)
    assert look(site, wanted)["plan"] == {}
    folder.chmod(0o755)
    assert look(site, wanted)["plan"] == {"edge": [f"{folder} has mode 0755, wanted is 0750"]}


def test_what_cannot_be_asked_is_in_the_plan(site: Site) -> None:
    url = "http://127.0.0.1:1/-/edge"
    found = look(
        site,
        part("edge", answers=[{"url": url, "status": [404]}]),
        part("inferenced", programs=[{"argv": ["/no/such", "version"], "says": "2"}]),
        part("escrow", questions=[question("escrow_info", "the deposits")]),
        common={**site.money(), "gateway_url": "http://127.0.0.1:1"},
    )["plan"]
    assert found["edge"][0].startswith(f"{url} could not be checked: ")
    assert found["inferenced"] == ["there is no program /no/such"]
    assert found["escrow"][0].startswith("the deposits could not be checked: ")


def test_a_library_that_is_missing_is_a_reason(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    without_library(monkeypatch, "requests")
    found = look(site, part("escrow", questions=[question("escrow_info", "the deposits")]))
    assert found["plan"] == {
        "escrow": [
            (
                "the deposits could not be checked: the Python library requests is missing on this"
                " host; the playbook site installs it"
            )
        ]
    }


def test_options_that_a_module_refuses_are_a_reason(site: Site) -> None:
    asked = question("escrow_rotation", "the rotation", enabled=True)
    found = look(site, part("rotation", questions=[asked]))
    assert "settlement_enabled" in found["plan"]["rotation"][0]


def whole(site: Site, **access: str) -> list[Params]:
    """The questions of a gateway as a site asks them."""
    model, amount = site.model, site.net.ready["amount"]
    mode = access.get("mode", "api_key")
    return [
        part(
            "environment",
            questions=[
                question(
                    "gateway_env", "the environment file", path=str(site.env_file), variables={}
                )
            ],
        ),
        part(
            "creator",
            questions=[
                question("creator_key", "the creator's key"),
                question("allowlist", "the allowlist"),
            ],
        ),
        part("gateway", questions=[question("gateway_settings", "the settings", settings={})]),
        part(
            "escrow",
            questions=[
                question("escrow", model, model_id=model, amount=amount, allow_unclaimed=True),
                question(
                    "gateway_settings",
                    "the access",
                    model_limits=[{"model_id": model, "access_mode": mode}],
                ),
                question("escrow_info", "the deposits"),
            ],
        ),
        part(
            "rotation",
            questions=[
                question("escrow_rotation", "the rotation"),
                {
                    **question("escrow_settle", "left over", select="inactive_unsettled"),
                    "when": "rotation_does_not_settle",
                },
            ],
        ),
    ]


@pytest.fixture
def deployed(site: Site) -> Site:
    """One usable escrow, the key in the keyring, the model open to keys."""
    site.import_key()
    succeeded("gateway_env", {"path": str(site.env_file), "variables": {}})
    body = {"model_id": site.model, "amount": site.net.ready["amount"]}
    if not any(item["active"] for item in site.net.admin.get("/v1/admin/devshards")["devshards"]):
        site.net.admin.post("/v1/admin/escrows", body)
    limits = [{"model_id": site.model, "access_mode": "api_key"}]
    succeeded("gateway_settings", {**site.admin(), "model_limits": limits})
    site.net.forget()
    return site


def test_a_site_as_it_is_wanted_has_an_empty_plan_and_nothing_is_written(deployed: Site) -> None:
    before = deployed.snapshot()
    found = look(deployed, *whole(deployed))
    assert found["plan"] == {}
    assert deployed.net.writes() == []
    assert deployed.snapshot() == before
    assert found["predictions"]["escrow"]["escrow_info"][0]["escrows"]


def test_what_the_gateway_says_is_read_once(deployed: Site) -> None:
    look(deployed, *whole(deployed))
    paths = [entry["path"] for entry in deployed.net.gateway.get("/requests")["requests"]]
    asked = [path for path in paths if path.startswith("/v1/admin/")]
    assert asked, paths
    assert len(asked) == len(set(asked))


def test_an_access_mode_that_was_changed_is_seen(deployed: Site) -> None:
    entry = {"model_id": deployed.model, "access_mode": "open"}
    deployed.net.admin.post("/v1/admin/settings", {"model_limits": [entry]})
    found = look(deployed, *whole(deployed))["plan"]
    assert found == {"escrow": ["the access: the gateway has other settings: model_limits"]}


def test_an_environment_file_that_others_may_read_is_seen(deployed: Site) -> None:
    deployed.env_file.chmod(0o644)
    (reason,) = look(deployed, *whole(deployed))["plan"]["environment"]
    assert reason == f"the environment file: {deployed.env_file} has another form or mode"


def test_a_key_that_others_may_read_is_seen(deployed: Site) -> None:
    keyring = deployed.folder / "inferenced" / "keyring"
    keyring.chmod(0o755)
    (reason,) = look(deployed, *whole(deployed))["plan"]["creator"]
    assert "others than root can read it" in reason


def test_a_creator_that_is_not_listed_any_more_is_seen(deployed: Site) -> None:
    other = "gonka1w508d6qejxtdg4y5r3zarvary0c5xw7k2gsyg6"
    deployed.net.chain.post("/chain/allowlist", {"addresses": [other]})
    found = look(deployed, *whole(deployed))["plan"]
    assert "the allowlist could not be checked" in found["creator"][0]


def test_an_escrow_that_is_missing_is_seen_and_not_created(deployed: Site) -> None:
    questions = whole(deployed)
    pool = questions[3]["questions"][0]
    usable = look(deployed, *questions)["predictions"]["escrow"]["escrow"][0]["escrows"]
    pool["args"]["count"] = len(usable) + 1
    pool["args"]["max_creates_per_run"] = len(usable) + 1
    deployed.net.forget()
    found = look(deployed, *questions)["plan"]
    assert found == {"escrow": [f"{deployed.model}: 1 escrow is missing for {deployed.model}"]}
    assert deployed.net.writes() == []


def test_no_secret_is_returned(deployed: Site) -> None:
    secrets = {
        "private_key": deployed.secrets["DEVSHARD_PRIVATE_KEY"],
        "api_keys": "sk-0123456789abcdef0123",
        "admin_api_key": deployed.secrets["DEVSHARD_ADMIN_API_KEY"],
    }
    params = {"parts": whole(deployed), "common": deployed.money(), "secrets": secrets}
    run = run_module("site_look_info", params, verbose=True)
    assert not run.failed
    assert run.result["plan"]["environment"] == [
        f"the environment file: {deployed.env_file} differs in DEVSHARD_API_KEYS"
    ]
    assert [value for value in secrets.values() if value in run.output] == []


def test_rotation_that_leaves_settling_to_others_names_what_is_left(deployed: Site) -> None:
    without_settling = question("escrow_rotation", "the rotation")
    left = {
        **question("escrow_settle", "left over", select="all", leave_foreign=True),
        "when": "rotation_does_not_settle",
    }
    rotation = part("rotation", questions=[without_settling, left])
    assert look(deployed, rotation)["plan"] == {}
    assert "escrow_settle" not in look(deployed, rotation)["predictions"]["rotation"]
    succeeded(
        "escrow_rotation",
        {
            **deployed.money(),
            "enabled": True,
            "settlement_enabled": False,
            "models": [{"model_id": deployed.model, "amount": deployed.net.ready["amount"]}],
        },
    )
    found = look(deployed, rotation)
    assert found["plan"]["rotation"][0].startswith("left over: out of service and not settled")
    succeeded("escrow_rotation", {**deployed.money(), "enabled": False})


def test_facts_are_returned_where_they_are_asked_for(site: Site) -> None:
    path = str(site.env_file)
    found = succeeded("site_look_info", {"host": True, "stats": [path], "texts": ["/no/such"]})
    assert found["stats"][path]["exists"] is True
    assert found["texts"] == {"/no/such": None}
    assert found["host"]["ansible_facts"]["os_family"]
    assert "host" not in without(succeeded("site_look_info", {}), ())
