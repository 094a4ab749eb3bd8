# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The plan of a host: two runs of one module, whose answers are scripted here."""

from __future__ import annotations

import typing as t
from unittest import mock

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import filter_loader, lookup_loader
from ansible.template import Templar

from ansible_collections.gonka.devshard.plugins.action.site_plan import (
    ADMIN,
    ActionModule,
    without_admin,
)
from ansible_collections.gonka.devshard.plugins.module_utils._site.model import PARTS
from ansible_collections.gonka.devshard.plugins.module_utils._wiring.site_look_info import (
    QUESTIONS,
)
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.instance import instance
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.profile import profile

Result = dict[str, t.Any]
ROLES = ["docker_engine", "inferenced", "gateway", "creator", "edge", "escrow", "rotation"]
GIVEN: Result = {
    "inventory_hostname": "gw",
    "devshard_chain_id": "c",
    "devshard_chain_rest": "http://rest.example.org/chain-api",
    "devshard_chain_rpc": "http://rpc.example.org",
    "devshard_public_api": "http://api.example.org",
    "devshard_models": [{"id": "m/1", "amount": 5}],
    "gateway_private_key": "0f" * 32,
}
PLAN: Result = {
    "recorded": True,
    "adopting": False,
    "storage": "/srv/gonka/devshard-gateway/.devshardctl",
    "volume": None,
    "project": "devshard-gateway",
    "service": "devshardctl",
    "composed": True,
    "recreate": False,
    "pinned": "r/i@sha256:" + "a" * 64,
    "runs_digest": "r/i@sha256:" + "a" * 64,
    "runs_image": "r/i:1",
}


