# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""gateway.md §1.0–§1.5, §1.7–§1.9: routes, keys and errors of a gateway without escrows."""

from __future__ import annotations

import json
import re
import secrets

import pytest

from ansible_collections.gonka.devshard.tests.contract._client import (
    is_plain_error,
    is_text_error,
    is_unauthorized,
    is_unknown,
    is_wrong_method,
    until,
)
from ansible_collections.gonka.devshard.tests.contract._recordings import NO_ESCROW
from ansible_collections.gonka.devshard.tests.contract._story import KEY_ENV, Json, Story

GUARDED = (
    "/v1/admin/state",
    "/v1/admin/settings",
    "/v1/admin/devshards",
    "/v1/admin/devshards/1/settle",
    "/v1/admin/escrows",
    "/v1/admin/no-such-route",
    "/v1/debug/rotation",
    "/v1/debug/no-such-route",
    "/v1/finalize",
    "/v1/state",
    "/devshard/1/v1/finalize",
    "/devshard/1/v1/state",
    "/devshard/1/v1/debug/pending",
)
SINGLE_ONLY = (
    "/v1/finalize",
    "/v1/state",
    "/v1/debug/pending",
    "/v1/debug/state",
    "/v1/debug/perf",
    "/v1/debug/pairwise",
    "/v1/debug/signatures",
    "/v1/debug/signatures/collect",
    "/v1/debug/sync-hosts",
)
# gauges of gateway.md §1.12 that exist without escrows and without requests
GAUGES = (
    "devshard_gateway_inflight_requests",
    "devshard_gateway_inflight_input_tokens",
    "devshard_gateway_effective_max_concurrent_requests",
    "devshard_gateway_effective_max_input_tokens_in_flight",
    "devshard_gateway_capacity_scale",
    "devshard_gateway_capacity_total_weight",
    "devshard_gateway_capacity_baseline_weight",
    "devshard_gateway_participants_exhausted",
    "devshard_gateway_participants_tracked",
)
CHAT = "/v1/chat/completions"
MIB = 1024 * 1024


# routes


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("path", GUARDED)
@pytest.mark.parametrize("auth", [None, "client", "wrong"])
def test_guarded_paths(story: Story, method: str, path: str, auth: str | None) -> None:
    """Whatever the method, and whether or not the route exists."""
    is_unauthorized(story.gateway.ask(method, path, auth=auth))


@pytest.mark.parametrize("value", ["bearer {}", "Bearer  {}", "{}", "Basic {}", "Bearer {}x"])
def test_key_is_compared_byte_for_byte(story: Story, value: str) -> None:
    headers = {"Authorization": value.format(story.target.admin_key)}
    is_unauthorized(story.gateway.ask("GET", "/v1/admin/state", headers=headers))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/admin/state"),
        ("PUT", "/v1/admin/settings"),
        ("DELETE", "/v1/admin/settings"),
        ("PUT", "/v1/admin/devshards"),
        ("GET", "/v1/admin/escrows"),
        ("GET", "/v1/admin/participants/unquarantine"),
        ("POST", "/v1/debug/rotation"),
    ],
)
def test_wrong_method(story: Story, method: str, path: str) -> None:
    is_wrong_method(story.gateway.ask(method, path, auth="admin"))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/admin/devshards/1"),
        ("POST", "/v1/admin/devshards/1"),
        ("GET", "/v1/admin/devshards/import"),
        ("GET", "/v1/admin/devshards/1/deactivate"),
        ("GET", "/v1/admin/devshards/1/settle"),
        ("POST", "/v1/admin/devshards/1/participants"),
        ("GET", "/v1/admin/devshards/1/activate"),
        ("GET", "/v1/admin/no-such-route"),
    ],
)
def test_wrong_method_of_a_devshard_is_unknown(story: Story, method: str, path: str) -> None:
    is_unknown(story.gateway.ask(method, path, auth="admin"))


@pytest.mark.parametrize("path", ["/", "/openapi.json", "/v1/nothing", "/v2/status", "/devshard/1"])
def test_unknown_paths(story: Story, path: str) -> None:
    is_unknown(story.gateway.get(path))


