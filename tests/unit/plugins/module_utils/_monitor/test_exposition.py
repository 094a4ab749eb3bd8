# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""One look in metrics: what is known is right, and what is not known is neither 0 nor fine."""

from __future__ import annotations

import re
import typing as t

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._monitor.burn import Rate
from ansible_collections.gonka.devshard.plugins.module_utils._monitor.exposition import (
    MOST_ESCROWS,
    Earlier,
    Look,
    Told,
    expose,
    seconds,
)
from ansible_collections.gonka.devshard.plugins.module_utils._monitor.metrics import (
    FAMILIES,
    PREFIX,
    Page,
)
from ansible_collections.gonka.devshard.plugins.module_utils._status.verdict import status_of
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._status.test_rules import (
    EDGE,
    GATEWAY,
    OURS,
    A,
    Data,
    escrow,
    lost,
    of_presence,
    of_seen,
    well,
)

Change = t.Callable[[Data, Data], object]
WISH: t.Final = {
    "models": [{"id": A, "amount": 5_000_000_000}],
    "slot": "main",
    "settlement_tag": "v2",
    "fee": 1_000_000,
    "settle_fee": 1_000_000,
    "min_free_mb": 1024,
    "elsewhere": [],
    "rotation": None,
    "gateway_url": GATEWAY,
    "client_url": EDGE,
}
RATE: t.Final = Rate(ngonka_per_hour=2.5e8, nonces_per_hour=120.0, seconds=3600.0)
BEGAN, ENDED = 1_800_000_000.0, 1_800_000_002.5


def with_rotation(_presence: Data, seen: Data) -> None:
    rotation = seen["slots"]["main"]["gateway"]["rotation"]
    rotation |= {"settings": {"enabled": True, "settlement_enabled": True}}
    rotation["blocks_until_next_rotation"] = 300


def nothing(_presence: Data, _seen: Data) -> None:
    return None


def status(*changes: Change) -> Data:
    presence, seen = well()
    for change in changes:
        change(presence, seen)
    look = {
        "host": "gw",
        "looked_at": "2026-11-29T22:00:00Z",
        "presence": presence,
        "presence_error": "",
        "seen": seen,
        "seen_error": "",
        "edge_slot": None,
    }
    return status_of(look, WISH)


def look_at(*changes: Change, **other: t.Any) -> Look:
    given: Data = {
        "gateway": "default",
        "generation": "v2",
        "protocol": "v2",
        "status": status(*changes),
        "began": BEGAN,
        "ended": ENDED,
        "rates": {7: RATE},
        "reserve": 5_002_000_000,
        "nonce_limit": 19_000,
        "backups": 3,
        "backup": Told(at=BEGAN - 7200),
        "certificate": Told(at=BEGAN + 86400),
        **other,
    }
    return Look(**given)


