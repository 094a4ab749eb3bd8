# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Settings: merge, validation, what is kept, and what the environment still decides."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from simnet.gateway.environment import FatalError, bootstrap, read_environment, storage_dir
from simnet.gateway.settings import canonical_access
from simnet.gateway.testing import KIMI, QWEN, Setup, play

MODEL = {"model_id": QWEN, "temp_count": 1, "target_count": 1, "amount": 1, "private_key_env": "X"}


def test_merge_and_replace(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        first = {"model_id": QWEN, "access_mode": "API-Key", "access_message": "ask us"}
        second = {"model_id": KIMI, "access_mode": "public", "max_concurrent_requests": 3}
        after = await client.settings(
            model_limits=[first, {"model_id": ""}, {"model": QWEN}, second, second],
            redundancy={"receipt_timeout_ms": 100},
            perf=None,
            nonsense={"x": 1},
            Tx_Gas_Limit=1_000_000,
        )
        assert after["model_limits"] == [
            {
                "model_id": QWEN,
                "max_concurrent_requests": 0,
                "max_input_tokens_in_flight": 0,
                "access_mode": "api_key",
                "access_message": "ask us",
            },
            {
                "model_id": KIMI,
                "max_concurrent_requests": 3,
                "max_input_tokens_in_flight": 0,
                "access_mode": "open",
            },
        ]
        assert after["redundancy"]["receipt_timeout_ms"] == 100
        assert after["redundancy"]["speed_policy"] == "hybrid"
        assert after["tx_gas_limit"] == 1_000_000
        assert await client.good("GET", "/v1/admin/settings") == after
        assert (await client.good("GET", "/v1/admin/state"))["settings"] == after
        after = await client.settings(model_limits=[{"model_id": QWEN}])
        assert [entry["model_id"] for entry in after["model_limits"]] == [QWEN]
        assert "access_mode" not in after["model_limits"][0]
        assert "model_limits" not in await client.settings(model_limits=[])

    play(tmp_path, scenario)


def test_rotation_models_are_replaced_and_the_rest_of_it_merged(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        await client.settings(escrow_rotation={"enabled": True, "models": [MODEL]})
        other = {**MODEL, "model_id": KIMI}
        after = await client.settings(escrow_rotation={"models": [other]})
        assert after["escrow_rotation"] == {
            "enabled": True,
            "settlement_enabled": False,
            "pre_poc_blocks": 300,
            "models": [other],
        }

    play(tmp_path, scenario)


def test_what_post_does_not_know_or_cannot_empty(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        after = await client.settings(
            participant_throttle={"eof_transport_failure_threshold": 9, "request_burst": 7},
            disabled={"message": ""},
            escrow_rotation={"pre_poc_blocks": 0},
            max_concurrent_requests_per_10000_weight=0,
        )
        assert after["participant_throttle"]["eof_transport_failure_threshold"] == 3
        assert after["participant_throttle"]["request_burst"] == 7
        assert after["disabled"]["message"] == "please use ... base url"
        assert after["escrow_rotation"]["pre_poc_blocks"] == 0
        assert after["max_concurrent_requests_per_10000_weight"] == 0
        kept = await client.good("GET", "/v1/admin/settings")
        assert kept["escrow_rotation"]["pre_poc_blocks"] == 300
        assert kept["max_concurrent_requests_per_10000_weight"] == 5

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({"default_request_max_tokens": 0}, "default_request_max_tokens must be > 0"),
        ({"request_max_tokens_cap": 0}, "request_max_tokens_cap must be > 0"),
        (
            {"default_request_max_tokens": 9999},
            "default_request_max_tokens must be <= request_max_tokens_cap",
        ),
        ({"perf": {"window_ms": 0}}, "perf.window_ms must be > 0"),
        (
            {"participant_throttle": {"request_burst": -1}},
            "participant_throttle.request_burst must be > 0",
        ),
        (
            {"redundancy": {"speed_policy": "warp"}},
            "redundancy.speed_policy must be legacy, hybrid, or pairwise",
        ),
        (
            {"redundancy": {"parallel_advantage_threshold": 1}},
            "redundancy.parallel_advantage_threshold must be > 0 and < 1",
        ),
        (
            {"model_limits": [{"model_id": "m", "max_concurrent_requests": -1}]},
            "model_limits.max_concurrent_requests must be >= 0",
        ),
        (
            {"model_limits": [{"model_id": "m", "default_request_max_tokens": 5000}]},
            (
                "model_limits.default_request_max_tokens must be <= request_max_tokens_cap "
                'for model_id "m"'
            ),
        ),
        (
            {"escrow_rotation": {"enabled": True, "models": [MODEL, MODEL]}},
            f'escrow_rotation.models contains duplicate model_id "{QWEN}"',
        ),
        (
            {"escrow_rotation": {"enabled": True, "models": [{**MODEL, "private_key_env": ""}]}},
            "escrow_rotation.private_key_env is required when rotation is enabled",
        ),
        (
            {"model_limits": [{"model_id": 5}]},
            (
                "json: cannot unmarshal number into Go struct field "
                "adminSettingsRequest.model_limits.model_id of type string"
            ),
        ),
    ],
)
def test_refused(tmp_path: Path, patch: dict[str, object], message: str) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        before = await client.good("GET", "/v1/admin/settings")
        reply = await client.admin("POST", "/v1/admin/settings", patch)
        assert (reply.status, reply.message) == (400, message)
        assert await client.good("GET", "/v1/admin/settings") == before

    play(tmp_path, scenario)


def test_a_bad_value_from_the_first_start_blocks_every_post(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway(GATEWAY_DEFAULT_MAX_TOKENS="10000")
        for patch in ({}, {"tx_gas_limit": 1}):
            reply = await client.admin("POST", "/v1/admin/settings", patch)
            assert reply.status == 400
            assert "must be <= request_max_tokens_cap" in reply.message
        assert (await client.settings(request_max_tokens_cap=10_000, tx_gas_limit=1))[
            "tx_gas_limit"
        ]

    play(tmp_path, scenario)


def test_the_chain_part_is_blank_after_every_post(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        await client.create()
        assert (await client.status_of("1"))["chain_phase"] == "Inference"
        await client.settings()
        assert "chain_phase" not in await client.status_of("1")
        rotation = await client.good("GET", "/v1/debug/rotation")
        assert rotation["chain"]["block_height"] == 0
        assert rotation["chain"]["phase"] == ""
        assert rotation["latest"] is None
        assert rotation["settings"]["models"] is None
        capacity = (await client.good("GET", "/v1/admin/state"))["capacity"]
        assert capacity["total_weight"] > 0, "weights stay known"
        await client.poc_known()
        assert (await client.status_of("1"))["chain_phase"] == "Inference"

    play(tmp_path, scenario)


def test_the_environment_counts_once(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway(GATEWAY_MAX_TOKENS_CAP="5000", DEVSHARD_TX_GAS_LIMIT="7")
        client = await setup.restart(
            client,
            GATEWAY_MAX_TOKENS_CAP="6000",
            DEVSHARD_TX_GAS_LIMIT="8",
            DEVSHARD_GATEWAY_DISABLED="true",
            DEVSHARD_MODEL="other/model",
            DEVSHARDS_JSON='[{"id":"1","private_key_env":"DEVSHARD_PRIVATE_KEY"}]',
        )
        kept = await client.good("GET", "/v1/admin/settings")
        assert (kept["request_max_tokens_cap"], kept["tx_gas_limit"]) == (5000, 7)
        assert kept["disabled"]["enabled"] is False
        assert kept["default_model"] == QWEN
        assert await client.state() == {}
        await client.settings(chain_rest="", public_api="")
        client = await setup.restart(client)
        kept = await client.good("GET", "/v1/admin/settings")
        assert kept["chain_rest"] == setup.network.urls["chain_rest"]
        # The admin key is read at each start.
        client = await setup.restart(client, DEVSHARD_ADMIN_API_KEY="another")
        assert (await client.admin("GET", "/v1/admin/state")).status == 401

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({}, "--private-key flag or DEVSHARD_PRIVATE_KEY env var required"),
        ({"DEVSHARD_PRIVATE_KEY": "k"}, "--escrow-id flag or DEVSHARD_ESCROW_ID env var required"),
        (
            {"DEVSHARDS_JSON": "'[]'"},
            'parse DEVSHARDS_JSON: invalid character "\'" looking for beginning of value',
        ),
        (
            {"DEVSHARDS_JSON": "[]", "DEVSHARD_ESCROW_ROTATION_MODELS_JSON": "{"},
            "parse DEVSHARD_ESCROW_ROTATION_MODELS_JSON: unexpected EOF",
        ),
    ],
)
def test_first_starts_that_fail(variables: dict[str, str], text: str) -> None:
    with pytest.raises(FatalError) as caught:
        bootstrap(read_environment(variables))
    assert str(caught.value) == text


def test_first_start_from_the_environment() -> None:
    variables = {
        "DEVSHARDS_JSON": '[{"id":"7","private_key":"aa","model":"m"},{"id":"8"}]',
        "DEVSHARD_STORAGE_DIR": "/s",
        "DEVSHARD_ESCROW_ROTATION_ENABLED": "yes",
        "DEVSHARD_ESCROW_ROTATION_MODELS_JSON": json.dumps([MODEL]),
        "GATEWAY_MAX_CONCURRENT_REQUESTS": "'9'",
        "DEVSHARD_GATEWAY_DISABLED": "maybe",
    }
    first = bootstrap(read_environment(variables))
    assert first.devshards == [
        {"id": "7", "private_key": "aa", "model": "m", "storage_path": "/s/escrow-7"},
        {"id": "8", "model": QWEN, "storage_path": "/s/escrow-8"},
    ]
    assert first.settings["escrow_rotation"]["models"] == [MODEL]
    assert first.settings["escrow_rotation"]["enabled"] is True
    assert first.settings["max_concurrent_requests"] == 512, "a quoted number is none"
    assert first.settings["disabled"]["enabled"] is False


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"DEVSHARD_STORAGE_DIR": "/a", "DEVSHARD_STORAGE_PATH": "/b"}, "/a"),
        ({"DEVSHARD_STORAGE_PATH": "/b/state.db"}, "/b"),
        ({"HOME": "/h"}, "/h/.cache/gonka"),
        ({}, "/tmp/.cache/gonka"),
    ],
)
def test_storage_dir(variables: dict[str, str], expected: str) -> None:
    assert storage_dir(variables) == Path(expected)


def test_access_synonyms() -> None:
    for text in ("open", "Public", "none"):
        assert canonical_access(text) == "open"
    for text in ("api_key", "ApiKey", "api-keys", "API", "key", "api key"):
        assert canonical_access(text) == "api_key"
    for text in ("admin", "admin-only", "Admin Key"):
        assert canonical_access(text) == "admin_only"