@pytest.mark.parametrize("path", SINGLE_ONLY)
def test_routes_of_a_single_runtime(story: Story, path: str) -> None:
    method = "POST" if path.endswith(("finalize", "collect", "sync-hosts")) else "GET"
    is_text_error(
        story.gateway.ask(method, path, auth="admin"),
        400,
        "use /devshard/{id} prefix for this endpoint when multiple devshards are configured",
    )


def test_unknown_devshard(story: Story) -> None:
    answer = story.gateway.get(f"/devshard/{NO_ESCROW}/v1/status")
    is_text_error(answer, 404, f"unknown devshard {NO_ESCROW}")


def test_double_slash_is_redirected(story: Story) -> None:
    """301 or 307 by the version of Go; before it, the path is no admin path: no 401."""
    answer = story.gateway.ask("POST", "/devshard//v1/finalize")
    assert answer.status in (301, 307), answer
    assert answer.headers["Location"] == "/devshard/v1/finalize", answer
    assert answer.body == b"", answer


# status, models, metrics


def test_status(story: Story) -> None:
    body = until(lambda: _with_models(story), "the status knows the chain's models")
    assert (body["mode"], body["runtimes"], body["devshards"]) == ("gateway", 0, [])
    assert body["capacity"]["escrow_weights"] == {}
    assert body["capacity"]["host_count"] == 0
    model = body["capacity"]["models"][story.target.model]
    assert model["access_mode"] == "admin_only"
    assert model["access_enabled"] is True
    assert model["routable"] is False
    assert (model["total_weight"], model["scale_factor"], model["lost_percent"]) == (0, 0, 100)
    assert body["limiter"]["in_flight_requests"] == 0


def _with_models(story: Story) -> Json | None:
    body: Json = story.gateway.get("/v1/status").good()
    return body if body["capacity"].get("models") else None


def test_status_by_any_method(story: Story) -> None:
    assert story.gateway.ask("POST", "/v1/status").good()["runtimes"] == 0
    head = story.gateway.ask("HEAD", "/v1/status")
    assert (head.status, head.body) == (200, b"")


def test_bodies_are_indented(story: Story) -> None:
    """Two blanks, a newline at the end, keys of maps in order of the alphabet."""
    answer = story.gateway.get("/v1/status")
    assert answer.text == json.dumps(answer.json, indent=2, ensure_ascii=False) + "\n"
    assert list(answer.json) == sorted(
        ["capacity", "devshards", "limiter", "mode", "runtimes", *story.profile.nothing_loaded]
    )


def test_models_name_the_default(story: Story) -> None:
    body = story.gateway.get("/v1/models").good()
    assert body["object"] == "list"
    (model,) = body["data"]
    cap = story.settings()["request_max_tokens_cap"]
    assert (model["id"], model["object"], model["owned_by"]) == (
        story.target.model,
        "model",
        "gonka",
    )
    assert model["context_length"] == model["max_completion_tokens"] == cap
    assert model["pricing"] == {"prompt": "0", "completion": "0", "request": "0"}


def test_models_by_other_methods(story: Story) -> None:
    head = story.gateway.ask("HEAD", "/v1/models")
    assert (head.status, head.body) == (200, b"")
    answer = story.gateway.ask("POST", "/v1/models")
    is_text_error(answer, 405)
    assert answer.headers["Allow"] == "GET, HEAD"


def test_metrics(story: Story) -> None:
    story.gateway.get("/v1/status").good()
    answer = story.gateway.get("/metrics")
    assert answer.status == 200, answer
    assert answer.kind.startswith("text/plain; version=0.0.4; charset=utf-8"), answer
    for name in GAUGES:
        assert f"# TYPE {name} gauge\n" in answer.text, name
        assert re.search(rf"^{name} [-+.e\d]+$", answer.text, re.MULTILINE), name
    assert re.search(
        r'^devshard_http_requests_total\{method="GET",path="/v1/status",status="200"\} \d+$',
        answer.text,
        re.MULTILINE,
    )


# chat: what is refused before a runtime is looked for


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'{"model":', "parse request: unexpected EOF"),
        (b'{"model": "m"}', "messages is required"),
        (b'{"model": "m", "messages": []}', None),
        (b"[]", None),
        (b"", None),
        (b'{"model": 1, "messages": [{"role": "user", "content": "x"}]}', None),
        (b'{"messages": "x"}', None),
    ],
)
def test_chat_body_is_checked_first(story: Story, raw: bytes, message: str | None) -> None:
    is_text_error(story.gateway.ask("POST", CHAT, raw=raw), 400, message)


