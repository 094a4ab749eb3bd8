# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ConfigurationError,
    ProtocolError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.settings import (
    Settings,
    SettingsWish,
    access_gap,
    access_modes,
    check_applied,
    plan,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.recorded import (
    KIMI,
    QWEN,
    body,
)

MODELS = st.sampled_from(["a/a", "b/b", "c/c", "d/d"])
LIMITS = {
    "access_mode": st.sampled_from(["open", "api_key", "admin_only"]),
    "access_message": st.sampled_from(["", "ask us"]),
    "max_concurrent_requests": st.integers(min_value=0, max_value=9),
    "max_input_tokens_in_flight": st.integers(min_value=0, max_value=9),
    "default_request_max_tokens": st.integers(min_value=0, max_value=9),
}


def entries(some: dict[str, t.Any]) -> st.SearchStrategy[list[Settings]]:
    one = st.fixed_dictionaries({"model_id": MODELS}, optional=some)
    return st.lists(one, max_size=4, unique_by=lambda item: str(item["model_id"]))


def shown_by_gateway(entry: Settings) -> Settings:
    """How the gateway prints a limit: two fields always, the others when not empty."""
    always = {name: entry.get(name, 0) for name in list(LIMITS)[2:4]}
    return {**always, **{key: value for key, value in entry.items() if value not in (0, "")}}


PRESENT = entries(LIMITS).map(lambda found: [shown_by_gateway(entry) for entry in found])
WISHES = st.builds(
    SettingsWish,
    settings=st.fixed_dictionaries(
        {},
        optional={
            "max_concurrent_requests": st.integers(min_value=0, max_value=600),
            "request_max_tokens_cap": st.sampled_from([4096, 8192]),
            "tx_gas_limit": st.sampled_from([0, 700000]),
            "perf": st.fixed_dictionaries({}, optional={"sample_size": st.sampled_from([256, 9])}),
            "redundancy": st.just({"speed_policy": "legacy", "unresponsive_threshold": 1}),
        },
    ),
    model_limits=st.none() | entries({key: st.none() | value for key, value in LIMITS.items()}),
    purge_model_limits=st.booleans(),
    disabled=st.none()
    | st.fixed_dictionaries(
        {"enabled": st.booleans()},
        optional={"message": st.none() | st.just("gone"), "new_url": st.sampled_from(["", "u"])},
    ),
)


def gateway_after(current: Settings, patch: Settings) -> Settings:
    """The contract's merge: scalars and parts are merged, lists replaced, empty things left out."""
    after = dict(current)
    for name, value in patch.items():
        found = after.get(name)
        after[name] = {**found, **value} if isinstance(found, dict) else value
    if "model_limits" in after:
        after["model_limits"] = [shown_by_gateway(entry) for entry in after["model_limits"]]
    if not after.get("model_limits"):
        after.pop("model_limits", None)
    if after.get("tx_gas_limit") == 0:
        del after["tx_gas_limit"]
    if after["disabled"].get("new_url") == "":
        after["disabled"] = {k: v for k, v in after["disabled"].items() if k != "new_url"}
    return after


def present(limits: list[Settings]) -> Settings:
    current: Settings = body("settings_get")
    return {**current, "model_limits": limits} if limits else current


@given(PRESENT, WISHES)
def test_a_plan_leads_to_its_own_end(limits: list[Settings], wish: SettingsWish) -> None:
    current = present(limits)
    made = plan(current, wish)
    after = gateway_after(current, made.patch)
    assert plan(after, wish).patch == {}
    check_applied(after, wish)
    assert set(made.before) == set(made.after) == set(made.patch)


@given(PRESENT, WISHES)
def test_nothing_that_was_not_asked_for_changes(limits: list[Settings], wish: SettingsWish) -> None:
    current = present(limits)
    made = plan(current, wish)
    after = gateway_after(current, made.patch)
    asked = {*wish.settings}
    asked |= {"model_limits"} if wish.model_limits is not None else set()
    asked |= {"disabled"} if wish.disabled is not None else set()
    assert set(made.patch) <= asked
    assert {k: v for k, v in after.items() if k not in asked} == {
        k: v for k, v in current.items() if k not in asked
    }
    for name in ("perf", "redundancy"):
        for part, value in current[name].items():
            if part not in wish.settings.get(name, {}):
                assert after[name][part] == value


@given(PRESENT, WISHES)
def test_no_other_model_is_dropped(limits: list[Settings], wish: SettingsWish) -> None:
    current = present(limits)
    after = gateway_after(current, plan(current, wish).patch)
    left = {entry["model_id"]: entry for entry in after.get("model_limits", [])}
    named = {item["model_id"] for item in wish.model_limits or ()}
    for entry in limits:
        model = entry["model_id"]
        if model in named:
            continue
        if wish.model_limits is not None and wish.purge_model_limits:
            assert model not in left
        else:
            assert left[model] == entry


@given(PRESENT, WISHES)
def test_what_is_planned_is_what_the_gateway_shows(
    limits: list[Settings], wish: SettingsWish
) -> None:
    """Check mode predicts what a real run returns, in the gateway's spelling of empty."""
    current = present(limits)
    made = plan(current, wish)
    assert made.settings == gateway_after(current, made.patch)
    assert plan(made.settings, wish).patch == {}
    assert {name: made.settings.get(name) for name in made.patch} == made.after


# single rules


def test_the_first_limits() -> None:
    current = body("settings_get")
    wish = SettingsWish(model_limits=[{"model_id": QWEN, "access_mode": "api_key"}])
    made = plan(current, wish)
    assert made.patch == {
        "model_limits": [
            {
                "model_id": QWEN,
                "access_mode": "api_key",
                "max_concurrent_requests": 512,
                "max_input_tokens_in_flight": 0,
            }
        ]
    }
    assert made.before == {"model_limits": None}


def test_a_second_model_keeps_the_first() -> None:
    first = {
        "model_id": QWEN,
        "access_mode": "open",
        "max_concurrent_requests": 3,
        "max_input_tokens_in_flight": 0,
    }
    wish = SettingsWish(model_limits=[{"model_id": KIMI, "access_mode": "api_key"}])
    made = plan(present([first]), wish)
    assert made.patch["model_limits"][0] == first
    assert [item["model_id"] for item in made.patch["model_limits"]] == [QWEN, KIMI]


def test_a_new_model_inherits_limits_that_change_in_the_same_run() -> None:
    wish = SettingsWish(settings={"max_concurrent_requests": 7}, model_limits=[{"model_id": QWEN}])
    made = plan(body("settings_get"), wish)
    assert made.patch["model_limits"][0]["max_concurrent_requests"] == 7


def test_purge_to_nothing() -> None:
    current = present([{"model_id": QWEN, "access_mode": "open"}])
    made = plan(current, SettingsWish(model_limits=[], purge_model_limits=True))
    assert made.patch == {"model_limits": []}
    assert plan(current, SettingsWish(model_limits=[])).patch == {}


REFUSED: list[tuple[SettingsWish, str]] = [
    (SettingsWish(settings={"nonsense": 1}), "has no setting nonsense, and would ignore it"),
    (SettingsWish(settings={"perf": {"nonsense": 1}}), r"has no setting perf\.nonsense"),
    (SettingsWish(settings={"model_limits": []}), "use access_mode in devshard_models"),
    (SettingsWish(settings={"disabled": {}}), "use the option disabled"),
    (SettingsWish(settings={"escrow_rotation": {}}), r"the module gonka\.devshard\.escrow_rotat"),
    (SettingsWish(settings={"perf": 1}), "perf: expected a dict"),
    (SettingsWish(settings={"chain_rest": {"a": 1}}), "chain_rest: expected no dict"),
    (SettingsWish(settings={"request_max_tokens_cap": "4096"}), "holds int, got str"),
    (SettingsWish(settings={"request_max_tokens_cap": True}), "holds int, got bool"),
    (SettingsWish(settings={"chain_rest": 5}), "holds str, got int"),
    (
        SettingsWish(settings={"participant_throttle": {"eof_transport_failure_threshold": 3}}),
        r"shows participant_throttle\.eof_transport_failure_threshold but cannot set it",
    ),
    (SettingsWish(model_limits=[{"model_id": "a"}, {"model_id": "a"}]), "names a twice"),
    (SettingsWish(disabled={"enabled": True, "message": ""}), "cannot hold an empty message"),
]


@pytest.mark.parametrize(("wish", "told"), REFUSED)
def test_what_the_gateway_would_ignore_is_refused(wish: SettingsWish, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        plan(body("settings_get"), wish)


@pytest.mark.parametrize(
    "part",
    [
        {"model_limits": "all"},
        {"model_limits": [None]},
        {"model_limits": [{"access_mode": "open"}]},
        {"disabled": None},
        {"disabled": "no"},
    ],
    ids=str,
)
def test_settings_of_another_shape_are_never_sent_back(part: dict[str, t.Any]) -> None:
    """The list is replaced whole, so half of it would close models."""
    wish = SettingsWish(model_limits=[{"model_id": QWEN}], disabled={"enabled": True})
    with pytest.raises(ProtocolError, match=rf"settings\.{next(iter(part))}"):
        plan({**body("settings_get"), **part}, wish)


def test_what_the_gateway_dropped_is_told() -> None:
    wish = SettingsWish(settings={"perf": {"sample_size": 9}}, model_limits=[{"model_id": QWEN}])
    with pytest.raises(ProtocolError, match="did not apply model_limits, perf$") as caught:
        check_applied(body("settings_get"), wish)
    assert caught.value.details == {"not_taken": ["model_limits", "perf"]}


@pytest.mark.parametrize(
    ("default", "modes", "spent"),
    [
        ("a", {"a": "open", "b": "admin_only"}, ["b (admin_only)"]),
        ("a", {"a": "open", "b": "api_key", "c": "open"}, ["b (api_key)"]),
        ("a", {"a": "api_key", "b": "admin_only", "c": "new"}, ["b (admin_only)", "c (new)"]),
        ("a", {"a": "api_key", "b": "api_key"}, []),
        ("a", {"a": "admin_only", "b": "open"}, []),
        ("a", {"a": "open"}, []),
        # a default model without an escrow and without an entry admits administrators only
        ("a", {"b": "api_key", "c": "open"}, []),
        ("a", {}, []),
    ],
)
def test_what_a_request_without_a_model_can_spend(
    default: str, modes: dict[str, str], spent: list[str]
) -> None:
    found = access_gap(default, modes)
    if not spent:
        assert found is None
    else:
        assert found is not None
        assert f"the escrows of {', '.join(spent)}." in found
        assert "same access_mode" in found


def test_access_modes_as_the_gateway_has_them() -> None:
    limits = [{"model_id": "a", "access_mode": "open"}, {"model_id": "b"}]
    assert access_modes({"model_limits": limits}, ["a", "b", "c"]) == {
        "a": "open",
        "b": "admin_only",
        "c": "admin_only",
    }
    assert access_modes({}, ["a"]) == {"a": "admin_only"}
