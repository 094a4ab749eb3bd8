# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""gateway.md §1.3, §1.6, §5.6: what the settings API merges, refuses and answers."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.gonka.devshard.tests.contract._client import (
    is_retired,
    is_text_error,
    is_unauthorized,
    is_unknown,
    until,
)
from ansible_collections.gonka.devshard.tests.contract._recordings import one
from ansible_collections.gonka.devshard.tests.contract._shape import differences
from ansible_collections.gonka.devshard.tests.contract._story import KEY_ENV, Json, Story

SETTINGS = "/v1/admin/settings"
DEFAULT_MESSAGE = "please use ... base url"
ROTATION_MODEL: Json = {
    "model_id": "a/model",
    "temp_count": 1,
    "target_count": 1,
    "amount": 5_000_000_000,
    "private_key_env": KEY_ENV,
}


def same(story: Story, before: Json) -> None:
    assert story.settings() == before
    stored = {key: value for key, value in before.items() if key not in story.profile.told}
    assert story.gateway.get("/v1/admin/state", "admin").good()["settings"] == stored


# reading


def test_fields(story: Story) -> None:
    recorded = one("gateway-0-runtimes", "settings_get").response["json"]
    found = story.settings()
    assert not differences([recorded], found, story.profile.rules)
    same(story, found)


def test_no_secret_is_shown(story: Story) -> None:
    text = story.gateway.get(SETTINGS, "admin").text
    for secret in (story.target.admin_key, story.target.api_key, story.target.creator_key):
        assert secret not in text


# refused, and then nothing has changed


def rotation(**model: t.Any) -> Json:
    return {"escrow_rotation": {"enabled": True, "models": [{**ROTATION_MODEL, **model}]}}


REFUSED: list[tuple[Json, str]] = [
    ({"default_request_max_tokens": 0}, "default_request_max_tokens must be > 0"),
    ({"request_max_tokens_cap": 0}, "request_max_tokens_cap must be > 0"),
    (
        {"default_request_max_tokens": 5000, "request_max_tokens_cap": 4999},
        "default_request_max_tokens must be <= request_max_tokens_cap",
    ),
    (
        {"model_limits": [{"model_id": "a/model", "access_mode": "bogus"}]},
        'model_limits.access_mode must be open, api_key, or admin_only for model_id "a/model"',
    ),
    (
        {
            "model_limits": [
                {
                    "model_id": "a/model",
                    "default_request_max_tokens": 5000,
                    "request_max_tokens_cap": 4999,
                }
            ]
        },
        (
            "model_limits.default_request_max_tokens must be <= request_max_tokens_cap"
            ' for model_id "a/model"'
        ),
    ),
    # §5.6
    (
        {"escrow_rotation": {"enabled": True, "models": []}},
        "escrow_rotation.models must contain at least one model when rotation is enabled",
    ),
    (
        {"escrow_rotation": {"enabled": True, "pre_poc_blocks": 0, "models": [ROTATION_MODEL]}},
        "escrow_rotation.pre_poc_blocks must be > 0",
    ),
    (
        rotation(model_id=""),
        "escrow_rotation.models.model_id is required when rotation is enabled",
    ),
    (rotation(temp_count=0), "escrow_rotation.temp_count must be > 0"),
    (rotation(target_count=0), "escrow_rotation.target_count must be > 0"),
    (rotation(amount=0), "escrow_rotation.amount must be > 0 when rotation is enabled"),
    (
        rotation(private_key_env=""),
        "escrow_rotation.private_key_env is required when rotation is enabled",
    ),
    (
        {"escrow_rotation": {"enabled": True, "models": [ROTATION_MODEL, ROTATION_MODEL]}},
        'escrow_rotation.models contains duplicate model_id "a/model"',
    ),
]


