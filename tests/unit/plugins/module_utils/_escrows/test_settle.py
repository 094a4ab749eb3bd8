# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import typing as t
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    BusyError,
    ConfigurationError,
    DevshardError,
    ProtocolError,
    TransportError,
    UnknownStateError,
    UnsafeError,
    WaitTimeoutError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.outcomes import PartialFailure
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ensure import EnsureEscrows
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import (
    Intent,
    Kind,
    State,
    Via,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.store import Ledger
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.settle import SettleEscrows
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.settle_options import (
    SettledEscrow,
    SettleOptions,
    SettleResult,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.settle_rules import Settlement
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.settlement_files import (
    SettlementFiles,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    AMOUNT,
    CREATE_FEE,
    CREATOR,
    FakeDeadline,
    World,
    first_problem,
    options,
)

GATEWAY: dict[str, t.Any] = {"settle_via": Via.GATEWAY, "creator": CREATOR}
BOTH = pytest.mark.parametrize("how", [{}, GATEWAY], ids=["signed", "gateway"])
REFUND = AMOUNT - 160 - CREATE_FEE


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    with made.open() as ledger:
        EnsureEscrows(made.ports(ledger), options(count=2)).run()
    return made


def wish(**changes: t.Any) -> SettleOptions:
    values: dict[str, t.Any] = {
        "ids": (1,),
        "select": None,
        "model_id": None,
        "deadline_blocks": 100,
        "settle_via": Via.SIGNED,
        "private_key_env": "DEVSHARD_PRIVATE_KEY",
        "creator": None,
        "fee_amount": 1_000_000,
        "gas_limit": 1_000_000,
        "tx_lifetime": 120,
        **changes,
    }
    return SettleOptions(**values)


def settle(world: World, *, seconds: float = 300, **changes: t.Any) -> SettleResult:
    with first_problem():
        return settle_all(world, seconds=seconds, **changes)


def settle_all(world: World, *, seconds: float = 300, **changes: t.Any) -> SettleResult:
    """As above, with a partial failure as it is."""
    with world.open() as ledger:
        signer = changes.get("settle_via") is not Via.GATEWAY
        ports = world.ports(ledger, seconds=seconds, signer=signer)
        return SettleEscrows(ports, wish(**changes), ledger.folder).run()


def only(result: SettleResult) -> SettledEscrow:
    (escrow,) = result.escrows
    return escrow


def intents(world: World) -> list[Intent]:
    with world.open() as ledger:
        return ledger.intents(kind=Kind.SETTLE)


def settles_on_chain(world: World) -> int:
    return sum(1 for tx in world.chain.txs.values() if tx.settled)


@BOTH
def test_the_refund_is_what_the_chain_says_and_the_second_run_changes_nothing(
    world: World, how: dict[str, t.Any]
) -> None:
    before = world.chain.money
    result = settle(world, **how)
    escrow = only(result)
    assert (escrow.deposit, escrow.spent, escrow.fees, escrow.refund) == (
        AMOUNT,
        160,
        CREATE_FEE,
        REFUND,
    )
    assert world.chain.money - before == REFUND - 1_000_000
    assert result.actions == [
        "deactivated escrow 1",
        "finalized escrow 1",
        "settled escrow 1",
    ]
    fees = world.chain.money
    again = settle(world, **how)
    assert not again.changed
    assert only(again).refund == REFUND
    assert world.chain.money == fees, "a second settle would burn the fee"


def test_the_settlement_is_kept_private_beside_the_ledger(world: World) -> None:
    settle(world)
    file = Path(world.path).parent / "settlements" / "fake" / "escrow-1.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_check_mode_predicts_and_touches_nothing(world: World) -> None:
    calls = len(world.gateway.calls)
    ports = world.ports(Ledger.read(world.path), check=True)
    result = SettleEscrows(ports, wish(), Path(world.path).parent).run()
    assert result.changed
    assert set(world.gateway.calls[calls:]) == {"state"}
    assert not intents(world)


def test_a_busy_escrow_is_deactivated_and_waited_for(world: World) -> None:
    world.gateway.records["1"].runtime.active_requests = 2
    with pytest.raises(BusyError, match="2 active"):
        settle(world, seconds=20)
    assert world.gateway.records["1"].active is False
    assert "finalize" not in world.gateway.calls
    world.gateway.records["1"].runtime.active_requests = 0
    assert only(settle(world)).settled


@BOTH
@pytest.mark.parametrize("call", ["deactivate", "finalize"])
@pytest.mark.parametrize("lose", ["before", "after"])
def test_a_lost_call_is_continued_after_a_look(
    world: World, how: dict[str, t.Any], call: str, lose: t.Literal["before", "after"]
) -> None:
    world.gateway.lose[call] = lose
    assert only(settle(world, **how)).refund == REFUND
    assert settles_on_chain(world) == 1


@pytest.mark.parametrize("lose", ["before", "after"])
def test_a_lost_broadcast_is_repeated_with_the_same_bytes(
    world: World, lose: t.Literal["before", "after"]
) -> None:
    signed = world.signer.signed
    settle(world, ids=(2,))
    world.chain.lose = lose
    settle(world)
    assert world.signer.signed == signed + 2
    assert settles_on_chain(world) == 2


def test_a_lost_reply_of_the_gateways_settle_is_resolved_by_the_escrow(world: World) -> None:
    world.gateway.lose["settle"] = "after"
    assert only(settle(world, **GATEWAY)).refund == REFUND
    assert settles_on_chain(world) == 1


def test_a_lost_request_to_settle_is_open_until_it_cannot_happen_any_more(world: World) -> None:
    world.gateway.lose["settle"] = "before"
    with pytest.raises(WaitTimeoutError):
        settle(world, seconds=20, **GATEWAY)
    assert world.gateway.calls.count("settle") == 1
    with pytest.raises(WaitTimeoutError):
        settle(world, seconds=20, **GATEWAY)
    assert world.gateway.calls.count("settle") == 1
    world.chain.step(140)
    assert only(settle(world, **GATEWAY)).refund == REFUND


def test_a_transaction_that_fails_in_the_block_claims_no_refund(world: World) -> None:
    world.chain.refuse = "out of gas"
    with pytest.raises(PartialFailure, match="out of gas") as caught:
        settle_all(world)
    (escrow,) = caught.value.result.to_result()["escrows"]
    assert (escrow["settled"], escrow["refund"]) == (False, None)
    assert escrow["problem"]["kind"] == "chain_rejected"
    assert intents(world)[0].state is State.REJECTED
    assert only(settle(world)).refund == REFUND


def test_the_false_success_is_closed(world: World) -> None:
    """Without quorum a settle would be answered 200 and refused in the block."""
    world.gateway.signatures = 10
    for how in ({}, GATEWAY):
        with pytest.raises(WaitTimeoutError, match="signatures"):
            settle(world, seconds=20, **how)
    assert "settle" not in world.gateway.calls
    assert intents(world) == []
    world.gateway.signatures = 16
    assert only(settle(world)).refund == REFUND


def test_the_last_epoch_works_and_one_later_is_refused_with_the_reason(world: World) -> None:
    world.chain.next_epoch()
    assert only(settle(world)).settled
    world.chain.next_epoch()
    with pytest.raises(UnsafeError, match="nothing proves that it was settled"):
        settle(world, ids=(2,))
    assert world.chain.forfeited == [2]
    assert only(settle(world)).settled, "our own ledger proves it after the chain pruned it"


def test_too_late_names_the_epoch_before_the_chain_prunes(world: World) -> None:
    world.chain.epoch_index += 2
    with pytest.raises(UnsafeError, match="is of epoch 5, the chain is in epoch 7"):
        settle(world)
    assert intents(world) == []


def test_a_kept_settlement_needs_neither_gateway_nor_storage(world: World) -> None:
    world.chain.delay = 10_000
    with pytest.raises(WaitTimeoutError):
        settle(world, seconds=20)
    world.chain.delay = 0
    world.chain.pending.clear()
    world.chain.step(60)
    world.gateway.down = True
    assert only(settle(world)).refund == REFUND
    assert any("only kept settlements" in text for text in world.warnings)


def keep_settlement(world: World) -> None:
    """Finalized and kept; nothing was signed or sent."""
    world.gateway.deactivate("1")
    document = world.gateway.finalize("1")
    with world.open() as ledger:
        files = SettlementFiles(ledger.folder, "fake")
    files.keep(Settlement.parse(document, "finalize"))


@pytest.mark.parametrize("select", ["all", "inactive_unsettled"])
def test_a_selection_finds_a_kept_settlement_whose_record_is_gone(
    world: World, select: str
) -> None:
    keep_settlement(world)
    del world.gateway.records["1"]
    result = settle(world, ids=(), select=select)
    assert 1 in [escrow.id for escrow in result.escrows]
    assert world.chain.escrows[1].settled
    assert settle(world, ids=(), select=select).escrows == []


def test_a_kept_settlement_without_a_session_is_not_given_to_the_gateway(world: World) -> None:
    keep_settlement(world)
    del world.gateway.records["1"]
    with pytest.raises(UnsafeError, match="settlement_via: signed"):
        settle(world, **GATEWAY)


def test_a_damaged_settlement_is_told_with_the_way_out(world: World) -> None:
    keep_settlement(world)
    file = Path(world.path).parent / "settlements" / "fake" / "escrow-1.json"
    for content in ("{", "{}"):
        file.write_text(content)
        with pytest.raises(ProtocolError, match="Move it away and run again"):
            settle(world)
    file.unlink()
    assert only(settle(world)).refund == REFUND


def check(world: World, **changes: t.Any) -> SettleResult:
    ports = world.ports(Ledger.read(world.path), check=True)
    with first_problem():
        return SettleEscrows(ports, wish(**changes), Path(world.path).parent).run()


def test_check_mode_refuses_what_a_real_run_would(world: World) -> None:
    keep_settlement(world)
    assert check(world).changed
    world.chain.allowed = ("gonka1other",)
    with pytest.raises(UnsafeError, match="no longer on the chain's list"):
        check(world)
    world.gateway.records["2"].active = world.gateway.records["2"].runtime.active = False
    world.gateway.records["2"].runtime.phase = "finalizing"
    with pytest.raises(UnsafeError, match="phase finalizing"):
        check(world, ids=(2,))


def test_without_session_and_settlement_the_way_back_is_named(world: World) -> None:
    world.gateway.records["1"].runtime = None
    world.gateway.records["1"].active = False
    with pytest.raises(UnsafeError, match="Bring the session back"):
        settle(world)


def test_a_finalize_that_was_cut_off_is_reported_as_stuck(world: World) -> None:
    record = world.gateway.records["1"]
    record.active = record.runtime.active = False
    record.runtime.phase = "finalizing"
    with pytest.raises(UnsafeError, match="finalizing"):
        settle(world, seconds=20)


def test_one_that_cannot_be_settled_does_not_stop_the_others(world: World) -> None:
    world.gateway.records["1"].runtime.active_requests = 1
    with pytest.raises(PartialFailure) as caught:
        settle_all(world, ids=(1, 2), seconds=60)
    assert caught.value.to_failure()["kind"] == "busy"
    first, second = caught.value.result.to_result()["escrows"]
    assert (first["settled"], second["settled"]) == (False, True)


def test_somebody_elses_escrow_and_an_empty_wallet_are_refused(world: World) -> None:
    world.chain.money = 999_999
    with pytest.raises(UnsafeError, match="1 ngonka are missing"):
        settle(world)
    world.chain.escrows[1].creator = "gonka1other"
    with pytest.raises(UnsafeError, match="its creator on the chain is gonka1other"):
        settle(world)


@pytest.mark.parametrize(
    ("select", "expected"),
    [("all", [1, 2]), ("inactive_unsettled", [2]), ("depleted", [1]), ("expiring", [])],
)
def test_the_selections_choose_what_they_say(
    world: World, select: str, expected: list[int]
) -> None:
    world.gateway.records["1"].runtime.nonce = 19_800
    world.gateway.records["2"].active = world.gateway.records["2"].runtime.active = False
    result = settle(world, ids=(), select=select)
    assert [escrow.id for escrow in result.escrows] == expected
    assert settle(world, ids=(), select=select).escrows == []


def test_expiring_follows_the_deadline(world: World) -> None:
    assert settle(world, ids=(), select="expiring", deadline_blocks=100).escrows == []
    world.chain.next_epoch()
    world.chain.step(950)
    result = settle(world, ids=(), select="expiring", deadline_blocks=100)
    assert [escrow.id for escrow in result.escrows] == [1, 2]


def test_a_selection_finishes_what_an_earlier_run_began(world: World) -> None:
    world.chain.delay = 10
    with pytest.raises(WaitTimeoutError):
        settle(world, seconds=20)
    world.chain.step(20)
    assert world.chain.escrows[1].settled
    result = settle(world, ids=(), select="depleted")
    assert [(escrow.id, escrow.refund) for escrow in result.escrows] == [(1, REFUND)]
    assert not [intent for intent in intents(world) if intent.open]
    assert settle(world, ids=(), select="depleted").escrows == []


def test_a_selection_without_the_gateway_is_unknown_not_empty(world: World) -> None:
    world.gateway.down = True
    with pytest.raises(UnknownStateError):
        settle(world, ids=(), select="all")


def test_ids_and_select_exclude_each_other() -> None:
    for bad in (wish(select="all"), replace(wish(), ids=())):
        with pytest.raises(ConfigurationError):
            bad.check()


def test_the_newest_nonce_is_remembered_for_a_later_restore(world: World) -> None:
    world.gateway.records["1"].runtime.nonce = 41
    settle(world)
    with world.open() as ledger:
        assert [mark.nonce for mark in ledger.session_marks(1)] == [41]


def test_a_node_without_an_index_still_proves_our_own_settle(world: World) -> None:
    settle(world)
    world.chain.index_on = False
    escrow = only(settle(world))
    assert (escrow.settled, escrow.refund) == (True, REFUND), "the ledger kept the event's numbers"


def test_without_an_index_a_foreign_settle_is_settled_but_its_refund_is_unknown(
    world: World,
) -> None:
    world.chain.escrows[1].settled = True
    world.chain.index_on = False
    escrow = only(settle(world))
    assert (escrow.settled, escrow.refund, escrow.tx_hash) == (True, None, None)
    assert any("could not be read" in text for text in world.warnings)


def test_without_an_index_a_pruned_escrow_is_unknown_not_lost(world: World) -> None:
    del world.chain.escrows[1]
    world.chain.index_on = False
    with pytest.raises(UnknownStateError, match="index"):
        settle(world)


def test_settling_goes_on_without_the_public_api(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down() -> t.NoReturn:
        raise TransportError("the public API does not answer", sent=False)

    monkeypatch.setattr(world.chain, "epoch", down)
    assert only(settle(world)).refund == REFUND
    assert any("no deadline is known" in text for text in world.warnings)
    with pytest.raises(UnknownStateError, match="deadlines"):
        settle(world, ids=(), select="expiring")


def test_a_restarted_gateway_is_finalized_again_before_it_settles(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lost the signatures it had in memory: settling at once would be the false success."""
    finalize, money = world.gateway.finalize, world.chain.money

    def spend(number: str) -> dict[str, t.Any]:
        world.chain.money = 0
        return finalize(number)

    with monkeypatch.context() as patch:
        patch.setattr(world.gateway, "finalize", spend)
        with pytest.raises(UnsafeError, match="are missing"):
            settle(world, **GATEWAY)
    world.chain.money = money
    world.gateway.in_memory.clear()
    assert only(settle(world, **GATEWAY)).refund == REFUND
    assert world.gateway.calls.count("finalize") == 2
    assert settles_on_chain(world) == 1


def test_somebody_else_who_settles_first_costs_the_fee_and_no_failure(world: World) -> None:
    def first(_number: int) -> None:
        world.chain.escrows[1].settled = True

    world.chain.before_execution = first
    escrow = only(settle(world))
    assert (escrow.settled, escrow.refund) == (True, None)
    assert any("another account settled" in text for text in world.warnings)


def test_a_node_that_is_behind_never_leads_to_a_second_settle(world: World) -> None:
    settle(world)
    signed = world.signer.signed
    world.chain.escrows[1].settled = False
    with pytest.raises(UnknownStateError, match="Nothing is signed again"):
        settle(world)
    assert world.signer.signed == signed


def test_a_lost_reply_is_still_explained_after_the_chain_pruned_the_escrow(world: World) -> None:
    """Found by random lives: it had been called expired, although the refund had come."""
    world.gateway.lose["settle"] = "after"
    with world.open() as ledger:
        ports = replace(
            world.ports(ledger, signer=False),
            deadline=t.cast("t.Any", FakeDeadline(world.chain, 0)),
        )
        with pytest.raises(WaitTimeoutError), first_problem():
            SettleEscrows(ports, wish(**GATEWAY), ledger.folder).run()
    world.chain.next_epoch()
    world.chain.next_epoch()
    world.chain.index_on = False
    with pytest.raises(UnknownStateError, match="index"):
        settle(world, **GATEWAY)
    assert intents(world)[0].open
    world.chain.index_on = True
    assert only(settle(world, **GATEWAY)).refund == REFUND
    assert [(i.state, (i.result or {})["refund"]) for i in intents(world)] == [(State.DONE, REFUND)]


def empty(world: World) -> None:
    world.chain.money = 999_999


def delist(world: World) -> None:
    world.chain.allowed = ("gonka1other",)


def disapprove(world: World) -> None:
    world.chain.approved = ("v9",)


def lower_the_nonce_limit(world: World) -> None:
    world.chain.max_nonce = 16


def raise_the_price(world: World) -> None:
    world.chain.gas_price = 2


def silence_hosts(world: World) -> None:
    world.silent_hosts = 6


def sell(world: World) -> None:
    world.chain.escrows[1].creator = "gonka1other"


def set_the_clock_back(world: World) -> None:
    world.chain.host_behind = timedelta(minutes=3)


REFUSED = [
    (empty, {}, "1 ngonka are missing"),
    (delist, {}, "no longer on the chain's list"),
    (disapprove, {}, '"v2" is not approved'),
    (lower_the_nonce_limit, {}, "would have nonce 17, above the chain's max_nonce 16"),
    (raise_the_price, {}, "set settlement_fee_amount .* to 2000000 or more"),
    (silence_hosts, {}, "only 10 of its 16 slots answer, and 11 must sign"),
    (sell, {}, "its creator on the chain is gonka1other"),
    (set_the_clock_back, {}, "clock"),
    (
        lambda _world: None,
        {"creator": CREATOR, "unsigned": True},
        "no inferenced at devshard_inferenced_path",
    ),
    (lambda _world: None, {**GATEWAY, "known_env": frozenset({"X"})}, "no DEVSHARD_PRIVATE_KEY"),
]


@pytest.mark.parametrize("check", [False, True], ids=["run", "check"])
@pytest.mark.parametrize(("harm", "how", "text"), REFUSED)
def test_what_can_be_refused_is_refused_before_anything_is_touched(
    harm: t.Callable[[World], None],
    how: dict[str, t.Any],
    text: str,
    check: bool,
    world: World,
) -> None:
    """Each of these used to be found out only after the escrow was finalized, or not at all."""
    harm(world)
    how = dict(how)
    signer = not how.pop("unsigned", False) and how.get("settle_via") is not Via.GATEWAY
    calls, sent = len(world.gateway.calls), len(world.chain.txs)
    with world.open() as ledger:
        ports = world.ports(ledger, check=check, seconds=30, signer=signer)
        with pytest.raises(DevshardError, match=text):
            SettleEscrows(ports, wish(**how), ledger.folder).run()
    assert set(world.gateway.calls[calls:]) == {"state"}
    assert world.gateway.records["1"].active
    assert len(world.chain.txs) == sent


def test_hosts_that_come_back_are_waited_for(world: World) -> None:
    """Escrow 1 goes on serving until enough hosts answer."""
    world.silent_hosts = 6
    step = world.chain.step

    def heal(blocks: int = 1) -> None:
        assert world.gateway.records["1"].active or world.silent_hosts == 0
        world.silent_hosts = 0
        step(blocks)

    world.chain.step = heal  # type: ignore[method-assign]
    assert only(settle(world)).settled


def test_hosts_need_not_be_asked_where_only_the_gateway_reaches_them(world: World) -> None:
    world.silent_hosts = 16
    assert only(settle(world, ask_hosts=False)).settled


def test_a_refused_escrow_goes_on_serving_and_the_others_come_home(world: World) -> None:
    world.gateway.records["1"].runtime.nonce = 19_990
    with pytest.raises(PartialFailure, match="escrow 1 is not settled and goes on") as info:
        settle_all(world, ids=(1, 2))
    first, second = info.value.result.to_result()["escrows"]
    assert (first["settled"], first["problem"]["objection"]) == (False, "nonce")
    assert (second["settled"], second["refund"]) == (True, REFUND)
    assert world.gateway.records["1"].active


def test_somebody_elses_escrow_is_named_and_not_left_out_in_silence(world: World) -> None:
    world.chain.escrows[1].creator = "gonka1other"
    with pytest.raises(PartialFailure, match="gonka1other") as info:
        settle_all(world, ids=(), select="all")
    result = info.value.result.to_result()
    assert [(row["id"], row["creator"]) for row in result["foreign"]] == [(1, "gonka1other")]
    assert [(row["id"], row["settled"]) for row in result["escrows"]] == [(1, False), (2, True)]
    left = settle(world, ids=(), select="all", leave_foreign=True)
    assert [row["id"] for row in left.foreign] == [1]
    assert left.escrows == []
    assert settle(world, ids=(), select="depleted").foreign[0]["amount"] == AMOUNT


def test_check_mode_says_that_it_predicts(world: World) -> None:
    ports = world.ports(Ledger.read(world.path), check=True)
    escrow = only(SettleEscrows(ports, wish(), Path(world.path).parent).run())
    assert (escrow.predicted, escrow.settled) == (True, False)
    assert escrow.refund == AMOUNT - CREATE_FEE, "what the session holds now"
    assert not only(settle(world)).predicted
