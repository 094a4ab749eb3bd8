# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The rules for creating, settling and pruning escrows."""

from __future__ import annotations

import dataclasses

import pytest

from simnet import crypto, txs
from simnet.bank import ESCROW_MODULE
from simnet.network import RETIRED_MODEL
from simnet.testing import AMOUNT, FEE, MODEL, Session, World

PREFIX = "failed to execute message; message index: 0: "


def test_created_escrow(world: World) -> None:
    escrow_id = world.create()
    escrow = world.chain.escrows.get(escrow_id)
    assert escrow is not None
    assert escrow["creator"] == world.creator.address
    assert escrow["settled"] is False
    assert len(escrow["slots"]) == 16
    assert len(set(escrow["slots"])) == 9
    assert escrow["epoch_index"] == "214"
    assert world.chain.bank.balance(ESCROW_MODULE) == AMOUNT


@pytest.mark.parametrize(
    ("amount", "model", "log"),
    [
        (1, MODEL, "escrow amount 1 out of range [5000000000, 10000000000]"),
        (10_000_000_001, MODEL, "escrow amount 10000000001 out of range [5000000000, 10000000000]"),
        (AMOUNT, "no/model", 'failed to get epoch group for model "no/model": '),
        (
            AMOUNT,
            RETIRED_MODEL,
            f'no validation weights in epoch group for model "{RETIRED_MODEL}"',
        ),
    ],
)
def test_bad_create_costs_only_the_fee(world: World, amount: int, model: str, log: str) -> None:
    before = world.chain.bank.balance(world.creator.address)
    code, codespace, raw_log = world.deliver(world.create_message(amount, model))
    assert (code, codespace) == (1, "undefined")
    assert raw_log.startswith(PREFIX + log)
    assert world.chain.bank.balance(world.creator.address) == before - FEE


def test_allowlist(world: World) -> None:
    def allow(*addresses: str) -> None:
        world.chain.merge_params(
            {"devshard_escrow_params": {"allowed_creator_addresses": list(addresses)}}
        )

    assert world.deliver(world.create_message())[0] == 0
    allow(crypto.PrivateKey.from_seed("other").address)
    code, codespace, log = world.deliver(world.create_message())
    assert (code, codespace) == (1173, "inference")
    assert "address is not allowed to create devshard escrows" in log
    message = Session(world, 1).settlement()
    assert world.deliver(message)[0] == 1173
    allow(world.creator.address)
    assert world.deliver(world.create_message())[0] == 0
    assert world.deliver(message)[0] == 0


def test_limit_per_epoch(world: World) -> None:
    world.chain.merge_params({"devshard_escrow_params": {"max_escrows_per_epoch": 1}})
    world.create()
    assert world.deliver(world.create_message())[2] == (
        PREFIX + "epoch 214 already has 1 escrows (max 1)"
    )
    world.chain.advance_epochs(1)
    assert world.deliver(world.create_message())[0] == 0


def test_deposit_that_is_not_there() -> None:
    world = World(balance=AMOUNT)
    code, codespace, log = world.deliver(world.create_message())
    assert (code, codespace) == (5, "sdk")
    assert log.startswith(PREFIX + "failed to lock funds: ")
    assert log.endswith("insufficient funds")
    assert world.chain.escrows.all() == []


def test_settlement_pays_back(world: World) -> None:
    escrow_id = world.create()
    session = Session(world, escrow_id)
    session.stats[3] = txs.HostStats(3, cost=130)
    session.fees = 18_000
    session.write(b"chat")
    message = session.settlement()
    before = world.chain.bank.balance(world.creator.address)
    answer = world.chain.broadcast(world.sign(message))
    world.block()
    record = world.chain.tx(answer.hash)
    assert record is not None
    assert record.code == 0, record.raw_log
    assert 381_000 < record.gas_used < 420_500
    settled = {item["key"]: item["value"] for item in record.events[-1]["attributes"]}
    assert record.events[-1]["type"] == "devshard_escrow_settled"
    assert settled == {
        "escrow_id": "1",
        "state_root_and_protocol_version": "v2",
        "settler": world.creator.address,
        "total_payout": "18130",
        "fees": "18000",
        "remainder": str(AMOUNT - 18_130),
        "msg_index": "0",
    }
    assert world.chain.bank.balance(world.creator.address) == before - FEE + AMOUNT - 18_130
    escrow = world.chain.escrows.get(escrow_id)
    assert escrow is not None
    assert escrow["settled"] is True
    assert world.deliver(message)[2] == PREFIX + "escrow 1 already settled"
    assert world.chain.bank.balance(world.creator.address) == before - 2 * FEE + AMOUNT - 18_130


def test_quorum(world: World) -> None:
    escrow_id = world.create()
    message = Session(world, escrow_id).settlement()
    short = dataclasses.replace(message, signatures=message.signatures[:10])
    assert world.deliver(short)[2] == PREFIX + "insufficient quorum: 10 slot votes, need 11"
    enough = dataclasses.replace(message, signatures=message.signatures[:11])
    assert world.deliver(enough)[0] == 0


def test_signatures_are_verified(world: World) -> None:
    escrow_id = world.create()
    message = Session(world, escrow_id).settlement()
    first, *rest = message.signatures
    forged = crypto.PrivateKey.from_seed("liar").sign_recoverable(b"anything")
    cases = {
        "signature for slot ": (dataclasses.replace(first, signature=forged), *rest),
        "duplicate signature for slot ": (first, first, *rest),
        "failed to recover address for slot ": (
            dataclasses.replace(first, signature=b"x" * 65),
            *rest,
        ),
    }
    for log, signatures in cases.items():
        bad = dataclasses.replace(message, signatures=signatures)
        assert world.deliver(bad)[2].startswith(PREFIX + log)