def parsed(text: str) -> dict[str, float]:
    """Each series by its name and labels, without prefix and the label of the gateway."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            name = name.removeprefix(PREFIX).replace('gateway="default",', "")
            found[name.replace('{gateway="default"}', "")] = float(value)
    return found


def told(*changes: Change, earlier: Earlier | None = None, **other: t.Any) -> dict[str, float]:
    return parsed(expose(look_at(*changes, **other), earlier or Earlier())[0])


SEVEN = f'{{escrow_id="7",model="{A}",creator="{OURS}"}}'


def test_a_gateway_that_is_well() -> None:
    found = told(with_rotation)
    expected = {
        'info{generation="v2",protocol="v2"}': 1,
        "look_timestamp_seconds": ENDED,
        "look_success_timestamp_seconds": ENDED,
        "look_duration_seconds": 2.5,
        "look_failures_total": 0,
        'findings{severity="danger"}': 0,
        'up{slot="main"}': 1,
        'slot_in_service{slot="main"}': 1,
        'slot_in_service{slot="temp"}': 0,
        'requests_in_flight{slot="main"}': 0,
        "clients_served": 1,
        "redirected": 0,
        "retired": 0,
        f'model_escrows_wanted{{model="{A}"}}': 1,
        f'model_escrows_usable{{model="{A}"}}': 1,
        f"escrow_deposit_ngonka{SEVEN}": 5_000_000_000,
        f"escrow_balance_ngonka{SEVEN}": 4_900_000_000,
        f"escrow_nonce{SEVEN}": 3,
        "max_nonce": 19_000,
        f"escrow_burn_ngonka_per_hour{SEVEN}": 2.5e8,
        f"escrow_nonces_per_hour{SEVEN}": 120,
        f"escrow_deadline_blocks{SEVEN}": 5000,
        f"escrow_deadline_seconds{SEVEN}": 30000,
        f"escrow_settled{SEVEN}": 0,
        f"escrow_usable{SEVEN}": 1,
        f"escrow_at_risk{SEVEN}": 0,
        "escrows_unsettled": 1,
        'intents_pending{kind="create"}': 0,
        f'wallet_balance_ngonka{{creator="{OURS}"}}': 1e11,
        f'wallet_reserve_ngonka{{creator="{OURS}"}}': 5_002_000_000,
        f'funding_horizon_seconds{{creator="{OURS}"}}': (1e11 - 5_002_000_000) / 2.5e8 * 3600,
        f'creator_allowed{{creator="{OURS}"}}': 1,
        "rotation_enabled": 1,
        "rotation_failing": 0,
        "rotation_next_blocks": 300,
        "swap_open": 0,
        "backups": 3,
        "backup_timestamp_seconds": BEGAN - 7200,
        "certificate_expiry_timestamp_seconds": BEGAN + 86400,
        'disk_free_bytes{path="/srv"}': 9000 * 1024 * 1024,
        "chain_height_blocks": 100,
    }
    assert {name: found.get(name) for name in expected} == expected
    assert not [name for name in found if name.startswith("unknown")]


def open_swap(presence: Data, _seen: Data) -> None:
    presence["swap"] = {
        "known": True,
        "error": None,
        "open": True,
        "step": "settle_temp",
        "since": "2027-01-15T08:00:00Z",
        "asked": "registry/gateway:1.1",
        "origin_asked": "registry/gateway:1.0",
        "mode": "temp",
        "slot": "main",
        "rolling_back": False,
        "only_forward": False,
        "touched": True,
        "temp_escrow_ids": [],
    }


def in_danger(_presence: Data, seen: Data) -> None:
    found = {"kind": "not_listed", "reason": "not listed", "advice": "ask"}
    seen["escrows"] = [escrow(7, dangers=[found])]


def one_open(_presence: Data, seen: Data) -> None:
    seen["transactions"] = [
        {
            "id": 1,
            "kind": "create",
            "state": "signed",
            "created_at": "2027-01-15T08:00:00.000001Z",
            "updated_at": "2027-01-15T08:00:00.000001Z",
            "amount": 5_000_000_000,
            "model": A,
            "escrow_id": None,
            "timeout_at": None,
        }
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (in_danger, {f"escrow_at_risk{SEVEN}": 1, 'findings{severity="danger"}': 1}),
        (
            in_danger,
            {f'escrow_danger{SEVEN[:-1]},kind="not_listed"}}': 1},
        ),
        (one_open, {'intents_pending{kind="create"}': 1}),
        (one_open, {"intent_oldest_timestamp_seconds": 1_800_000_000.000001}),
        (of_seen(escrows=[]), {"escrows_unsettled": 0, f'model_escrows_usable{{model="{A}"}}': 0}),
    ],
)
def test_what_is_wrong_is_told(change: Change, expected: Data) -> None:
    found = told(change)
    assert {name: found.get(name) for name in expected} == expected


def test_a_swap_that_is_open() -> None:
    found = parsed(expose(look_at(open_swap), Earlier())[0])
    assert found["swap_open"] == 1
    assert found['swap_step{step="settle_temp"}'] == 1
    assert found["swap_start_timestamp_seconds"] == 1_800_000_000


# what is not known

UNKNOWN: t.Final = [
    (
        lost("main"),
        ["main"],
        [f'model_escrows_usable{{model="{A}"}}', 'requests_in_flight{slot="main"}'],
    ),
    (
        lost("chain"),
        ["chain", "escrow_settled", "escrow_deadline", "escrow_at_risk", "wallet"],
        ["escrow_settled", "escrow_at_risk", "escrow_deadline_blocks", "wallet_balance_ngonka"],
    ),
    (lost("public_api"), ["public_api", "escrow_deadline", "escrow_at_risk"], ["escrow_at_risk"]),
    (lost("route"), ["route", "slot"], ["slot_in_service"]),
    (lost("ledger"), ["ledger"], ["intents_pending"]),
    (lost("creations"), ["creations"], []),
    (of_seen(complete=False), ["escrows_unsettled"], ["escrows_unsettled"]),
    (of_presence(swap={"known": False, "error": "x"}), ["swap"], ["swap_open", "swap_step"]),
]


@pytest.mark.parametrize(("change", "names", "absent"), UNKNOWN)
def test_what_is_unknown_is_absent_and_named(
    change: Change, names: list[str], absent: list[str]
) -> None:
    found = told(change)
    unknown = {match[1] for name in found if (match := re.match(r'unknown\{what="([^"]+)"', name))}
    assert set(names) <= unknown
    assert [name for name in found if any(name.startswith(one) for one in absent)] == []


def test_nothing_at_all_could_be_seen() -> None:
    blind = status_of(
        {
            "host": "gw",
            "looked_at": "2026-11-29T22:00:00Z",
            "presence": None,
            "presence_error": "no docker",
            "seen": None,
            "seen_error": "no requests",
            "edge_slot": None,
        },
        WISH,
    )
    text, kept = expose(
        look_at(status=blind, rates={}, burn_known=False, backups=None, certificate=Told(why="x")),
        Earlier(success=5.0, failures=2),
    )
    found = parsed(text)
    assert kept == Earlier(success=5.0, failures=3)
    for what in ("presence", "status", "clients", "slot", "creator", "backup", "certificate"):
        assert found[f'unknown{{what="{what}"}}'] == 1
    told_of = {re.sub(r"\{.*", "", name) for name in found}
    assert told_of == {
        *("info", "unknown", "findings", "look_timestamp_seconds", "look_duration_seconds"),
        *("look_success_timestamp_seconds", "look_failures_total"),
        *("model_escrows_wanted",),
        *("backup_timestamp_seconds",),
    }


def test_a_burn_rate_that_is_not_measured_yet_fails_no_look() -> None:
    text, kept = expose(look_at(rates={7: None}), Earlier())
    found = parsed(text)
    assert found['unknown{what="escrow_burn",escrow_id="7"}'] == 1
    assert found['unknown{what="funding_horizon"}'] == 1
    assert not [name for name in found if "per_hour" in name or "horizon_seconds" in name]
    assert kept == Earlier(success=ENDED)


def test_without_the_pace_of_the_chain_blocks_are_left_and_no_seconds() -> None:
    deadline = {"height": 9007, "blocks_left": 5000, "seconds_left": None, "last_epoch": False}
    text, kept = expose(look_at(of_seen(escrows=[escrow(7, deadline=deadline)])), Earlier())
    found = parsed(text)
    assert found['unknown{what="escrow_deadline_seconds",escrow_id="7"}'] == 1
    assert found[f"escrow_deadline_blocks{SEVEN}"] == 5000
    assert f"escrow_deadline_seconds{SEVEN}" not in found
    assert kept.failures == 0


def test_the_failures_are_counted_and_the_last_success_stays() -> None:
    _text, kept = expose(look_at(lost("chain")), Earlier(success=5.0, failures=2))
    assert kept == Earlier(success=5.0, failures=3)
    _text, kept = expose(look_at(), kept)
    assert kept == Earlier(success=ENDED, failures=3)


def test_nothing_burnt_is_an_endless_horizon() -> None:
    idle = Rate(ngonka_per_hour=0.0, nonces_per_hour=0.0, seconds=600.0)
    assert told(rates={7: idle})[f'funding_horizon_seconds{{creator="{OURS}"}}'] == float("inf")


def test_a_gateway_that_was_not_asked_is_neither_up_nor_down() -> None:
    def unasked(_presence: Data, seen: Data) -> None:
        lost("main")(_presence, seen)
        del seen["parts"]["main"]

    found = told(unasked)
    assert found['unknown{what="gateway_main"}'] == 1
    assert not [name for name in found if name.startswith("up")]


def test_a_gateway_that_does_not_answer_is_down() -> None:
    assert told(lost("main"))['up{slot="main"}'] == 0


def test_the_number_of_escrows_is_bounded() -> None:
    rows = [escrow(number) for number in range(1, MOST_ESCROWS + 21)]
    found = told(of_seen(escrows=rows))
    assert sum(1 for name in found if name.startswith("escrow_balance_ngonka")) == MOST_ESCROWS
    assert (found["escrows_omitted"], found["escrows_unsettled"]) == (20, MOST_ESCROWS + 20)


def test_an_escrow_of_another_gateway_is_not_counted_here() -> None:
    rows = [escrow(7), escrow(8, recorded=False, active=False, loaded=False, slot=None)]
    found = told(of_seen(escrows=rows))
    assert found["escrows_unsettled"] == 1
    assert found[f"escrow_recorded{SEVEN.replace('7', '8', 1)}"] == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"on_chain": None, "settled": None, "chain_error": "no answer"},
        {"recorded": None, "active": None, "loaded": None},
    ],
)
def test_one_escrow_that_is_not_known_leaves_the_number_unknown(changes: Data) -> None:
    found = told(of_seen(escrows=[escrow(7), escrow(8, **changes)]))
    assert found['unknown{what="escrows_unsettled"}'] == 1
    assert "escrows_unsettled" not in found


def test_an_escrow_that_the_chain_has_pruned_is_not_counted() -> None:
    gone: Data = {"on_chain": False, "settled": None, "usable": False, "deadline": None}
    found = told(of_seen(escrows=[escrow(7), escrow(8, **gone, absence="unknown")]))
    assert found["escrows_unsettled"] == 1
    assert found['unknown{what="escrow_pruned",escrow_id="8"}'] == 1
    assert "look_success_timestamp_seconds" in found
    found = told(of_seen(escrows=[escrow(7), escrow(8, **gone, absence="lost")]))
    assert not [name for name in found if name.startswith("unknown")]


def test_a_pruned_escrow_that_was_settled_is_shown_as_settled() -> None:
    gone: Data = {"on_chain": False, "settled": True, "usable": False, "deadline": None}
    found = told(of_seen(escrows=[escrow(7, **gone, absence="settled")]))
    assert (found[f"escrow_settled{SEVEN}"], found["escrows_unsettled"]) == (1, 0)


def test_an_escrow_that_the_node_does_not_show_fails_the_look() -> None:
    gone: Data = {"on_chain": False, "settled": None, "usable": False, "deadline": None}
    found = told(of_seen(escrows=[escrow(8, **gone, absence="not_shown")]))
    assert found['unknown{what="escrow_settled",escrow_id="8"}'] == 1
    assert found['unknown{what="escrows_unsettled"}'] == 1
    assert "look_success_timestamp_seconds" not in found


def test_settled_escrows_have_neither_deadline_nor_risk() -> None:
    found = told(of_seen(escrows=[escrow(7, settled=True, usable=False)]))
    assert found[f"escrow_settled{SEVEN}"] == 1
    assert not [name for name in found if "deadline" in name or "risk" in name]


def test_labels_are_escaped() -> None:
    page = Page('a"b\\c\nd')
    page.put("backups", 1)
    assert page.render().splitlines()[-1] == r'gonka_devshard_backups{gateway="a\"b\\c\nd"} 1'


def test_a_label_that_does_not_belong_is_a_bug() -> None:
    with pytest.raises(ValueError, match="backups has the labels none"):
        Page("x").put("backups", 1, escrow_id=1)


def sample() -> str:
    """A text with every metric that there is, for the programs that read such texts."""
    whole = look_at(with_rotation, one_open, in_danger, open_swap)
    return expose(whole, Earlier(success=1.0, failures=1))[0]


def test_every_family_is_written_by_some_look() -> None:
    text = sample() + told_text(lost("chain"))
    seen = set(re.findall(r"# TYPE gonka_devshard_(\w+) ", text))
    assert {family.name for family in FAMILIES} - seen == set()


def told_text(*changes: Change) -> str:
    return expose(look_at(*changes), Earlier(success=1.0))[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2027-01-15T08:00:00Z", 1_800_000_000),
        ("2027-01-15T08:00:00.5Z", 1_800_000_000.5),
        ("yesterday", None),
        (None, None),
    ],
)
def test_times(text: str | None, expected: float | None) -> None:
    assert seconds(text) == expected