@pytest.mark.parametrize(("patch", "message"), REFUSED, ids=[text for _unused, text in REFUSED])
def test_refused_with_its_reason(story: Story, patch: Json, message: str) -> None:
    before = story.settings()
    is_text_error(story.gateway.post(SETTINGS, patch), 400, message)
    same(story, before)


OUT_OF_BOUNDS: list[tuple[Json, str]] = [
    ({"max_concurrent_requests_per_10000_weight": -1}, ">= 0"),
    ({"poc_max_concurrent_requests_per_10000_weight": -1}, ">= 0"),
    *[
        ({"participant_throttle": {name: 0}}, "> 0")
        for name in (
            "request_burst",
            "recovery_per_minute",
            "http_quarantine_ms",
            "transport_failure_quarantine_ms",
            "empty_stream_quarantine_ms",
            "stalled_winner_quarantine_ms",
            "empty_stream_threshold",
        )
    ],
    ({"perf": {"sample_size": 0}}, "> 0"),
    ({"perf": {"window_ms": 0}}, "> 0"),
    ({"redundancy": {"speed_policy": "fastest"}}, "speed_policy"),
    ({"redundancy": {"parallel_advantage_threshold": 2}}, "parallel_advantage_threshold"),
    (
        {"redundancy": {"non_stream_max_attempt_wait_ms": 1}},
        "non_stream_no_content_timeout_ms",
    ),
    ({"model_limits": [{"model_id": "a/model", "max_concurrent_requests": -1}]}, ">= 0"),
    ({"model_limits": [{"model_id": "a/model", "max_input_tokens_in_flight": -1}]}, ">= 0"),
]


@pytest.mark.parametrize(
    ("patch", "part"), OUT_OF_BOUNDS, ids=[str(p) for p, _unused in OUT_OF_BOUNDS]
)
def test_out_of_bounds(story: Story, patch: Json, part: str) -> None:
    """The contract names the bound, not the words around it."""
    before = story.settings()
    unknown = set(patch.get("redundancy", {})) - set(before["redundancy"])
    if unknown:
        pytest.skip(f"this generation does not have {', '.join(unknown)}")
    answer = story.gateway.post(SETTINGS, patch)
    is_text_error(answer, 400)
    assert part in answer.message, answer
    same(story, before)


@pytest.mark.parametrize(
    ("patch", "kinds"),
    [
        ({"default_model": 1}, "number into Go struct field"),
        ({"request_max_tokens_cap": "4096"}, "string into Go struct field"),
        ({"model_limits": "x"}, "string into Go struct field"),
        ({"disabled": {"enabled": "yes"}}, "string into Go struct field"),
    ],
)
def test_wrong_type(story: Story, patch: Json, kinds: str) -> None:
    before = story.settings()
    answer = story.gateway.post(SETTINGS, patch)
    is_text_error(answer, 400)
    assert answer.message.startswith(f"json: cannot unmarshal {kinds}"), answer
    same(story, before)


@pytest.mark.parametrize(("raw", "message"), [(b"", "EOF"), (b'{"a"', "unexpected EOF")])
def test_no_json(story: Story, raw: bytes, message: str) -> None:
    answer = story.gateway.ask("POST", SETTINGS, auth="admin", raw=raw)
    is_text_error(answer, 400, message)


# accepted


@pytest.mark.parametrize(
    "raw",
    [
        b"{}",
        b'{"no_such_field": {"x": 1}}',
        b'{"default_model": null, "model_limits": null, "perf": null}',
        b"{} and what follows the first value",
    ],
)
def test_nothing_to_merge(story: Story, raw: bytes) -> None:
    before = story.settings()
    assert story.gateway.ask("POST", SETTINGS, auth="admin", raw=raw).good() == before
    same(story, before)


def test_scalars_are_replaced_one_by_one(story: Story) -> None:
    before = story.settings()
    patch = {"default_request_max_tokens": 100, "max_concurrent_requests": -1, "tx_gas_limit": 7}
    with story.changed_settings(**patch) as answered:
        assert answered == {**before, **patch}
        same(story, answered)
    same(story, before)


