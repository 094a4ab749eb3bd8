# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""Modules that only read, and the one that chats: against a simulated network."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import ConfigurationError
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.compose_file import (
    ComposeFile,
)
from ansible_collections.gonka.devshard.plugins.module_utils._host import docker_cli
from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    MODULES,
    doc_constants,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.http_server import Server, json_answer
from ansible_collections.gonka.devshard.tests.unit.plugins.module_run import (
    PACKAGE,
    failed,
    run_module,
    succeeded,
    without,
    without_library,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._gateway.test_drift import (
    DIGEST,
    STORAGE,
    FakeEngine,
    engine,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.modules.equality import prove
from ansible_collections.gonka.devshard.tests.unit.plugins.modules.site import Site

__all__ = ["engine"]
Params = dict[str, t.Any]
NAME = "devshardctl-multi"
# blocks go on between two looks, and sessions write after a chat
MOVING = ("gateway.rotation", "gateway.devshards.*.nonce", "gateway.devshards.*.balance")


def creator(site: Site, **more: t.Any) -> Params:
    return {**site.chain(), **site.inferenced(), **more}


def check_shape(value: t.Any, doc: Params, path: str) -> None:
    """A result has the keys and types that RETURN documents, or null where it says so."""
    if value is None:
        return
    types: dict[str, type[t.Any]] = {
        "str": str,
        "bool": bool,
        "int": int,
        "float": float,
        "dict": dict,
        "list": list,
    }
    assert value.__class__ is types[doc["type"]], path
    for key, inner in doc.get("contains", {}).items():
        assert key in value, f"{path}.{key}"
        check_shape(value[key], inner, f"{path}.{key}")
    if doc.get("contains"):
        assert set(value) <= set(doc["contains"]), path


def documented(name: str, result: Params) -> Params:
    """The result, which is what the module's documentation says."""
    docs = yaml.safe_load(doc_constants(name)["RETURN"])
    for key, doc in docs.items():
        if doc["returned"] == "success":
            assert key in result
            check_shape(result[key], doc, key)
    assert set(result) <= {*docs, "changed"}
    assert result["changed"] is False
    return result


def read(name: str, site: Site, params: Params) -> Params:
    """A module that reads: check mode is the same, nothing is written, nothing left behind."""
    files = site.snapshot()
    result = documented(name, succeeded(name, params))
    assert without(succeeded(name, params, check=True), MOVING) == without(result, MOVING)
    assert site.net.writes() == []
    assert site.snapshot() == files
    return result


# the creator


def test_a_creator_without_a_key(site: Site) -> None:
    nothing = read("creator_info", site, creator(site))["creator"]
    assert nothing == {
        "address": None,
        "in_keyring": False,
        "balance": None,
        "exists": None,
        "membership": None,
    }


def test_a_host_without_the_program(site: Site) -> None:
    params = creator(site, inferenced_path="/nowhere/inferenced", address=site.creator)
    found = read("creator_info", site, params)["creator"]
    assert found["address"] == site.creator
    assert found["in_keyring"] is False
    assert found["membership"] == "listed"


def test_a_creator_in_the_keyring(site: Site) -> None:
    site.import_key()
    site.net.fund(59_980_949_275)
    result = read("creator_info", site, creator(site))
    assert result["creator"] == {
        "address": site.creator,
        "in_keyring": True,
        "balance": 59_980_949_275,
        "exists": True,
        "membership": "listed",
    }
    assert set(result["params"]) == {
        "approved_versions",
        "create_devshard_fee",
        "fee_per_nonce",
        "max_amount",
        "max_escrows_per_epoch",
        "max_nonce",
        "min_amount",
        "min_gas_price",
        "approved_known",
        "create_gas_price",
        "settle_gas_price",
        "settle_exempt",
    }


def test_an_address_that_nobody_funded(site: Site) -> None:
    unknown = "gonka15jz7yqwxuv4eu8l6cysfrgslcyvh7f3ykf8ykp"
    found = read("creator_info", site, creator(site, address=unknown))["creator"]
    assert (found["balance"], found["exists"], found["membership"]) == (0, False, "not_listed")


def test_the_allowlist(site: Site) -> None:
    result = read("allowlist", site, creator(site, address=site.creator))
    assert result["allowlist"] == {"address": site.creator, "membership": "listed"}
    assert {"min_amount", "max_amount", "max_escrows_per_epoch", "max_nonce"} <= set(
        result["params"]
    )
    site.net.chain.post("/chain/allowlist", {"addresses": []})
    result = read("allowlist", site, creator(site, address=site.creator))
    assert result["allowlist"]["membership"] == "open"


def test_the_allowlist_by_the_keyring(site: Site) -> None:
    site.import_key()
    result = succeeded("allowlist", creator(site))
    assert result["allowlist"] == {"address": site.creator, "membership": "listed"}


def test_waiting_for_a_node_that_comes_back(site: Site) -> None:
    rule = {"service": "chain", "action": "status", "status": 500, "times": 1}
    site.net.chain.post("/faults", rule)
    params = creator(site, address=site.creator, wait=True, wait_timeout=20, wait_interval=1)
    assert succeeded("allowlist", params)["allowlist"]["membership"] == "listed"


def test_waiting_ends(site: Site) -> None:
    site.net.chain.post("/chain/allowlist", {"addresses": ["gonka1other"]})
    params = creator(site, address=site.creator, wait=True, wait_timeout=1, wait_interval=1)
    assert failed("allowlist", params).kind == "not_listed"
    assert failed("allowlist", {**params, "wait_timeout": 99999}, check=True).kind == "not_listed"


# the gateway


def test_a_gateway(site: Site) -> None:
    found = read("gateway_info", site, site.admin())["gateway"]
    records = site.net.admin.get("/v1/admin/state")["devshards"]
    assert [item["id"] for item in found["devshards"]] == [item["id"] for item in records]
    assert (found["disabled"], found["active_requests"], found["container"]) == (False, 0, None)
    assert found["settings"]["default_request_max_tokens"] == 3072


def test_a_disabled_gateway(site: Site) -> None:
    site.net.admin.post("/v1/admin/settings", {"disabled": {"enabled": True, "message": "gone"}})
    site.net.forget()
    assert read("gateway_info", site, site.admin())["gateway"]["disabled"] is True


def test_a_gateway_and_its_container(site: Site, engine: FakeEngine) -> None:
    params = {**site.admin(), "container_name": NAME}
    found = succeeded("gateway_info", params)["gateway"]["container"]
    assert (found["name"], found["health"], found["digests"]) == (NAME, "healthy", [DIGEST])
    assert "environment" not in found


def test_a_state_that_lacks_something_is_an_error(site: Site, server: Server) -> None:
    server.by_path(
        {
            "/v1/admin/state": json_answer(
                {"devshards": [], "limiter": {"in_flight_requests": 0}, "settings": {}}
            )
        }
    )
    params = {**site.admin(), "gateway_url": server.url}
    assert "state.capacity: the field is missing" in failed("gateway_info", params).msg


def drift(site: Site, **more: t.Any) -> Params:
    return {
        "container_name": NAME,
        "image": DIGEST,
        "env_file": str(site.env_file),
        "storage": STORAGE,
        "port": 18080,
        **more,
    }


def test_drift(site: Site, engine: FakeEngine) -> None:
    site.write_env({"DEVSHARD_PRIVATE_KEY": "0f1e" * 16, "DEVSHARD_PORT": "8080"})
    found = read("gateway_drift_info", site, drift(site))["drift"]
    assert (found["exists"], found["recreate"], found["reasons"]) == (True, False, [])
    found = read("gateway_drift_info", site, drift(site, port=18081))["drift"]
    assert found["recreate"] is True
    site.env_file.unlink()
    found = read("gateway_drift_info", site, drift(site))["drift"]
    assert found["reasons"] == ["there is no environment file to compare it with"]


def test_what_a_replaced_container_is_started_from_is_written_and_compared(
    site: Site, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the modules do it of which each does a part."""
    monkeypatch.setattr(docker_cli, "find", lambda _run: None)
    file = site.folder / "docker-compose.yml"
    variables = {"DEVSHARD_PORT": "8080", "DEVSHARD_MODEL": "m"}
    files: Params = {"compose_file": str(file), "compose": "services: {}\n"}
    wanted = {**drift(site), "variables": variables, **files}
    done = prove("swap_container", wanted, site.folder)
    assert done["drift"] == read("gateway_drift_info", site, drift(site))["drift"]
    assert "DEVSHARD_ADMIN_API_KEY" in str(done["drift"]["reasons"])
    again = succeeded("gateway_env", {"path": str(site.env_file), "variables": variables})
    assert (again["changed"], again["env"]["names"]) == (False, done["env"]["names"])
    assert file.read_text() == "services: {}\n"
    modes = [stat.S_IMODE(item.stat().st_mode) for item in (file, site.env_file)]
    assert modes == [0o644, 0o600]
    # an owner's file keeps its mode, ours does not
    file.chmod(0o600)
    prove("swap_container", {**wanted, "owned": True, "compose": "a: b\n"}, site.folder)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    prove("swap_container", {**wanted, "compose": "a: b\n"}, site.folder)
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_an_owner_keeps_the_compose_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "docker-compose.yml"
    file.write_text("services: {}\n")
    given: list[tuple[t.Any, ...]] = []
    monkeypatch.setattr(os, "chown", lambda *args: given.append(args))
    there = file.stat()
    monkeypatch.setattr(os, "geteuid", lambda: there.st_uid + 1)
    wanted = ComposeFile(path=file, text="a: b\n", owned=True)
    before, after = wanted.write(check_mode=True)
    assert (before["text"], after["text"]) == ("services: {}\n", "a: b\n")
    assert (file.read_text(), given) == ("services: {}\n", [])
    assert wanted.write(check_mode=False) == (before, after)
    assert (file.read_text(), given) == ("a: b\n", [(file, there.st_uid, there.st_gid)])
    assert wanted.write(check_mode=False) == (after, after)
    nowhere = ComposeFile(path=tmp_path / "no" / "c.yml", text="", owned=False)
    with pytest.raises(ConfigurationError, match="there is no directory"):
        nowhere.write(check_mode=True)


def test_drift_of_a_changed_key(site: Site, engine: FakeEngine) -> None:
    run = run_module("gateway_drift_info", drift(site))
    (reason,) = run.result["drift"]["reasons"]
    assert "DEVSHARD_ADMIN_API_KEY, DEVSHARD_API_KEYS, DEVSHARD_PRIVATE_KEY only when" in reason
    for secret in ("0f1e" * 16, *site.secrets.values()):
        assert secret not in run.output


# chat


def served(site: Site) -> Params:
    """An open model with an escrow, made by the gateway itself."""
    admin = site.net.admin
    if not any(item["active"] for item in admin.get("/v1/admin/state")["devshards"]):
        body = {"model_id": site.model, "amount": site.net.ready["amount"]}
        admin.post("/v1/admin/escrows", body)
    limits = [{"model_id": site.model, "access_mode": "api_key"}]
    admin.post("/v1/admin/settings", {"model_limits": limits})
    return {
        "base_url": site.net.ready["gateway"],
        "model": site.model,
        "env_file": str(site.env_file),
        "wait_interval": 1,
    }


@pytest.mark.parametrize("stream", [False, True])
def test_a_chat(site: Site, stream: bool) -> None:
    params = {**served(site), "stream": stream}
    site.net.forget()
    chat = documented("chat_completion", succeeded("chat_completion", params))["chat"]
    assert chat["stream"] is stream
    assert len(chat["content"]) > 0
    assert 0 < chat["first_byte_seconds"] <= chat["total_seconds"]
    assert (chat["first_chunk_seconds"] is not None) is stream
    assert chat["finish_reason"] == "stop"
    assert chat["chunks"] > 1 if stream else chat["chunks"] == 1
    assert chat["devshard_id"] is not None
    assert site.net.writes().count("POST /v1/chat/completions") == 1


def test_no_chat_in_check_mode(site: Site) -> None:
    params = {"base_url": site.net.ready["gateway"], "model": site.model}
    assert succeeded("chat_completion", params, check=True) == {
        "changed": False,
        "chat": None,
        "chats": [],
        "limited": False,
    }
    assert site.net.writes() == []


def test_a_gateway_at_its_limit_serves_others(site: Site, server: Server) -> None:
    message = "rate limit exceeded: too many concurrent requests"
    server.answers(json_answer({"error": {"message": message}}, 429))
    params = {"base_url": server.url, "model": "m", "env_file": str(site.env_file)}
    run = run_module("chat_completion", params)
    assert (run.result["chat"], run.result["limited"]) == (None, True)
    assert "is at its limit and serves other clients" in run.output
    exhausted = "no available escrows: participant request budget exhausted"
    server.answers(json_answer({"error": {"message": exhausted}}, 429))
    assert run_module("chat_completion", params).kind == "rate_limited"


def test_each_chat_reaches_a_host(site: Site) -> None:
    """The gateway answers a repeated prompt from its cache."""
    params = served(site)
    names = {succeeded("chat_completion", params)["chat"]["request_id"] for _unused in range(3)}
    before = site.net.admin.get("/v1/admin/state")["devshards"]
    succeeded("chat_completion", params)
    after = site.net.admin.get("/v1/admin/state")["devshards"]
    assert len(names) == 3

    def nonces(records: list[Params]) -> int:
        return sum(item["runtime"].get("nonce", 0) for item in records if "runtime" in item)

    assert nonces(after) > nonces(before)


def test_the_first_of_several_client_keys(site: Site) -> None:
    params = served(site)
    key = site.net.ready["api_key"]
    assert succeeded("chat_completion", {**params, "api_key": f"{key},sk-0123456789abcdef"})
    run = run_module("chat_completion", {**params, "api_key": f"sk-0123456789abcdef,{key}"})
    assert run.kind == "authentication"


# libraries that are missing on the host


@pytest.mark.parametrize(
    ("library", "modules"),
    [
        (
            "requests",
            ["creator_info", "allowlist", "gateway_info", "chat_completion"],
        ),
        ("docker", ["gateway_drift_info"]),
    ],
)
def test_a_missing_library_is_named_with_the_interpreter(
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    library: str,
    modules: list[str],
) -> None:
    without_library(monkeypatch, library)
    calls = {
        "creator_info": creator(site),
        "allowlist": creator(site, address=site.creator),
        "gateway_info": site.admin(),
        "chat_completion": {
            "base_url": "http://x",
            "model": "m",
            "env_file": str(site.env_file),
        },
        "gateway_drift_info": drift(site),
    }
    for module in modules:
        run = failed(module, calls[module])
        assert f"Failed to import the required Python library ({library})" in run.msg
        assert sys.executable in run.msg


def test_a_missing_sdk_matters_only_where_it_is_used(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_library(monkeypatch, "docker")
    assert succeeded("gateway_info", site.admin())["gateway"]["container"] is None
    run = failed("gateway_info", {**site.admin(), "container_name": NAME})
    assert "Failed to import the required Python library (docker)" in run.msg


def test_every_module_loads_without_those_libraries() -> None:
    script = f"""
import importlib, sys
for name in ("requests", "urllib3", "docker", "jmespath"):
    sys.modules[name] = None
for name in {MODULES!r}:
    importlib.import_module("{PACKAGE}.modules." + name)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["gateway_settings", "gateway_drain", "escrow", "escrow_settle"])
def test_a_module_imports_no_library_before_it_needs_one(module: str) -> None:
    """That takes longer than what most runs ask of their gateway."""
    script = f"""
import importlib, sys
importlib.import_module("{PACKAGE}.modules.{module}")
print(sorted({{"requests", "docker"}} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