@pytest.mark.parametrize(
    ("change", "log"),
    [
        ({"fees": 1}, "state_root mismatch"),
        ({"state_root": b"short"}, "state_root must be 32 bytes, got 5"),
        ({"nonce": 20_001}, "nonce 20001 exceeds max_nonce 20000"),
        ({"escrow_id": 77}, "escrow 77 not found"),
    ],
)
def test_wrong_settlements(world: World, change: dict[str, object], log: str) -> None:
    message = Session(world, world.create()).settlement()
    bad = dataclasses.replace(message, **change)  # type: ignore[arg-type]
    assert world.deliver(bad)[2] == PREFIX + log


def test_only_the_creator_settles(world: World) -> None:
    message = Session(world, world.create()).settlement()
    other = crypto.PrivateKey.from_seed("other")
    world.chain.bank.set_balance(other.address, AMOUNT)
    bad = dataclasses.replace(message, settler=other.address)
    log = world.deliver(bad, key=other)[2]
    assert log == (
        f"{PREFIX}settler {other.address} is not the escrow creator {world.creator.address}"
    )


def test_approved_versions(world: World) -> None:
    message = Session(world, world.create()).settlement()
    world.chain.merge_params({"devshard_escrow_params": {"approved_versions": [{"name": "v9"}]}})
    assert '"v2" is not listed in devshard_escrow_params' in world.deliver(message)[2]
    world.chain.merge_params({"devshard_escrow_params": {"approved_versions": ["v2"]}})
    assert world.deliver(message)[0] == 0


def test_settling_out_of_gas(world: World) -> None:
    message = Session(world, world.create()).settlement()
    assert world.deliver(message, gas=300_000)[0] == 11
    escrow = world.chain.escrows.get(1)
    assert escrow is not None
    assert escrow["settled"] is False


def test_settle_in_the_next_epoch_but_not_later(world: World) -> None:
    first = Session(world, world.create()).settlement()
    second = Session(world, world.create()).settlement()
    world.chain.advance_epochs(1)
    assert world.deliver(first)[0] == 0
    height = world.chain.epoch.next().switch_height - 1
    world.chain.advance(height - world.chain.height - 1)
    raw = world.sign(second)
    assert world.chain.effective_epoch == 215
    assert world.chain.broadcast(raw).code == 0
    world.chain.advance_epochs(1)
    assert world.chain.effective_epoch == 216
    late = world.chain.tx(txs.tx_hash(raw))
    assert late is not None
    assert late.code == 0, "included in the last block of the epoch"


def test_two_epochs_on_the_deposit_is_gone(world: World) -> None:
    lost, settled = world.create(), world.create()
    message = Session(world, settled).settlement()
    late = Session(world, lost).settlement()
    assert world.deliver(message)[0] == 0
    slots = world.chain.escrows.get(lost)
    assert slots is not None
    members = set(slots["slots"])
    before = world.chain.bank.balance(world.creator.address)
    world.chain.advance_epochs(1)
    assert world.chain.escrows.get(lost) is not None
    world.chain.advance_epochs(1)
    assert world.chain.escrows.all() == []
    for member in members:
        assert world.chain.bank.balance(member) == AMOUNT // len(members)
    assert world.chain.bank.balance(world.creator.address) == before
    assert world.deliver(late)[2] == f"{PREFIX}escrow {lost} not found"


def test_index_of_latest_epoch_rises_before_the_effective_one(world: World) -> None:
    world.chain.advance_to("poc_start")
    assert world.chain.epoch.index == 215
    assert world.chain.effective_epoch == 214
    assert world.chain.phase == "PoCGenerate"
    world.chain.advance_to("set_new_validators", -1)
    assert (world.chain.effective_epoch, world.chain.phase) == (214, "PoCValidateWindDown")
    world.chain.advance(1)
    assert (world.chain.effective_epoch, world.chain.phase) == (215, "Inference")


def test_phases_in_order(world: World) -> None:
    seen: list[str] = []
    world.chain.advance_to("poc_start")
    for _unused in range(world.chain.epoch.params.switch_offset + 1):
        if not seen or seen[-1] != world.chain.phase:
            seen.append(world.chain.phase)
        world.block()
    assert seen == [
        "PoCGenerate", "PoCGenerateWindDown", "PoCValidate", "PoCValidateWindDown", "Inference",
    ]  # fmt: skip
    world.chain.set_phase("PoCValidate")
    assert world.chain.phase == "PoCValidate"
    world.chain.set_phase(None)
    assert world.chain.phase == "Inference"
    with pytest.raises(ValueError, match="unknown phase"):
        world.chain.set_phase("Lunch")


def test_a_shorter_epoch_does_not_skip_epochs(world: World) -> None:
    world.create()
    world.chain.merge_params({"epoch_params": {"epoch_length": "60"}})
    world.block()
    assert world.chain.effective_epoch == 214
    world.chain.advance_epochs(1)
    assert world.chain.effective_epoch == 215
    assert len(world.chain.escrows.all()) == 1


@pytest.mark.parametrize("escrow_id", [0, 1 << 63, (1 << 64) - 1])
def test_ids_out_of_range_do_not_exist(world: World, escrow_id: int) -> None:
    message = Session(world, world.create()).settlement()
    bad = dataclasses.replace(message, escrow_id=escrow_id)
    assert world.deliver(bad)[2] == f"{PREFIX}escrow {escrow_id} not found"
