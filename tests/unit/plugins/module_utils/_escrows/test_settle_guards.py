# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import typing as t
from datetime import timedelta
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    DevshardError,
    UnknownStateError,
    UnsafeError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import (
    Via,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.store import Ledger
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.settle import SettleEscrows
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.settle_options import (
    SettleResult,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.settling import (
    GATEWAY,
    intents,
    keep_settlement,
    only,
    settle,
    two_escrows,
    wish,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    CREATOR,
    World,
    first_problem,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return two_escrows(tmp_path)


def test_too_late_names_the_epoch_before_the_chain_prunes(world: World) -> None:
    world.chain.epoch_index += 2
    with pytest.raises(UnsafeError, match="is of epoch 5, the chain is in epoch 7"):
        settle(world)
    assert intents(world) == []


def test_a_kept_settlement_without_a_session_is_not_given_to_the_gateway(world: World) -> None:
    keep_settlement(world)
    del world.gateway.records["1"]
    with pytest.raises(UnsafeError, match="settlement_via: signed"):
        settle(world, **GATEWAY)


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


def test_somebody_elses_escrow_and_an_empty_wallet_are_refused(world: World) -> None:
    world.chain.money = 999_999
    with pytest.raises(UnsafeError, match="1 ngonka are missing"):
        settle(world)
    world.chain.escrows[1].creator = "gonka1other"
    with pytest.raises(UnsafeError, match="its creator on the chain is gonka1other"):
        settle(world)


def test_a_node_that_is_behind_never_leads_to_a_second_settle(world: World) -> None:
    settle(world)
    signed = world.signer.signed
    world.chain.escrows[1].settled = False
    with pytest.raises(UnknownStateError, match="Nothing is signed again"):
        settle(world)
    assert world.signer.signed == signed


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


def test_nothing_that_serves_is_stopped_while_the_approved_versions_are_not_known(
    world: World,
) -> None:
    world.chain.approved = ()
    calls = len(world.gateway.calls)
    with pytest.raises(
        UnknownStateError, match="continues to serve: the chain's approved versions"
    ):
        settle(world)
    assert set(world.gateway.calls[calls:]) == {"state"}
    world.chain.approved = ("v2",)
    assert only(settle(world)).settled


def test_near_its_deadline_an_escrow_is_settled_also_by_an_unknown_list(world: World) -> None:
    world.chain.approved = ()
    world.chain.next_epoch()
    assert only(settle(world)).settled
    assert any("settled all the same: the chain's approved" in text for text in world.warnings)


def test_what_is_out_of_service_is_settled_also_by_an_unknown_list(world: World) -> None:
    keep_settlement(world)
    world.chain.approved = ()
    assert only(settle(world)).settled
