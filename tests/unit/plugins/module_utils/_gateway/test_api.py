# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    AuthenticationError,
    ConfigurationError,
    NotFoundError,
    ProtocolError,
    RedirectedError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.api import GatewayApi
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.profiles import profile
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.recorded import (
    QWEN,
    ScriptedTransport,
    as_response,
    body,
)

BASE = "http://127.0.0.1:18080"
KEY = "sk-admin-0123456789abcdef"
ENV = "DEVSHARD_PRIVATE_KEY"


def api(table: dict[str, t.Any]) -> tuple[GatewayApi, ScriptedTransport]:
    transport = ScriptedTransport(BASE, table)
    return GatewayApi(transport, url=BASE, admin_key=KEY, profile=profile("v2")), transport


def test_reading() -> None:
    gateway, http = api(
        {
            "GET /v1/admin/state": "admin_state_two",
            "GET /v1/admin/settings": "settings_get",
            "GET /v1/debug/rotation": "rotation_get",
            "GET /devshard/1/v1/status": "status_ds",
        }
    )
    assert len(gateway.state().devshards) == 2
    assert gateway.settings()["request_max_tokens_cap"] == 4096
    assert gateway.rotation().polled
    assert gateway.session("1").nonce == 2
    assert {item.headers["Authorization"] for item in http.asked} == {f"Bearer {KEY}"}


def newer(name: str, table: dict[str, t.Any]) -> tuple[GatewayApi, ScriptedTransport]:
    transport = ScriptedTransport(BASE, table)
    held = profile(name, name)
    return GatewayApi(transport, url=BASE, admin_key=KEY, profile=held), transport


CREATED = {"escrow_id": 7, "tx_hash": "AB", "creator": "gonka1x", "registered": True}
SETTLED = {"escrow_id": 7, "tx_hash": "AB", "settler": "gonka1x"}
TX: dict[str, t.Any] = {
    "private_key_env": ENV,
    "chain_id": "gonka-rig",
    "fee_amount": 1_000_000,
    "gas_limit": 500_000,
}
WRITES: dict[str, tuple[t.Callable[[GatewayApi], object], str, object]] = {
    "post_settings": (lambda g: g.post_settings({"a": 1}), "POST /v1/admin/settings", {"a": 1}),
    "add": (
        lambda g: g.add("7", private_key_env=ENV, model=QWEN),
        "POST /v1/admin/devshards",
        {"id": "7", "private_key_env": ENV, "model": QWEN},
    ),
    "add known": (lambda g: g.add("7"), "POST /v1/admin/devshards", {"id": "7"}),
    "activate": (lambda g: g.activate("7"), "POST /v1/admin/devshards", {"id": "7"}),
    "import": (
        lambda g: g.import_session("7", storage_path="/x/7", private_key_env=ENV, model=QWEN),
        "POST /v1/admin/devshards/import",
        {"id": "7", "storage_path": "/x/7", "private_key_env": ENV, "model": QWEN, "active": False},
    ),
    "deactivate": (
        lambda g: g.deactivate("7"),
        "POST /v1/admin/devshards/7/deactivate",
        None,
    ),
    "delete": (lambda g: g.delete("7"), "DELETE /v1/admin/devshards/7", None),
    "create": (
        lambda g: g.create_escrow(model_id=QWEN, amount=5, **TX),
        "POST /v1/admin/escrows",
        {"model_id": QWEN, "amount": 5, "register": True, **TX},
    ),
    "finalize": (lambda g: g.finalize("7"), "POST /devshard/7/v1/finalize", None),
    "settle": (lambda g: g.settle("7", **TX), "POST /v1/admin/devshards/7/settle", TX),
}


@pytest.mark.parametrize("name", WRITES)
def test_a_write_is_one_call_with_the_contracts_names(name: str) -> None:
    call, path, sent = WRITES[name]
    answers = {"POST /v1/admin/escrows": CREATED, "POST /v1/admin/devshards/7/settle": SETTLED}
    gateway, http = api({"POST /": {}, "DELETE /": {}, **answers})
    call(gateway)
    (request,) = http.asked
    assert f"{request.method} {request.url.removeprefix(BASE)}" == path
    assert request.json == sent
    # the contract's worst case for a create is several minutes
    assert (request.timeout or 0) >= 300


@pytest.mark.parametrize("name", WRITES)
def test_no_private_key_is_ever_sent(name: str) -> None:
    sent = WRITES[name][2]
    assert not isinstance(sent, dict) or "private_key" not in sent


def test_the_wrong_admin_key() -> None:
    gateway, _unused = api({"GET /": "admin_state_noauth"})
    with pytest.raises(
        AuthenticationError, match="Invalid admin API key.*different admin key"
    ) as err:
        gateway.state()
    assert err.value.details["http_status"] == 401


def test_a_gateway_without_an_admin_key() -> None:
    gateway, _unused = api({"GET /": "unknown"})
    with pytest.raises(NotFoundError, match="A gateway started without an admin key returns this"):
        gateway.state()


def test_a_disabled_gateway() -> None:
    gateway, _unused = api({"GET /devshard/": "dis_status", "GET /v1/admin/state": "admin_state"})
    with pytest.raises(RedirectedError):
        gateway.session("1")
    assert gateway.state().devshards == ()


