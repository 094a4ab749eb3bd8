# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""gateway.md §1.2(a), §1.9, §1.10 with gateway-lifecycle.json: down to one escrow, then to none."""

from __future__ import annotations

import pytest

from ansible_collections.gonka.devshard.tests.contract._client import (
    is_text_error,
    is_unauthorized,
    is_unknown,
)
from ansible_collections.gonka.devshard.tests.contract._recordings import (
    Exchange,
    between,
    one,
)
from ansible_collections.gonka.devshard.tests.contract._shape import GATEWAY, differences
from ansible_collections.gonka.devshard.tests.contract._story import Json, Story

# a story of v2, see the README
pytestmark = pytest.mark.profiles("v2")

OPEN = ("/v1/status", "/v1/models", "/", "/openapi.json")
ADMIN = (
    "/v1/state",
    "/v1/debug/pending",
    "/v1/debug/state",
    "/v1/debug/perf",
    "/v1/debug/pairwise",
    "/v1/debug/signatures",
)
CONFIG = {
    "refusal_timeout",
    "execution_timeout",
    "token_price",
    "create_devshard_fee",
    "fee_per_nonce",
    "vote_threshold",
    "validation_rate",
    "inference_seal_grace_nonces",
    "inference_seal_grace_seconds",
    "auto_seal_every_n_nonces",
}


# gateway-lifecycle.json


@pytest.mark.parametrize(
    "exchange",
    between("gateway-lifecycle", "dis_chat", "dis_ds"),
    ids=lambda exchange: exchange.id,
)
def test_recorded_while_disabled(story: Story, exchange: Exchange) -> None:
    story.need("2", "3")
    recorded = one("gateway-lifecycle", "dis_status").response["json"]
    patch = {"enabled": True, "message": recorded["message"], "new_url": recorded["new_url"]}
    before = story.settings()["disabled"]
    story.post_settings(disabled=patch)
    try:
        story.replay(exchange)
    finally:
        story.post_settings(disabled={**before, "new_url": before.get("new_url", "")})


@pytest.mark.parametrize("name", ["2", "1"])
def test_recorded_delete(story: Story, name: str) -> None:
    """Only settled escrows are deleted here: their sessions go too."""
    (number,) = story.need(name)
    escrow = story.chain.escrow(number)
    assert escrow is not None
    assert escrow["settled"] is True
    story.deactivate(number)
    (exchange,) = [
        item
        for item in between("gateway-lifecycle", "delete", "status_one")
        if item.request["path"].endswith(f"/{name}")
    ]
    story.replay(exchange)
    assert number not in story.records()
    is_text_error(
        story.gateway.get(f"/devshard/{number}/v1/status"), 404, f"unknown devshard {number}"
    )


@pytest.mark.parametrize(
    "exchange",
    between("gateway-lifecycle", "status_one", "openapi_one"),
    ids=lambda exchange: exchange.id,
)
def test_recorded_with_one_runtime(story: Story, exchange: Exchange) -> None:
    story.need_runtimes(1)
    story.replay(exchange)


# the only escrow, the recordings' third


@pytest.fixture
def only(story: Story) -> str:
    (number,) = story.need("3")
    story.need_runtimes(1)
    return number


def test_status_is_the_sessions(story: Story, only: str) -> None:
    body = story.gateway.get("/v1/status").good()
    for key in ("active_requests", "devshards", "runtimes", "capacity", "limiter", "mode"):
        assert key not in body
    own = story.status(only)
    assert body["escrow_id"] == own["escrow_id"] == only
    assert body["phase"] == "active"
    assert set(body["config"]) == CONFIG
    assert all(isinstance(value, int) for value in body["config"].values())
    assert not differences([body], own, GATEWAY)


def test_config_is_the_chains(story: Story, only: str) -> None:
    params = story.chain.params()["devshard_escrow_params"]
    config = story.status(only)["config"]
    for name in ("refusal_timeout", "execution_timeout", "create_devshard_fee", "fee_per_nonce"):
        assert config[name] == int(params[name]), name
    assert config["validation_rate"] == params["validation_rate"]
    assert config["vote_threshold"] == params["group_size"] * params["vote_threshold_factor"] // 100


