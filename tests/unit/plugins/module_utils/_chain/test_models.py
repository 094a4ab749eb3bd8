# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import re
import typing as t
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.gonka.devshard.plugins.module_utils._chain.models import (
    Epoch,
    Escrow,
    EscrowParams,
    SettledEvent,
    TxResult,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import ProtocolError
from ansible_collections.gonka.devshard.plugins.module_utils._core.reader import Reader, parse_time
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.models import (
    CreateReply,
    Devshard,
    GatewayState,
    RotationStatus,
    SessionStatus,
    SettleReply,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.recorded import (
    CREATOR,
    KIMI,
    QWEN,
    body,
    reader,
)

EPOCH: dict[str, t.Any] = {
    "block_height": 4710593,
    "phase": "Inference",
    "is_confirmation_poc_active": False,
    "latest_epoch": {"index": 214},
    "epoch_stages": {"set_new_validators": 4709110, "next_poc_start": 4724460},
    "next_epoch_stages": {"set_new_validators": "4724481", "next_poc_start": "4739851"},
}
CREATED = {"escrow_id": 4711, "tx_hash": "AB", "creator": CREATOR, "registered": True}
SETTLED = {"escrow_id": 4711, "tx_hash": "AB", "settler": CREATOR}


# real answers


def test_escrow() -> None:
    found = Escrow.from_api(reader("escrow_found").child("escrow"))
    assert (found.id, found.creator, found.amount) == (3, CREATOR, 5_000_000_000)
    assert (found.epoch_index, found.settled, found.model_id) == (214, False, KIMI)
    assert len(found.slots) == 2
    assert Escrow.from_api(reader("escrow_settled").child("escrow")).settled


def test_params() -> None:
    found = EscrowParams.from_api(reader("params").child("params"))
    assert found.to_result() == {
        "min_amount": 5_000_000_000,
        "max_amount": 10_000_000_000,
        "max_escrows_per_epoch": 500,
        "max_nonce": 20_000,
        "create_devshard_fee": 10_000,
        "fee_per_nonce": 1_000,
        "approved_versions": [],
        "approved_known": False,
        "min_gas_price": 0,
        "create_gas_price": 0,
        "settle_gas_price": 0,
        "settle_exempt": False,
    }
    assert found.allowed_creator_addresses == (CREATOR,)
    assert found.group_size == 16


@pytest.mark.parametrize("item", ["v2", {"name": "v2", "since": "1"}])
def test_approved_versions_in_both_spellings(item: object) -> None:
    answer = body("params")["params"]
    answer["devshard_escrow_params"]["approved_versions"] = [item]
    assert EscrowParams.from_api(Reader(answer, "params")).approved.names == ("v2",)


@pytest.mark.parametrize("item", [2, None, {}, {"name": 2}])
def test_an_approved_version_of_another_shape_is_an_error(item: object) -> None:
    answer = body("params")["params"]
    answer["devshard_escrow_params"]["approved_versions"] = [item]
    with pytest.raises(ProtocolError, match="approved_versions"):
        EscrowParams.from_api(Reader(answer, "params"))


def test_transactions() -> None:
    created = TxResult.from_api(reader("tx_create").child("tx_response"))
    assert (created.code, created.gas_wanted, created.raw_log) == (0, 500_000, "")
    assert created.events[0].type == "devshard_escrow_created"
    assert created.events[0].attributes["escrow_id"] == "1"
    refused = TxResult.from_api(reader("tx_failed").child("tx_response"))
    assert (refused.code, refused.codespace) == (1, "undefined")
    assert "escrow amount 1 out of range" in refused.raw_log


def test_settlement_in_a_transaction() -> None:
    tx = TxResult.from_api(reader("tx_settle").child("tx_response"))
    found = SettledEvent.from_tx(tx, 2)
    assert found is not None
    assert (found.settler, found.total_payout, found.remainder) == (CREATOR, 18_790, 4_999_981_210)
    assert found.accounts == {"spent": 790, "fees": 18_000, "refund": 4_999_981_210}
    assert sum(found.accounts.values()) == 5_000_000_000
    assert SettledEvent.from_tx(tx, 3) is None
    again = TxResult.from_api(reader("tx_settle_again").child("tx_response"))
    assert SettledEvent.from_tx(again, 2) is None, "the chain refused that one"


def test_state_of_a_gateway() -> None:
    assert GatewayState.from_api(reader("admin_state")).devshards == ()
    two = GatewayState.from_api(reader("admin_state_two"))
    fresh = two.devshards[0]
    assert fresh.runtime is not None
    assert (fresh.id, fresh.model, fresh.active) == ("1", QWEN, True)
    assert (fresh.runtime.nonce, fresh.runtime.balance) == (0, 4_999_990_000)
    assert (fresh.runtime.phase, fresh.runtime.active_requests) == ("active", 0)
    assert (fresh.has_plain_key, fresh.rotation_role, fresh.rotation_epoch) == (False, None, None)
    one = GatewayState.from_api(reader("admin_state_one"))
    assert one.devshards[0].model == KIMI
    assert one.devshards[0].runtime is not None
    assert one.devshards[0].runtime.nonce == 5
    assert (one.active_requests, one.in_flight_requests) == (0, 0)


def test_the_plain_key_of_a_record_is_not_kept() -> None:
    record = body("admin_state_two")["devshards"][0]
    record["private_key"] = "0f1e" * 16
    found = Devshard.from_api(Reader(record, "devshard"))
    assert found.has_plain_key
    assert "0f1e" not in repr(found)


def test_a_record_that_is_not_loaded_has_no_runtime() -> None:
    answer = body("admin_state_two")
    del answer["devshards"][0]["runtime"]
    answer["devshards"][1]["runtime"]["active_requests"] = 3
    found = GatewayState.from_api(Reader(answer, "state"))
    assert found.devshards[0].runtime is None
    assert found.active_requests == 3


def test_rotation() -> None:
    found = RotationStatus.from_api(reader("rotation_get"))
    assert (found.polled, found.phase, found.epoch_index) == (True, "Inference", 214)
    assert found.latest == ()
    assert not RotationStatus.from_api(reader("rot_get0")).polled
    after = RotationStatus.from_api(reader("rot_get_after"))
    assert after.latest[0]["stage"] == "prepare_temp"


def test_status_of_a_session() -> None:
    found = SessionStatus.from_api(reader("status_ds"))
    assert (found.escrow_id, found.nonce, found.balance) == ("1", 2, 4_999_987_612)


def test_epoch() -> None:
    found = Epoch.from_api(Reader(EPOCH, "epoch"))
    assert (found.index, found.height, found.phase) == (214, 4710593, "Inference")
    assert found.next_stages["set_new_validators"] == 4724481


# what is missing or wrong


def without(answer: t.Any, path: str) -> t.Any:
    *parents, last = path.split(".")
    inner = answer
    for key in parents:
        inner = inner[int(key) if key.isdigit() else key]
    del inner[last]
    return answer


def set_at(answer: t.Any, path: str, value: object) -> t.Any:
    *parents, last = path.split(".")
    inner = answer
    for key in parents:
        inner = inner[int(key) if key.isdigit() else key]
    inner[last] = value
    return answer


READS: dict[str, tuple[t.Callable[[], t.Any], t.Callable[[Reader], object]]] = {
    "escrow": (lambda: body("escrow_found")["escrow"], Escrow.from_api),
    "params": (lambda: body("params")["params"], EscrowParams.from_api),
    "tx": (lambda: body("tx_create")["tx_response"], TxResult.from_api),
    "state": (lambda: body("admin_state_two"), GatewayState.from_api),
    "rotation": (lambda: body("rotation_get"), RotationStatus.from_api),
    "session": (lambda: body("status_ds"), SessionStatus.from_api),
    "epoch": (lambda: {**EPOCH, "latest_epoch": dict(EPOCH["latest_epoch"])}, Epoch.from_api),
    "created": (lambda: dict(CREATED), CreateReply.from_api),
    "settled": (lambda: dict(SETTLED), SettleReply.from_api),
}
NEEDED = [
    *(("escrow", name) for name in ("id", "creator", "amount", "epoch_index", "settled")),
    *(("escrow", name) for name in ("slots", "model_id")),
    *(
        ("params", f"devshard_escrow_params.{name}")
        for name in ("min_amount", "max_amount", "max_nonce", "allowed_creator_addresses")
    ),
    *(("tx", name) for name in ("txhash", "height", "code", "gas_wanted")),
    ("state", "devshards"),
    ("state", "limiter.in_flight_requests"),
    ("state", "settings"),
    ("state", "devshards.0.id"),
    ("state", "devshards.0.active"),
    ("state", "devshards.0.runtime.active"),
    ("state", "devshards.0.runtime.active_requests"),
    ("state", "devshards.0.runtime.requests_blocked"),
    *(("rotation", f"chain.{name}") for name in ("block_height", "epoch_index")),
    ("rotation", "settings"),
    *(("session", name) for name in ("nonce", "balance", "phase", "escrow_id")),
    *(("epoch", name) for name in ("block_height", "phase", "latest_epoch.index", "epoch_stages")),
    *(("created", name) for name in CREATED),
    *(("settled", name) for name in SETTLED),
]


@pytest.mark.parametrize(("what", "path"), NEEDED)
@pytest.mark.parametrize("how", ["missing", "null"])
def test_a_needed_field_is_never_made_up(what: str, path: str, how: str) -> None:
    make, from_api = READS[what]
    answer = without(make(), path) if how == "missing" else set_at(make(), path, None)
    last = path.rsplit(".", 1)[-1]
    with pytest.raises(ProtocolError, match=rf"{last}: the field is missing$") as caught:
        from_api(Reader(answer, what))
    told = re.sub(r"\[(\d+)\]", r".\1", str(caught.value))
    assert told.startswith(f"{what}.{path}:"), "the message names the place"


@pytest.mark.parametrize(("what", "path"), NEEDED)
def test_a_needed_field_has_a_type(what: str, path: str) -> None:
    make, from_api = READS[what]
    last = path.rsplit(".", 1)[-1]
    with pytest.raises(ProtocolError, match=rf"{last}: expected"):
        from_api(Reader(set_at(make(), path, 1.5), what))


@pytest.mark.parametrize(
    ("what", "path"),
    [
        ("state", "devshards.0.runtime.active_requests"),
        ("state", "limiter.in_flight_requests"),
        ("session", "nonce"),
        ("session", "balance"),
    ],
)
@pytest.mark.parametrize("value", ["0", True, 0.0, [], {}])
def test_a_counter_that_decides_about_a_stop_is_a_number(
    what: str, path: str, value: object
) -> None:
    make, from_api = READS[what]
    with pytest.raises(ProtocolError, match="expected a whole number"):
        from_api(Reader(set_at(make(), path, value), what))


def test_unknown_fields_are_tolerated() -> None:
    for make, from_api in READS.values():
        assert from_api(Reader({**make(), "later": {"a": [1]}}, "x")) == from_api(
            Reader(make(), "x")
        )


# single values


@given(st.integers(min_value=-(10**39), max_value=10**39))
def test_whole_numbers_in_both_spellings(value: int) -> None:
    assert Reader({"a": value}, "x").whole("a", signed=True) == value
    assert Reader({"a": str(value)}, "x").whole("a", signed=True) == value


@pytest.mark.parametrize(
    ("what", "path"),
    [
        ("escrow", "amount"),
        ("escrow", "epoch_index"),
        ("params", "devshard_escrow_params.min_amount"),
        ("tx", "height"),
        ("state", "devshards.0.runtime.active_requests"),
        ("state", "devshards.0.runtime.balance"),
        ("state", "limiter.in_flight_requests"),
        ("session", "nonce"),
        ("session", "balance"),
    ],
)
def test_no_sum_and_no_count_is_below_zero(what: str, path: str) -> None:
    make, from_api = READS[what]
    with pytest.raises(ProtocolError, match=r"must not be negative, got -1$"):
        from_api(Reader(set_at(make(), path, -1), what))


def test_a_switch_that_is_late_is_below_zero() -> None:
    answer = set_at(body("rotation_get"), "chain.blocks_to_epoch_switch", -3)
    assert RotationStatus.from_api(Reader(answer, "x")).blocks_to_epoch_switch == -3


@pytest.mark.parametrize("value", ["", "x", "-1", " 1", "1.0", "0x1", "\u0661", "1" * 21])
def test_a_record_is_called_by_the_number_of_its_escrow(value: str) -> None:
    answer = set_at(body("admin_state_two"), "devshards.0.id", value)
    with pytest.raises(ProtocolError, match=r"devshards\[0\]\.id: expected digits, got "):
        GatewayState.from_api(Reader(answer, "state"))


@pytest.mark.parametrize(
    "value", ["", " 1", "1 ", "+1", "1_000", "1.0", "1e3", "0x10", "١", "--1", "9" * 5000]
)
def test_what_only_python_takes_for_a_number(value: str) -> None:
    with pytest.raises(ProtocolError, match=r"^x\.a: expected a whole number, got "):
        Reader({"a": value}, "x").whole("a")


@pytest.mark.parametrize("value", [[], "text", 1, None, True])
def test_what_is_no_object(value: object) -> None:
    with pytest.raises(ProtocolError, match="^x: expected an object, got "):
        Reader(value, "x")


def test_lists() -> None:
    found = Reader({"a": ["b", "c"], "d": [{"e": 1}, 2], "f": ["g", 1]}, "x")
    assert found.texts("a") == ("b", "c")
    with pytest.raises(ProtocolError, match=r"^x\.d\[1\]: expected an object"):
        found.children("d")
    with pytest.raises(ProtocolError, match=r"^x\.f: expected a list of strings"):
        found.texts("f")


@given(
    st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9000, 1, 1)),
    st.integers(min_value=0, max_value=9),
)
def test_times(moment: datetime, digits: int) -> None:
    whole = moment.replace(microsecond=0)
    fraction = f"{moment.microsecond:06}000"[:digits]
    text = whole.isoformat() + (f".{fraction}" if digits else "") + "Z"
    kept = int((fraction + "000000")[:6])
    expected = whole.replace(tzinfo=timezone.utc) + timedelta(microseconds=kept)
    assert parse_time(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02T03:04:05+01:00",
        "2026-01-02 03:04:05Z",
        "2026-13-02T03:04:05Z",
        "2026-02-30T03:04:05Z",
        "2026-01-02T25:04:05Z",
        "2026-01-02T03:04:05.0123456789Z",
        "0001-01-01T00:00:00ZZ",
    ],
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ProtocolError):
        parse_time(text)