def test_chat_by_get_has_no_body(story: Story) -> None:
    is_text_error(story.gateway.get(CHAT), 400)


def test_chat_with_an_unknown_parameter(story: Story) -> None:
    body = {"messages": [{"role": "user", "content": "x"}], "no_such_parameter": 1}
    answer = story.gateway.post(CHAT, body, auth=None)
    is_text_error(answer, 400)
    assert '"no_such_parameter" is currently rejected by the Gonka network' in answer.message


def test_chat_body_too_large(story: Story) -> None:
    raw = b'{"messages": [{"role": "user", "content": "' + b"x" * 10 * MIB + b'"}]}'
    is_text_error(story.gateway.ask("POST", CHAT, raw=raw), 413, "request body too large")


@pytest.mark.parametrize("auth", [None, "client", "wrong"])
def test_chat_without_an_entry_is_for_the_admin(story: Story, auth: str | None) -> None:
    """Also with a valid key: those count only for models in the mode api_key."""
    message = f'model "{story.target.model}" requires an admin API key'
    is_text_error(story.chat(auth=auth), 401, message)


def test_chat_without_a_runtime(story: Story) -> None:
    """The admin passes; then the limiter's scale of zero or the picker says no."""
    answer = story.chat(auth="admin")
    assert answer.status in (429, 502), answer
    is_text_error(answer, answer.status)
    assert "Retry-After" not in answer.headers
    if answer.status == 502:
        assert answer.message.startswith("no devshard runtimes available for new inferences")


# create: failures that cost nothing


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "amount is required"),
        ({"amount": 0}, "amount is required"),
        (
            {"amount": "5000000000"},
            (
                "json: cannot unmarshal string into Go struct field"
                " adminCreateEscrowRequest.amount of type uint64"
            ),
        ),
        (
            {"amount": 5_000_000_000, "private_key": "0xabc"},
            "parse hex key: invalid hex data for private key",
        ),
        (
            {"amount": 5_000_000_000, "private_key_env": "NO_SUCH_VARIABLE_HERE"},
            "private_key or private_key_env is required",
        ),
    ],
)
def test_create_refuses_at_once(story: Story, body: Json, message: str) -> None:
    before = story.chain.balance(story.creator)
    is_text_error(story.gateway.post("/v1/admin/escrows", body), 400, message)
    assert story.chain.balance(story.creator) == before


@pytest.mark.parametrize("amount", [-1, 1.5, True])
def test_create_wants_a_whole_amount(story: Story, amount: object) -> None:
    answer = story.gateway.post("/v1/admin/escrows", {"amount": amount})
    is_text_error(answer, 400)
    assert "into Go struct field adminCreateEscrowRequest.amount of type uint64" in answer.message


@pytest.mark.parametrize(("raw", "message"), [(b"", "EOF"), (b"{", "unexpected EOF")])
def test_create_without_json(story: Story, raw: bytes, message: str) -> None:
    answer = story.gateway.ask("POST", "/v1/admin/escrows", auth="admin", raw=raw)
    is_text_error(answer, 400, message)


def test_create_with_an_account_that_does_not_exist(story: Story) -> None:
    body = {"amount": story.target.amount, "private_key": secrets.token_hex(32)}
    answer = story.gateway.post("/v1/admin/escrows", body)
    is_text_error(answer, 502)
    pattern = r"fetch account (gonka1[0-9a-z]{38}): " + story.profile.no_account.format(r"\1")
    assert re.fullmatch(pattern, answer.message, re.DOTALL), answer


def test_create_for_another_chain(story: Story) -> None:
    """Refused when it is checked: no fee, no deposit."""
    before = story.chain.balance(story.creator)
    body = {"amount": story.target.amount, "chain_id": "another-chain-1"}
    answer = story.gateway.post("/v1/admin/escrows", body)
    is_text_error(answer, 502)
    start = "broadcast tx failed code=4 codespace=sdk raw_log=signature verification failed"
    assert answer.message.startswith(start), answer
    assert story.chain.balance(story.creator) == before


# devshards that do not exist