def test_names_match_in_any_case(story: Story) -> None:
    cap = story.settings()["request_max_tokens_cap"]
    with story.changed_settings(request_max_tokens_cap=cap):
        raw = f'{{"Request_MAX_tokens_cap": {cap + 1}}}'.encode()
        answered = story.gateway.ask("POST", SETTINGS, auth="admin", raw=raw).good()
        assert answered["request_max_tokens_cap"] == cap + 1


def test_model_limits_are_replaced_whole(story: Story) -> None:
    first = {
        "model_id": "a/one",
        "access_mode": "open",
        "access_message": "come in",
        "max_concurrent_requests": 3,
        "max_input_tokens_in_flight": 4,
        "default_request_max_tokens": 5,
        "request_max_tokens_cap": 6,
    }
    with story.changed_settings(model_limits=[first]) as answered:
        assert answered["model_limits"] == [first]
        limits = story.post_settings(model_limits=[{"model_id": "a/one"}])["model_limits"]
        # nothing is merged inside an entry; the two maxima are always printed
        assert limits == [
            {"model_id": "a/one", "max_concurrent_requests": 0, "max_input_tokens_in_flight": 0}
        ]
        assert "model_limits" not in story.post_settings(model_limits=[])


def test_model_limits_are_normalised(story: Story) -> None:
    entries = [
        {"model_id": "a/one", "access_mode": "open"},
        {"model_id": "", "access_mode": "open"},
        {"model": "a/two", "access_mode": "open"},
        {"model_id": "a/one", "access_mode": "admin"},
    ]
    with story.changed_settings(model_limits=entries) as answered:
        found = [(item["model_id"], item["access_mode"]) for item in answered["model_limits"]]
        assert found == [("a/one", "admin_only")]


SYNONYMS = {
    "open": ("open", "public", "none", "PUBLIC"),
    "api_key": ("api_key", "apikey", "api_keys", "api", "key", "API-Key", "Api Key"),
    "admin_only": ("admin", "admin_only", "admin_key", "Admin-Only"),
}


def test_access_modes_are_spelled_in_one_way(story: Story) -> None:
    wanted = {f"m/{word}": mode for mode, words in SYNONYMS.items() for word in words}
    entries = [{"model_id": name, "access_mode": name[2:]} for name in wanted]
    with story.changed_settings(model_limits=entries) as answered:
        found = {item["model_id"]: item["access_mode"] for item in answered["model_limits"]}
        assert found == wanted


@pytest.mark.parametrize(
    ("group", "field", "value"),
    [
        ("participant_throttle", "request_burst", 601),
        ("redundancy", "pairwise_winner_hold_ms", 501),
        ("redundancy", "speed_policy", "legacy"),
        ("perf", "sample_size", 255),
        ("escrow_rotation", "settlement_enabled", True),
    ],
)
def test_groups_are_merged_by_field(story: Story, group: str, field: str, value: object) -> None:
    before = story.settings()
    with story.changed_settings(**{group: {field: value}}) as answered:
        assert answered == {**before, group: {**before[group], field: value}}
    same(story, before)


def test_one_throttle_cannot_be_posted(story: Story) -> None:
    before = story.settings()
    patch = {"participant_throttle": {"eof_transport_failure_threshold": 99}}
    assert story.post_settings(**patch) == before


def test_rotation_models_are_replaced_whole(story: Story) -> None:
    """While rotation is off nothing of them is validated."""
    other = {**ROTATION_MODEL, "model_id": "a/other", "amount": 0}
    try:
        first = story.post_settings(escrow_rotation={"models": [ROTATION_MODEL, other]})
        assert first["escrow_rotation"]["models"] == [ROTATION_MODEL, other]
        second = story.post_settings(escrow_rotation={"models": [other]})
        assert second["escrow_rotation"]["models"] == [other]
        assert second["escrow_rotation"]["enabled"] is False
    finally:
        assert (
            "models" not in story.post_settings(escrow_rotation={"models": []})["escrow_rotation"]
        )