@pytest.mark.parametrize("missing", sorted(CREATED))
def test_a_create_that_says_too_little_is_unknown(missing: str) -> None:
    reply = {key: value for key, value in CREATED.items() if key != missing}
    gateway, _unused = api({"POST /v1/admin/escrows": reply})
    with pytest.raises(ProtocolError, match=f"escrows.{missing}: the field is missing"):
        gateway.create_escrow(model_id=QWEN, amount=5, **TX)


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak"])
def test_an_admin_key_that_cannot_be_sent(key: str) -> None:
    with pytest.raises(ConfigurationError, match="the gateway's admin key is empty, or holds"):
        GatewayApi(ScriptedTransport(BASE, {}), url=BASE, admin_key=key, profile=profile("v2"))


NEWER = pytest.mark.parametrize("name", ["v3", "v4", "v4.1"])


@NEWER
def test_activating_has_a_path_of_its_own_from_v3_on(name: str) -> None:
    gateway, http = newer(name, {"POST /": {}})
    gateway.activate("7")
    (request,) = http.asked
    assert request.url == f"{BASE}/v1/admin/devshards/7/activate"
    assert request.json is None


@pytest.mark.parametrize(("name", "pin"), [("v3", {}), ("v4", "v4"), ("v4.1", "v4.1")])
def test_an_escrow_is_pinned_to_its_route_at_birth(name: str, pin: t.Any) -> None:
    pinned = {"route_prefix": f"/devshard/{pin}"} if pin else {}
    gateway, http = newer(name, {"POST /v1/admin/escrows": CREATED, "POST /": {}})
    gateway.add("7", private_key_env=ENV, model=QWEN)
    gateway.create_escrow(model_id=QWEN, amount=5, **TX)
    gateway.import_session(
        "7", storage_path="/root/.devshardctl/t/escrow-7", private_key_env=ENV, model=QWEN
    )
    for request in http.asked:
        assert isinstance(request.json, dict)
        found = {key: value for key, value in request.json.items() if key == "route_prefix"}
        assert found == pinned, request.url


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("v3", "/root/.devshardctl/t/escrow-7"),
        ("v4", "t/escrow-7"),
        ("v4.1", "t/escrow-7"),
    ],
)
def test_the_folder_of_a_session_is_named_as_the_generation_takes_it(name: str, sent: str) -> None:
    def imported(path: str) -> None:
        gateway.import_session("7", storage_path=path, private_key_env=ENV, model=QWEN)

    gateway, http = newer(name, {"POST /": {}})
    imported("/root/.devshardctl/t/escrow-7")
    (request,) = http.asked
    assert isinstance(request.json, dict)
    assert request.json["storage_path"] == sent
    for wrong in ("t/escrow-7", "/root/.devshardctl/../escrow-7"):
        with pytest.raises(ConfigurationError, match="absolute path"):
            imported(wrong)
    if name != "v3":
        with pytest.raises(ConfigurationError, match="must lie below /root/.devshardctl"):
            imported("/srv/escrow-7")
    assert len(http.asked) == 1, "the gateway answers 200 to a folder that it does not have"


NOT_ACTIVE = as_response({"error": {"message": "devshard 1 is not active"}}, 404)


@NEWER
def test_a_second_deactivate_is_no_failure(name: str) -> None:
    state = body("admin_state_two")
    state["devshards"][0].update(id="1", active=False)
    state["devshards"][0].pop("runtime")
    table = {"POST /v1/admin/devshards/1/deactivate": NOT_ACTIVE, "GET /v1/admin/state": state}
    gateway, _unused = newer(name, table)
    assert gateway.deactivate("1") == {"id": "1", "active": False}
    # active in the records and not in memory: it cannot be deactivated before it is loaded
    state["devshards"][0].update(active=True)
    for wrong in (state, {**state, "devshards": []}):
        gateway, _unused = newer(name, {**table, "GET /v1/admin/state": wrong})
        with pytest.raises(NotFoundError, match="is not active"):
            gateway.deactivate("1")


def test_what_newer_generations_show_of_a_session() -> None:
    state = body("admin_state_two")
    item = state["devshards"][0]
    item.update(settlement_pending=True, on_hold_since="2026-11-29T10:00:00Z")
    item["route_prefix"] = "/devshard/v4.1"
    item["runtime"].update(pending_race_cleanup=2, session_version="v4.1", active_requests=1)
    gateway, _unused = newer("v4.1", {"GET /v1/admin/state": state})
    found = gateway.state()
    first, second = found.devshards
    assert (first.settle_queued, first.held_since) == (True, "2026-11-29T10:00:00Z")
    assert first.route == "/devshard/v4.1"
    assert first.runtime is not None
    assert (first.runtime.work, first.runtime.protocol) == (3, "v4.1")
    assert (second.settle_queued, second.held_since, second.route) == (False, None, None)
    assert found.work == found.active_requests + 2


def test_the_storage_may_have_another_name_in_the_container() -> None:
    transport = ScriptedTransport(BASE, {"POST /": {}})
    gateway = GatewayApi(
        transport,
        url=BASE,
        admin_key=KEY,
        profile=profile("v4.1", "v4.1"),
        storage_dir="/data/gw",
    )
    gateway.import_session("7", storage_path="/data/gw/t/escrow-7", private_key_env=ENV, model=QWEN)
    (request,) = transport.asked
    assert isinstance(request.json, dict)
    assert request.json["storage_path"] == "t/escrow-7"
