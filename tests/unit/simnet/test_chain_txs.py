# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Unordered transactions: what the chain accepts, refuses and includes."""

from __future__ import annotations

import pytest

from simnet import crypto, txs
from simnet.bank import FEE_COLLECTOR
from simnet.chain import Inclusion
from simnet.testing import AMOUNT, FEE, World
from simnet.timestamps import Timestamp


def test_a_transaction_happens_once(world: World) -> None:
    raw = world.sign(world.create_message())
    before = world.chain.bank.balance(world.creator.address)
    first = world.chain.broadcast(raw)
    assert (first.code, first.hash) == (0, txs.tx_hash(raw))
    again = world.chain.broadcast(raw)
    assert (again.code, again.codespace, again.raw_log) == (19, "sdk", "")
    assert world.chain.tx(first.hash) is None
    world.block()
    assert world.chain.broadcast(raw).code == 19
    world.block()
    assert len(world.chain.escrows.all()) == 1
    assert world.chain.bank.balance(world.creator.address) == before - AMOUNT - FEE
    record = world.chain.tx(first.hash)
    assert record is not None
    assert record.code == 0
    assert record.raw == raw


def test_two_transactions_with_one_timestamp(world: World) -> None:
    timeout = Timestamp.from_ns(world.clock.ns + 60 * 10**9)
    message = world.create_message()
    assert world.chain.broadcast(world.sign(message, timeout=timeout)).code == 0
    other = world.sign(message, timeout=timeout, gas=600_000)
    before = world.chain.broadcast(other)
    world.block()
    after = world.chain.broadcast(other)
    for answer in (before, after):
        assert (answer.code, answer.codespace) == (18, "sdk")
        assert f"sender {world.creator.address} has already used timeout" in answer.raw_log
    assert len(world.chain.escrows.all()) == 1


def test_expired(world: World) -> None:
    raw = world.sign(world.create_message(), lifetime=5)
    world.block(6)
    answer = world.chain.broadcast(raw)
    assert (answer.code, answer.codespace) == (42, "sdk")
    assert answer.raw_log.startswith("block time: 2027-")
    assert answer.raw_log.endswith(" +0000 UTC: tx timeout")


def test_lifetime_of_more_than_ten_minutes(world: World) -> None:
    answer = world.broadcast(lifetime=601)
    assert (answer.code, answer.raw_log) == (
        18,
        "unordered tx ttl exceeds 10m0s: invalid request",
    )
    assert world.broadcast(lifetime=599).code == 0


def test_sequence_must_be_zero(world: World) -> None:
    answer = world.broadcast(sequence=1)
    assert (answer.code, answer.raw_log) == (
        18,
        "sequence is not allowed for unordered transactions: invalid request",
    )


@pytest.mark.parametrize("options", [{"chain_id": "other"}, {"account_number": 99}])
def test_wrong_chain_or_account(world: World, options: dict[str, object]) -> None:
    answer = world.broadcast(**options)
    assert (answer.code, answer.codespace) == (4, "sdk")
    assert answer.raw_log.startswith("signature verification failed; ")
    assert world.chain.pending() == []


def test_key_of_somebody_else(world: World) -> None:
    other = crypto.PrivateKey.from_seed("other")
    world.chain.bank.set_balance(other.address, AMOUNT * 2)
    answer = world.chain.broadcast(world.sign(world.create_message(), key=other))
    assert answer.code == 8
    assert "does not match signer address" in answer.raw_log


def test_fee_that_cannot_be_paid() -> None:
    world = World(balance=10)
    answer = world.broadcast()
    assert (answer.code, answer.codespace) == (5, "sdk")
    assert "spendable balance 10ngonka is smaller than 1000000ngonka" in answer.raw_log


def test_account_that_does_not_exist(world: World) -> None:
    other = crypto.PrivateKey.from_seed("nobody")
    message = txs.MsgCreate(other.address, AMOUNT, "m")
    answer = world.chain.broadcast(world.sign(message, key=other))
    assert answer.code == 9


def test_fee_below_the_gas_price(world: World) -> None:
    world.chain.merge_params({"fee_params": {"min_gas_price_ngonka": "10"}})
    assert world.broadcast().code == 13
    assert world.broadcast(fee=5_000_000).code == 0


def test_bytes_that_are_no_transaction(world: World) -> None:
    answer = world.chain.broadcast(b"hello")
    assert (answer.code, answer.codespace) == (2, "sdk")