def test_activate(story: Story) -> None:
    """Unknown to v2; from v3 on it wants a record (generations.md §3)."""
    answer = story.gateway.post(f"/v1/admin/devshards/{NO_ESCROW}/activate")
    if story.profile.activates:
        is_text_error(answer, 404, f"devshard {NO_ESCROW} not found")
    else:
        is_unknown(answer)


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("POST", "/v1/admin/devshards/{}/deactivate", 404, "devshard {} is not active"),
        ("POST", "/v1/admin/devshards/{}/settle", 404, "devshard {} is not active"),
        ("DELETE", "/v1/admin/devshards/{}", 404, "devshard {} not found"),
        ("GET", "/v1/admin/devshards/{}/participants", 404, "devshard {} not found"),
    ],
)
def test_missing_devshard(story: Story, method: str, path: str, status: int, message: str) -> None:
    answer = story.gateway.ask(method, path.format(NO_ESCROW), auth="admin")
    is_text_error(answer, status, message.format(NO_ESCROW))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "id is required"),
        ({"private_key_env": KEY_ENV}, "id is required"),
        ({"id": NO_ESCROW}, "private_key or private_key_env is required for a new devshard"),
        (
            {"id": NO_ESCROW, "private_key_env": "NO_SUCH_VARIABLE_HERE"},
            f"runtime {NO_ESCROW}: private key missing",
        ),
    ],
)
def test_add_refuses(story: Story, body: Json, message: str) -> None:
    is_text_error(story.gateway.post("/v1/admin/devshards", body), 400, message)
    assert story.records() == {}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"storage_path": "/tmp/x", "private_key_env": KEY_ENV}, "id is required"),
        ({"id": NO_ESCROW, "private_key_env": KEY_ENV}, None),
        (
            {"id": NO_ESCROW, "storage_path": "/tmp/x"},
            "private_key or private_key_env is required for import",
        ),
    ],
)
def test_import_refuses(story: Story, body: Json, message: str | None) -> None:
    answer = story.gateway.post("/v1/admin/devshards/import", body)
    is_text_error(answer, 400, message or story.profile.no_path)
    assert story.records() == {}


def test_unquarantine(story: Story) -> None:
    path = "/v1/admin/participants/unquarantine"
    is_text_error(story.gateway.post(path, {}), 400, "participant_key is required")
    body = {"participant_key": story.creator}
    assert story.gateway.post(path, body).good() == {
        "cleared": False,
        "participant_key": story.creator,
    }


# the admin's views


def test_devshards_are_the_state(story: Story) -> None:
    state = story.gateway.get("/v1/admin/state", "admin").good()
    keys = ["capacity", "devshards", "limiter", "settings", *story.profile.state_keys]
    assert list(state) == keys
    assert state["devshards"] == []
    assert list(story.gateway.get("/v1/admin/devshards", "admin").good()) == list(state)


def test_rotation_that_is_off(story: Story) -> None:
    body = story.gateway.get("/v1/debug/rotation", "admin").good()
    assert list(body) == ["chain", "latest", "settings"]
    # null, but for what earlier runs of these tests left
    assert body["latest"] is None or body["latest"]
    # null until somebody has set an empty list
    assert not body["settings"]["models"]
    assert body["settings"]["enabled"] is False
    chain = until(lambda: _chain(story), "a poll of the chain")
    assert chain["phase"] == "Inference"
    assert chain["epoch_index"] > 0
    assert chain["epoch_switch_block_height"] >= chain["block_height"] > 0
    left = chain["epoch_switch_block_height"] - chain["block_height"]
    assert chain["blocks_to_epoch_switch"] == left
    before = story.settings()["escrow_rotation"]["pre_poc_blocks"]
    assert chain["blocks_until_next_rotation"] == max(0, left - before)


def _chain(story: Story) -> Json | None:
    chain: Json = story.gateway.get("/v1/debug/rotation", "admin").good()["chain"]
    return chain if chain["block_height"] else None


def test_error_of_a_text_handler_is_json_labelled_as_text(story: Story) -> None:
    answer = story.gateway.get(f"/devshard/{NO_ESCROW}/v1/models")
    assert answer.text == f'{{"error":{{"message":"unknown devshard {NO_ESCROW}"}}}}\n'


def test_plain_errors_have_a_newline(story: Story) -> None:
    is_plain_error(story.gateway.get("/v1/nothing"), 404, "404 page not found")