def test_no_blocks_before_poc_are_stored_as_the_default(story: Story) -> None:
    before = story.settings()["escrow_rotation"]["pre_poc_blocks"]
    try:
        answered = story.post_settings(escrow_rotation={"pre_poc_blocks": 0})
        assert answered["escrow_rotation"]["pre_poc_blocks"] == 0
        state = story.gateway.get("/v1/admin/state", "admin").good()["settings"]
        assert state["escrow_rotation"]["pre_poc_blocks"] == 300
    finally:
        story.post_settings(escrow_rotation={"pre_poc_blocks": before})


def test_chain_is_polled_again_after_a_post(story: Story) -> None:
    """Blank at first, as recorded in rot_get0."""
    story.post_settings()

    def phase() -> str:
        chain = story.gateway.get("/v1/debug/rotation", "admin").good()["chain"]
        return str(chain["phase"])

    assert until(phase, "the phase is known again") == "Inference"


# the disabled state, §1.3


@pytest.fixture
def disabled(story: Story) -> t.Iterator[None]:
    before = story.settings()["disabled"]
    patch = {
        "enabled": True,
        "message": "gone & away",
        "new_url": "https://new.example/v1?a=1&b=<2>",
    }
    story.post_settings(disabled=patch)
    yield
    story.post_settings(disabled={**before, "new_url": before.get("new_url", "")})
    assert story.settings()["disabled"] == before


@pytest.mark.parametrize("auth", [None, "client", "admin"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/status"),
        ("POST", "/v1/chat/completions"),
        ("GET", "/v1/models"),
        ("GET", "/metrics"),
        ("GET", "/"),
        ("GET", "/v1/nothing"),
        ("GET", "/devshard/1/v1/status"),
        ("POST", "/devshard/1/v1/chat/completions"),
        ("GET", "/devshard/1/v1/requests/req-1-1"),
        # not an admin path before the mux has cleaned it
        ("POST", "/devshard//v1/finalize"),
    ],
)
@pytest.mark.usefixtures("disabled")
def test_disabled(story: Story, method: str, path: str, auth: str | None) -> None:
    answer = story.gateway.ask(method, path, auth=auth)
    is_retired(answer, "gone & away", "https://new.example/v1?a=1&b=<2>")
    # Go's JSON
    assert b"\\u0026" in answer.body
    assert b"\\u003c2\\u003e" in answer.body


@pytest.mark.usefixtures("disabled")
def test_disabled_gateway_serves_its_admin(story: Story) -> None:
    assert story.gateway.get("/v1/admin/state", "admin").good()["devshards"] == []
    assert story.gateway.get("/v1/debug/rotation", "admin").good()
    is_unknown(story.gateway.get("/v1/admin/nothing", "admin"))
    is_unauthorized(story.gateway.get("/v1/admin/state"))
    is_unauthorized(story.gateway.ask("POST", "/devshard/1/v1/finalize"))
    is_text_error(story.gateway.get("/v1/state", "admin"), 400)


@pytest.mark.usefixtures("disabled")
def test_texts_stay_when_it_is_enabled_again(story: Story) -> None:
    found = story.post_settings(disabled={"enabled": False})["disabled"]
    assert found == {
        "enabled": False,
        "message": "gone & away",
        "new_url": "https://new.example/v1?a=1&b=<2>",
    }
    story.gateway.get("/v1/status").good()


@pytest.mark.usefixtures("disabled")
def test_message_cannot_be_emptied(story: Story) -> None:
    found = story.post_settings(disabled={"message": "", "new_url": ""})["disabled"]
    assert found == {"enabled": True, "message": DEFAULT_MESSAGE}
    is_retired(story.gateway.get("/v1/status"), DEFAULT_MESSAGE, "")