@pytest.fixture(autouse=True)
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Filters of the collection and lookups, as ansible-playbook finds them."""
    find: t.Callable[..., t.Any] = filter_loader.get
    wrap: t.Callable[..., t.Any] = filter_loader._wrap_func

    def get(name: str, *args: t.Any, **more: t.Any) -> t.Any:
        ours = {"gonka.devshard.profile": profile, "gonka.devshard.instance": instance}
        if name in ours:
            return wrap(name, name, ours[name])
        return find(name, *args, **more)

    monkeypatch.setattr(filter_loader, "get", get)
    look_up: t.Callable[..., t.Any] = lookup_loader.get
    monkeypatch.setattr(
        lookup_loader,
        "get",
        lambda name, *args, **more: look_up(name.rpartition(".")[2], *args, **more),
    )


class Host:
    """Answers each run of the module, and keeps what it was asked."""

    def __init__(self, *, proved: bool = True, refusal: str | None = None) -> None:
        self.asked: list[Result] = []
        self.presence = {
            "gateway_proved": proved,
            "retired": {"exists": False},
            "redirect": {"exists": False},
            "container": {"restart_policy": "unless-stopped"},
        }
        self.refusal = refusal
        self.facts: Result = {
            "architecture": "x86_64",
            "distribution": "Debian",
            "distribution_major_version": "13",
            "distribution_release": "trixie",
            "os_family": "Debian",
            "service_mgr": "systemd",
        }
        self.second: Result = {"plan": {}, "predictions": {}}

    def run(self, *, module_args: Result, **_more: t.Any) -> Result:
        self.asked.append(module_args)
        if len(self.asked) == 2:
            return self.second
        stats = {path: {"exists": True, "isreg": True} for path in module_args["stats"]}
        host = {"presence": self.presence, "refusal": self.refusal, "notes": ["a note"]}
        return {
            "plan": {},
            "stats": stats,
            "texts": dict.fromkeys(module_args["texts"], "{}"),
            "host": {"ansible_facts": self.facts, "nginx_version": "1.26.3", "uid": 0},
            "predictions": {
                "host": {"presence_info": [host]},
                "gateway": {"gateway_plan_info": [{"plan": PLAN}]},
            },
        }


def look(host: Host, settings: Result | None = None, **given: t.Any) -> Result:
    loader = DataLoader()
    variables = {**GIVEN, **given}
    args = {"roles": ROLES, "settings": settings or {}}
    task = mock.Mock(args=args, async_val=0, check_mode=False, diff=False)
    action = ActionModule(
        task=task,
        connection=mock.Mock(),
        play_context=mock.Mock(),
        loader=loader,
        templar=Templar(loader, variables=variables),
        shared_loader_obj=mock.Mock(),
    )
    with mock.patch.object(action, "_execute_module", side_effect=host.run):
        found: Result = action.run(task_vars=variables)
    return found


def parts_of(host: Host) -> dict[str, Result]:
    return {part["name"]: part for part in host.asked[1]["parts"]}


@pytest.mark.parametrize(
    ("retired", "unretire", "removes"),
    [(False, False, True), (True, False, False), (True, True, True), (True, "true", True)],
)
def test_the_edge_of_a_gateway_that_is_taken_back_into_service_lets_clients_in(
    retired: bool, unretire: bool | str, removes: bool
) -> None:
    host = Host()
    host.presence["retired"] = {"exists": retired}
    look(host, gateway_unretire=unretire)
    asked = [question["what"] for question in parts_of(host)["edge"]["questions"]]
    assert any(what.endswith("/retired.conf") for what in asked) is removes


def test_settings_that_the_inventory_does_not_have_count_in_its_place() -> None:
    host = Host()
    look(host, {"edge_http_port": 8090, "gateway_recreate_later": True}, edge_http_port=8080)
    parts = parts_of(host)
    assert "listen 8090" in parts["edge"]["questions"][0]["args"]["content"]
    (first,) = [part for part in host.asked[0]["parts"] if part["name"] == "gateway"]
    assert first["questions"][0]["args"]["recreate_later"] is True


def test_the_predictions_of_both_runs_are_returned() -> None:
    host = Host()
    host.second = {"plan": {}, "predictions": {"gateway": {"gateway_settings": [{"a": 1}]}}}
    found = look(host)["predictions"]
    assert found == {
        "gateway": {"gateway_plan_info": [{"plan": PLAN}], "gateway_settings": [{"a": 1}]}
    }


def test_a_host_that_is_as_it_is_wanted_has_an_empty_plan_after_two_runs() -> None:
    host = Host()
    found = look(host)
    assert found["plan"] == {}
    assert len(host.asked) == 2
    assert set(parts_of(host)) == set(PARTS)
    assert found["notes"] == ["a note"]


def test_everything_is_asked_with_the_settings_of_the_roles() -> None:
    host = Host()
    look(host, edge_http_port=8080, docker_engine_daemon_options={"debug": True})
    parts = parts_of(host)
    assert parts["docker_engine"]["services"] == ["docker"]
    assert "docker.io" in parts["docker_engine"]["packages"]
    assert {"debug": True} in [item.get("options") for item in parts["docker_engine"]["files"]]
    assert parts["edge"]["answers"][0]["url"] == "http://127.0.0.1:8080/v1/admin/state"
    assert "listen 8080" in parts["edge"]["questions"][0]["args"]["content"]
    modes = {item["path"]: item.get("mode") for item in parts["inferenced"]["files"]}
    assert modes["/var/lib/gonka-devshard"] == "0700"
    pool = parts["escrow"]["questions"][0]["args"]
    assert (pool["model_id"], pool["count"], pool["allow_unclaimed"]) == ("m/1", 1, True)
    assert parts["rotation"]["questions"][0]["args"] == {"other_gateways_need": 0}


def test_a_secret_is_given_only_as_one() -> None:
    host = Host()
    look(host)
    for asked in host.asked:
        assert asked["secrets"] == {"private_key": GIVEN["gateway_private_key"]}
        rest = {name: value for name, value in asked.items() if name != "secrets"}
        assert GIVEN["gateway_private_key"] not in str(rest)


def test_a_host_on_which_site_must_not_run_is_refused_before_more_is_asked() -> None:
    host = Host(refusal="a swap is open")
    found = look(host)
    assert found["failed"]
    assert found["msg"] == "gw: a swap is open"
    assert len(host.asked) == 1


def test_a_gateway_that_is_not_proved_to_be_ours_never_sees_the_admin_key() -> None:
    host = Host(proved=False)
    found = look(host)
    asked = [
        question["module"]
        for part in parts_of(host).values()
        for question in part.get("questions", [])
    ]
    assert not ADMIN & set(asked)
    assert {"gateway", "escrow", "rotation"} <= set(found["plan"])
    assert "could not be checked" in found["plan"]["rotation"][0]


def test_every_question_that_takes_the_admin_key_is_known_as_one() -> None:
    takes = {name for name, asked in QUESTIONS.items() if "gateway_url" in asked.spec.options}
    assert takes == ADMIN


def test_what_cannot_be_compared_is_in_the_plan() -> None:
    host = Host()
    del host.facts["architecture"]
    found = look(host)
    assert found["plan"]["inferenced"][0].startswith("it could not be compared: ")
    assert "edge" not in found["plan"]


@pytest.mark.parametrize("policy", ["no", "on-failure"])
def test_a_container_that_does_not_start_with_the_engine_is_seen(policy: str) -> None:
    host = Host()
    host.presence["container"] = {"restart_policy": policy}
    (reason,) = look(host)["plan"]["gateway"]
    assert f"(restart policy {policy})" in reason


def test_hosts_tell_each_other_which_escrows_they_have() -> None:
    host = Host()
    rows = [{"id": 1, "recorded": True}, {"id": 2, "recorded": False}]
    report = {"creator": "gonka1c", "escrows": rows}
    rotation = {"enabled": True, "funding_needed": 9}
    predictions: Result = {
        "escrow": {"escrow_info": [report]},
        "rotation": {"escrow_rotation": [{"rotation": rotation}]},
    }
    host.second = {"plan": {}, "predictions": predictions}
    found = look(host)
    assert found["held"] == {"creator": "gonka1c", "ids": [1]}
    assert found["rotation_need"] == {"creator": "gonka1c", "amount": 9}
    rotation |= {"enabled": False, "funding_needed": 0}
    host.asked.clear()
    assert look(host)["rotation_need"] == {"creator": "", "amount": 0}
    host.asked.clear()
    host.second = {"plan": {"escrow": ["x"]}, "predictions": {}}
    found = look(host)
    assert not {"held", "rotation_need"} & set(found)
    assert list(found["plan"]) == ["creator", "escrow"]


def test_parts_without_questions_stay_as_they_are() -> None:
    part: Result = {"name": "edge", "services": ["nginx"]}
    kept, reasons = without_admin([part])
    assert kept == [{**part, "questions": []}]
    assert reasons == [("edge", [])]


def test_what_the_modules_warn_of_is_told_once() -> None:
    host = Host()
    host.second["warnings"] = ["the certificate expires", "the certificate expires"]
    assert look(host)["warnings"] == ["the certificate expires"]
    assert "warnings" not in look(Host())