def test_deactivated_lone_escrow_still_shows_its_phase(story: Story, only: str) -> None:
    """And its own routes go on; only new chats are refused."""
    story.deactivate(only)
    try:
        assert story.gateway.get("/v1/status").good()["phase"] == "active"
        message = f"devshard {only} is unavailable for new inferences: inactive"
        is_text_error(story.chat(story.other_model, devshard=only), 409, message)
        pooled = story.chat(story.other_model, auth="admin")
        # §F tells of the 400, §7.3 of the 502 where nothing at all is active
        if pooled.status == 400:
            assert pooled.message.startswith(f'unsupported model "{story.other_model}"')
        else:
            is_text_error(
                pooled,
                502,
                "no devshard runtimes available for new inferences (skipped: inactive=1)",
            )
        for path in OPEN:
            assert story.gateway.get(f"/devshard/{only}{path}").status == 200, path
        for path in ADMIN:
            assert story.gateway.get(f"/devshard/{only}{path}", "admin").status == 200, path
    finally:
        story.gateway.post("/v1/admin/devshards", {"id": only}).good()


@pytest.mark.parametrize("path", ADMIN)
def test_single_routes_are_the_sessions(story: Story, only: str, path: str) -> None:
    body = story.gateway.get(path, "admin").good()
    own = story.gateway.get(f"/devshard/{only}{path}", "admin").good()
    assert not differences([body], own, GATEWAY)
    assert not differences([own], body, GATEWAY)


@pytest.mark.parametrize("path", OPEN)
def test_open_routes(story: Story, only: str, path: str) -> None:
    answer = story.gateway.get(f"/devshard/{only}{path}")
    assert answer.status == 200, answer
    assert answer.headers["X-Devshard-ID"] == only
    if path == "/openapi.json":
        assert answer.json["openapi"].startswith("3.")


@pytest.mark.parametrize("path", [*ADMIN, "/v1/finalize"])
def test_guarded_routes(story: Story, only: str, path: str) -> None:
    is_unauthorized(story.gateway.get(f"/devshard/{only}{path}"))
    is_unauthorized(story.gateway.get(f"/devshard/{only}{path}", "client"))


def test_unknown_request(story: Story, only: str) -> None:
    answer = story.gateway.get(f"/devshard/{only}/v1/requests/req-1-1")
    is_text_error(answer, 404, f"request req-1-1 not found for devshard {only}")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/status"),
        ("PUT", "/v1/finalize"),
        ("POST", "/v1/state"),
        ("POST", "/v1/debug/state"),
        ("GET", "/v1/debug/sync-hosts"),
        ("GET", "/v1/debug/signatures/collect"),
    ],
)
def test_wrong_method(story: Story, only: str, method: str, path: str) -> None:
    answer = story.gateway.ask(method, f"/devshard/{only}{path}", auth="admin")
    assert (answer.status, answer.text) == (405, "Method Not Allowed\n"), answer
    assert "Allow" in answer.headers


def test_unknown_inner_route(story: Story, only: str) -> None:
    is_unknown(story.gateway.get(f"/devshard/{only}/v1/nothing"))
    is_unknown(story.gateway.get(f"/devshard/{only}"))


def test_sessions_state(story: Story, only: str) -> None:
    escrow = story.chain.escrow(only)
    assert escrow is not None
    body = story.gateway.get(f"/devshard/{only}/v1/state", "admin").good()
    status = story.status(only)
    recorded = one("gateway-2-runtimes", "state_ds").response["json"]
    assert not differences([recorded], body, GATEWAY)
    assert body["session"]["escrow_id"] == only
    assert body["session"]["phase"] == "active"
    assert body["session"]["latest_nonce"] == status["nonce"]
    assert body["session"]["balance"] == status["balance"]
    slots = {item["slot_id"]: item["validator_address"] for item in body["group"]}
    assert slots == dict(enumerate(escrow["slots"]))
    assert body["revealed_seeds"] == {}