def test_out_of_gas_in_the_block(world: World) -> None:
    before = world.chain.bank.balance(world.creator.address)
    code, codespace, log = world.deliver(world.create_message(), gas=100_000)
    assert (code, codespace) == (11, "sdk")
    assert log.startswith("out of gas in location: ")
    assert world.chain.escrows.all() == []
    assert world.chain.bank.balance(world.creator.address) == before - FEE


def test_ordered_transactions_count(world: World) -> None:
    message = world.create_message()
    assert world.chain.broadcast(world.sign(message, unordered=False)).code == 0
    world.block()
    assert world.chain.broadcast(world.sign(message, unordered=False, gas=510_000)).code == 32
    assert world.chain.broadcast(world.sign(message, unordered=False, sequence=1)).code == 0


def test_fees_and_events(world: World) -> None:
    raw = world.sign(world.create_message())
    digest = world.chain.broadcast(raw).hash
    world.block()
    assert world.chain.bank.balance(FEE_COLLECTOR) == FEE
    record = world.chain.tx(digest)
    assert record is not None
    assert [entry["type"] for entry in record.events] == [
        "coin_spent", "coin_received", "transfer", "message", "tx", "tx", "message",
        "coin_spent", "coin_received", "transfer", "message", "devshard_escrow_created",
    ]  # fmt: skip
    created = {item["key"]: item["value"] for item in record.events[-1]["attributes"]}
    assert created == {
        "escrow_id": "1",
        "creator": world.creator.address,
        "amount": str(AMOUNT),
        "epoch_index": "214",
        "model_id": world.create_message().model_id,
        "msg_index": "0",
    }
    assert record.data == (
        "123A0A342F696E666572656E63652E696E666572656E63652E4D7367437265617465446576736861"
        "7264457363726F77526573706F6E736512020801"
    )


def test_search_by_event(world: World) -> None:
    for _unused in range(3):
        world.create()
    query = f"devshard_escrow_created.creator='{world.creator.address}'"
    newest = world.chain.search(query, newest_first=True)
    assert len(newest) == 3
    assert [record.height for record in newest] == sorted(
        (record.height for record in newest), reverse=True
    )
    assert newest[::-1] == world.chain.search(query, newest_first=False)
    one = f"{query} AND devshard_escrow_created.escrow_id='2'"
    assert len(world.chain.search(one, newest_first=True)) == 1
    assert world.chain.search("devshard_escrow_created.creator='x'", newest_first=True) == []
    with pytest.raises(ValueError, match="hello"):
        world.chain.search("hello", newest_first=True)


def test_delayed_inclusion(world: World) -> None:
    world.chain.inclusion = Inclusion("delay", blocks=3, times=1)
    answer = world.broadcast()
    for _unused in range(3):
        world.block()
        assert world.chain.tx(answer.hash) is None
    world.block()
    assert world.chain.tx(answer.hash) is not None
    other = world.broadcast()
    world.block()
    assert world.chain.tx(other.hash) is not None


def test_never_included(world: World) -> None:
    world.chain.inclusion = Inclusion("never")
    raw = world.sign(world.create_message(), lifetime=60)
    answer = world.chain.broadcast(raw)
    world.block(59)
    assert world.chain.pending() == [answer.hash]
    world.block(2)
    assert world.chain.pending() == []
    assert world.chain.tx(answer.hash) is None
    assert world.chain.broadcast(raw).code == 42


def test_rejected_in_the_block_costs_the_fee(world: World) -> None:
    world.chain.inclusion = Inclusion("reject", times=1, code=7, codespace="x", raw_log="no")
    before = world.chain.bank.balance(world.creator.address)
    assert world.deliver(world.create_message()) == (7, "x", "no")
    assert world.chain.bank.balance(world.creator.address) == before - FEE


def test_empty_blocks_can_be_skipped(world: World) -> None:
    height = world.chain.height
    world.chain.advance(500)
    assert world.chain.height == height + 500


def test_a_restarted_chain_goes_on(tmp_path: object) -> None:
    from pathlib import Path

    from simnet.chain import Chain
    from simnet.store import Store

    world = World()
    assert isinstance(tmp_path, Path)
    first = Chain(Store(tmp_path / "chain.db"), world.config, world.clock)
    world.chain = first
    world.create()
    height = first.height
    first.store.close()
    second = Chain(Store(tmp_path / "chain.db"), world.config, world.clock)
    assert second.height == height
    assert [escrow["id"] for escrow in second.escrows.all()] == ["1"]