def test_debug_views(story: Story, only: str) -> None:
    status = story.status(only)
    base = f"/devshard/{only}/v1/debug"
    state = story.gateway.get(f"{base}/state", "admin").good()
    assert set(state) == {
        "nonce",
        "phase",
        "balance",
        "live_inferences",
        "sealed_inferences",
        "live_status_counts",
        "total_inferences",
        "status_counts",
    }
    assert (state["nonce"], state["phase"]) == (status["nonce"], "active")
    pending = story.gateway.get(f"{base}/pending", "admin").good()
    assert set(pending) == {"nonce", "pending", "warm_keys"}
    synced = story.gateway.post(f"{base}/sync-hosts").good()
    assert set(synced) == {"escrow_id", "nonce", "phase"}
    assert (synced["escrow_id"], synced["phase"]) == (only, "active")


def test_state_with_one_runtime(story: Story, only: str) -> None:
    """The same as with any number: the dependable view for a drain."""
    state = story.gateway.get("/v1/admin/state", "admin").good()
    (record,) = state["devshards"]
    assert record["runtime"]["active_requests"] == 0
    assert record["id"] == record["runtime"]["id"] == only
    assert "in_flight_requests" in state["limiter"]


def test_finalize_is_not_yet_there(story: Story, only: str) -> None:
    for path in (f"/devshard/{only}/v1/finalize", "/v1/finalize"):
        is_text_error(story.gateway.get(path, "admin"), 409, "session not yet finalized")


@pytest.mark.parametrize("raw", [b"{", b"{} and more", b'{"gas_limit": "1"}'])
def test_settle_wants_json_and_nothing_after_it(story: Story, only: str, raw: bytes) -> None:
    path = f"/v1/admin/devshards/{only}/settle"
    is_text_error(story.gateway.ask("POST", path, auth="admin", raw=raw), 400)
    assert story.status(only)["phase"] == "active"


def test_settle_without_a_key(story: Story, only: str) -> None:
    """502, and it stays inactive; nothing was finalized."""
    story.gateway.post("/v1/admin/devshards", {"id": only})
    body = {"private_key_env": "NO_SUCH_VARIABLE_HERE"}
    answer = story.gateway.post(f"/v1/admin/devshards/{only}/settle", body)
    is_text_error(answer, 502, "private_key or private_key_env is required")
    assert story.record(only)["active"] is False
    assert story.status(only)["phase"] == "active"
    story.gateway.post("/v1/admin/devshards", {"id": only}).good()


# its end: the bare route finalizes and does not deactivate


@pytest.fixture(scope="module")
def finalized(story: Story) -> Json:
    story.need_runtimes(1)
    body: Json = story.gateway.post("/v1/finalize", timeout=1200).good()
    return body


def test_bare_finalize_leaves_it_active(story: Story, only: str, finalized: Json) -> None:
    assert finalized["escrow_id"] == only
    assert story.record(only)["active"] is True
    assert story.status(only)["phase"] == "settlement"
    message = f"devshard {only} is unavailable for new inferences: phase=settlement"
    is_text_error(story.chat(story.other_model, devshard=only), 409, message)


@pytest.mark.usefixtures("finalized")
def test_settle_deactivates(story: Story, only: str) -> None:
    reply = story.gateway.post(f"/v1/admin/devshards/{only}/settle", timeout=1200).good()
    assert reply["active"] is False
    assert story.record(only)["active"] is False
    story.settled(only)
    assert story.chain.included(reply["tx_hash"])["code"] == 0


def test_no_runtime_is_left(story: Story, only: str) -> None:
    story.forget(only)
    body = story.gateway.get("/v1/status").good()
    assert (body["mode"], body["runtimes"], body["devshards"]) == ("gateway", 0, [])
    assert story.records() == {}
