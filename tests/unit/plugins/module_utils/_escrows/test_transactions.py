# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import base64
import hashlib
import json
import typing as t
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.gonka.devshard.plugins.module_utils._chain.models import (
    TxEvent,
    TxResult,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ChainRejectedError,
    ConfigurationError,
    ProtocolError,
    TransportError,
    UnknownStateError,
    WaitTimeoutError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.files import stamp
from ansible_collections.gonka.devshard.plugins.module_utils._escrows import transactions as tx
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import (
    Event,
    Intent,
    Kind,
    State,
    Subject,
    Via,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.store import Ledger
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ports import Ports
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    AMOUNT,
    BLOCK,
    CREATOR,
    MODEL,
    World,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
LIFETIME = timedelta(seconds=120)
MINUTE = timedelta(minutes=1)


def result(code: int = 0, **changes: t.Any) -> TxResult:
    values: dict[str, t.Any] = {
        "txhash": "AB" * 32,
        "height": 7,
        "code": code,
        "codespace": "sdk" if code else "",
        "raw_log": "no" * 400 if code else "",
        "gas_wanted": 500_000,
        "gas_used": 1,
        "events": (TxEvent(type="devshard_escrow_created", attributes={"escrow_id": "12"}),),
        **changes,
    }
    return TxResult(**values)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def ledger(world: World) -> Iterator[Ledger]:
    with world.open() as opened:
        yield opened


@pytest.fixture
def ports(world: World, ledger: Ledger) -> Ports:
    return world.ports(ledger, seconds=60)


def plan(world: World, ledger: Ledger, **changes: t.Any) -> Intent:
    values: dict[str, t.Any] = {
        "gateway": "http://127.0.0.1:18080",
        "chain_id": "fake",
        "creator": CREATOR,
        "model": MODEL,
        "amount": AMOUNT,
        "fee": 1_000_000,
        "gas": 500_000,
        "seen_height": world.chain.height,
        **changes,
    }
    return ledger.plan(Kind.CREATE, Via.SIGNED, Subject(**values))


def signed(ports: Ports, intent: Intent) -> Intent:
    """Recorded with its hash and its bytes; nothing is sent."""
    made = tx.sign_create(ports, intent, LIFETIME)
    return ports.record().apply(
        intent,
        Event.SIGN,
        tx_hash=made.tx_hash,
        tx_bytes=made.tx_bytes,
        timeout_at=made.timeout_at,
    )


def send(ports: Ports, intent: Intent) -> Intent:
    return tx.sign_and_send(ports, intent, lambda: tx.sign_create(ports, intent, LIFETIME))


# what a hash proves


@given(
    code=st.none() | st.integers(0, 3),
    late=st.none() | st.integers(-3, 3),
    index_on=st.booleans(),
)
def test_only_a_late_block_and_an_index_prove_that_it_never_happened(
    code: int | None, late: int | None, index_on: bool
) -> None:
    """``late``: by how many minutes the newest block is later than the end of its lifetime."""
    found = None if code is None else result(code)
    ends = None if late is None else NOW - late * MINUTE
    outcome = tx.judge(found, NOW, ends, index_on)
    if code is not None:
        assert outcome is (tx.TxOutcome.INCLUDED if code == 0 else tx.TxOutcome.REJECTED)
    elif late is not None and late > 0 and index_on:
        assert outcome is tx.TxOutcome.EXPIRED
    else:
        assert outcome is tx.TxOutcome.PENDING


def test_the_block_is_read_before_the_hash_is_looked_up(
    world: World, ports: Ports, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a transaction of the blocks in between would be called void."""
    intent = signed(ports, plan(world, ledger))
    world.chain.receive(
        intent.tx_hash or "", json.loads(base64.b64decode(intent.tx_bytes or ""))["body"]
    )
    look_up = world.chain.tx

    def late(tx_hash: str) -> t.Any:
        found = look_up(tx_hash)
        world.chain.step(100)
        return found

    monkeypatch.setattr(world.chain, "tx", late)
    assert tx.look(ports.chain, intent).outcome is tx.TxOutcome.PENDING
    assert tx.look(ports.chain, intent).outcome is tx.TxOutcome.INCLUDED


def test_a_node_without_an_index_or_without_old_blocks_proves_nothing(
    world: World, ports: Ports, ledger: Ledger
) -> None:
    intent = signed(ports, plan(world, ledger))
    world.chain.step(60)
    world.chain.index_on = False
    with pytest.raises(UnknownStateError, match="keeps no index"):
        tx.look(ports.chain, intent)
    world.chain.index_on = True
    world.chain.first_block = world.chain.height - 1
    with pytest.raises(UnknownStateError, match="no block before"):
        tx.look(ports.chain, intent)
    world.chain.first_block = 0
    assert tx.look(ports.chain, intent).outcome is tx.TxOutcome.EXPIRED


def test_nothing_is_looked_up_without_a_hash(world: World, ports: Ports, ledger: Ledger) -> None:
    with pytest.raises(ProtocolError, match="no transaction hash"):
        tx.look(ports.chain, plan(world, ledger))


# lifetimes


def asked(ledger: Ledger, world: World, at: datetime, ended: datetime | None = None) -> Intent:
    intent = ledger.plan(
        Kind.CREATE,
        Via.GATEWAY,
        Subject(
            gateway="g",
            chain_id="fake",
            creator=CREATOR,
            model=MODEL,
            amount=AMOUNT,
        ),
    )
    intent = ledger.apply(intent, Event.ASK, timeout_at=tx.gateway_timeout(at))
    if ended is None:
        return intent
    return ledger.apply(intent, Event.NOTE, result={"call_ended": stamp(ended)})


def test_a_signed_one_is_over_a_little_after_its_own_end(
    world: World, ports: Ports, ledger: Ledger
) -> None:
    intent = signed(ports, plan(world, ledger))
    ends = tx.lifetime_end(intent)
    assert ends is not None
    assert abs(ends - (world.chain.now + LIFETIME + tx.EXPIRY_MARGIN)) < timedelta(seconds=1)
    assert tx.lifetime_end(plan(world, ledger)) is None


def test_one_of_the_gateway_is_over_when_it_could_have_been_signed_last(
    world: World, ledger: Ledger
) -> None:
    killed = tx.lifetime_end(asked(ledger, world, NOW))
    assert killed == (NOW + tx.GATEWAY_SIGNS_WITHIN + tx.GATEWAY_LIFETIME + tx.GATEWAY_MARGIN)
    told = tx.lifetime_end(asked(ledger, world, NOW, NOW + MINUTE))
    assert told == (
        NOW + MINUTE + tx.GATEWAY_NOTICES_WITHIN + tx.GATEWAY_LIFETIME + tx.GATEWAY_MARGIN
    )
    late = tx.lifetime_end(asked(ledger, world, NOW, NOW + timedelta(hours=1)))
    assert late == killed, "the end of the call never makes it longer"


def test_what_the_gateway_signed_for_a_call_ends_within_its_window(
    world: World, ledger: Ledger
) -> None:
    window = tx.signing_window(asked(ledger, world, NOW, NOW + MINUTE))
    assert window is not None
    first, last = window
    for signed_after in (timedelta(), MINUTE, MINUTE + tx.GATEWAY_NOTICES_WITHIN):
        assert first <= NOW + signed_after + tx.GATEWAY_LIFETIME <= last
    assert first > NOW - MINUTE + tx.GATEWAY_LIFETIME
    assert last < NOW + 2 * MINUTE + tx.GATEWAY_LIFETIME
    assert tx.signing_window(plan(world, ledger)) is None


# signing


WANTED = {"@type": "/x", "creator": CREATOR, "amount": "5"}
UNSIGNED: dict[str, t.Any] = {
    "messages": [WANTED],
    "timeout_timestamp": "2026-01-02T03:06:05Z",
    "unordered": True,
}


def test_what_the_program_made_is_compared_with_what_was_asked() -> None:
    assert tx.check_unsigned(json.dumps({"body": UNSIGNED}), WANTED) == "2026-01-02T03:06:05Z"


@pytest.mark.parametrize(
    "body",
    [
        {**UNSIGNED, "messages": [{**WANTED, "amount": "6"}]},
        {**UNSIGNED, "messages": [{**WANTED, "creator": "gonka1other"}]},
        {**UNSIGNED, "messages": [WANTED, WANTED]},
        {**UNSIGNED, "messages": []},
        {**UNSIGNED, "unordered": False},
        {**UNSIGNED, "unordered": "true"},
        {**UNSIGNED, "timeout_timestamp": "soon"},
        {key: value for key, value in UNSIGNED.items() if key != "timeout_timestamp"},
        None,
    ],
)
def test_another_transaction_than_asked_is_never_signed(body: object) -> None:
    with pytest.raises(ProtocolError):
        tx.check_unsigned(json.dumps({"body": body}), WANTED)


def test_a_text_that_is_no_transaction_is_refused() -> None:
    with pytest.raises(ProtocolError, match="no unordered transaction"):
        tx.check_unsigned("Error: no key", WANTED)


def test_the_hash_is_that_of_the_bytes() -> None:
    raw = b"signed"
    assert tx.hash_of(base64.b64encode(raw).decode()) == hashlib.sha256(raw).hexdigest().upper()
    for bad in ("", "no base64!", "AAA"):
        with pytest.raises(ProtocolError):
            tx.hash_of(bad)


def test_nothing_of_a_signature_stays_on_the_disk(
    world: World, ports: Ports, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = ledger.folder / "signing"
    folder.mkdir()
    (folder / "signed.json").write_text("of a killed run")
    seen: list[tuple[int, int]] = []
    sign = world.signer.sign

    def look(file: str, **options: t.Any) -> str:
        there = Path(file)
        assert sorted(path.name for path in folder.iterdir()) == ["unsigned.json"]
        seen.append((there.stat().st_mode & 0o777, folder.stat().st_mode & 0o777))
        return sign(file, **options)

    monkeypatch.setattr(world.signer, "sign", look)
    signed(ports, plan(world, ledger))
    assert seen == [(0o600, 0o700)]
    assert not folder.exists()

    def fail(_file: str) -> str:
        raise ProtocolError("inferenced could not encode")

    monkeypatch.setattr(world.signer, "encode", fail)
    with pytest.raises(ProtocolError):
        signed(ports, plan(world, ledger))
    assert not folder.exists()


def test_what_could_not_be_signed_was_not_sent(
    world: World, ports: Ports, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    intent = plan(world, ledger)
    monkeypatch.setattr(world.chain, "account", lambda _address: None)
    with pytest.raises(ConfigurationError, match="send ngonka to it first"):
        send(ports, intent)
    assert ledger.get(intent.id).state is State.DROPPED
    assert world.chain.pending == []


def test_nothing_is_signed_without_a_program_or_with_a_wrong_clock(
    world: World, ledger: Ledger
) -> None:
    with pytest.raises(ConfigurationError, match="needs inferenced"):
        tx.sign_create(world.ports(ledger, signer=False), plan(world, ledger), LIFETIME)
    world.chain.host_behind = timedelta(minutes=10)
    with pytest.raises(UnknownStateError, match="clock"):
        tx.sign_create(world.ports(ledger), plan(world, ledger), LIFETIME)


# sending


def test_it_is_recorded_with_its_hash_before_it_is_sent(
    world: World, ports: Ports, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    intent = plan(world, ledger)

    def killed(tx_bytes: str) -> t.NoReturn:
        kept = ledger.get(intent.id)
        assert (kept.state, kept.tx_bytes) == (State.SIGNED, tx_bytes)
        assert kept.tx_hash == tx.hash_of(tx_bytes)
        raise KeyboardInterrupt

    monkeypatch.setattr(world.chain, "broadcast", killed)
    with pytest.raises(KeyboardInterrupt):
        send(ports, intent)
    assert ledger.get(intent.id).open


def test_the_same_bytes_are_sent_until_the_chain_has_decided(
    world: World, ports: Ports, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    broadcast = world.chain.broadcast

    def forgetful(tx_bytes: str) -> t.Any:
        """The first two are accepted and forgotten."""
        sent.append(tx_bytes)
        reply = broadcast(tx_bytes)
        if len(sent) < 3:
            world.chain.pending.clear()
        return reply

    monkeypatch.setattr(world.chain, "broadcast", forgetful)
    done = send(ports, plan(world, ledger))
    assert (done.state, done.escrow_id) == (State.INCLUDED, 1)
    assert len(sent) == 3
    assert len(set(sent)) == 1
    assert world.signer.signed == 1


@pytest.mark.parametrize(("code", "passes"), [(18, True), (19, True), (42, True), (5, False)])
def test_a_refused_copy_says_nothing_about_the_first_one(
    world: World, ports: Ports, ledger: Ledger, code: int, passes: bool
) -> None:
    intent = signed(ports, plan(world, ledger))
    world.chain.check_tx = (code, "told so")
    kind = WaitTimeoutError if passes else ChainRejectedError
    with pytest.raises(kind) as caught:
        tx.deliver(ports, intent)
    assert ledger.get(intent.id).state is State.SIGNED, "it may still be included"
    if not passes:
        assert "could still be included until" in str(caught.value)


def test_a_copy_that_is_refused_after_one_was_accepted_is_waited_for(
    world: World, ports: Ports, ledger: Ledger
) -> None:
    intent = signed(ports, plan(world, ledger))
    world.chain.delay = 3
    broadcast = world.chain.broadcast

    def then_refused(tx_bytes: str) -> t.Any:
        reply = broadcast(tx_bytes)
        world.chain.check_tx = (5, "insufficient funds")
        return reply

    world.chain.broadcast = then_refused  # type: ignore[method-assign]
    assert tx.deliver(ports, intent).state is State.INCLUDED


def test_a_silent_node_is_asked_until_the_deadline_and_then_told(
    world: World, ports: Ports, ledger: Ledger
) -> None:
    intent = signed(ports, plan(world, ledger))
    world.chain.silent = True
    before = world.chain.now
    with pytest.raises(WaitTimeoutError, match="The chain does not answer"):
        tx.deliver(ports, intent)
    assert world.chain.now - before >= timedelta(seconds=60) - BLOCK
    assert ledger.get(intent.id).open


def test_a_refusal_in_the_block_keeps_why(world: World, ports: Ports, ledger: Ledger) -> None:
    world.chain.refuse = "x" * 900
    done = send(ports, plan(world, ledger))
    assert done.state is State.REJECTED
    assert (done.result or {})["code"] == 1
    assert len((done.result or {})["raw_log"]) == 500


def test_only_recorded_bytes_are_sent(world: World, ports: Ports, ledger: Ledger) -> None:
    with pytest.raises(ProtocolError, match="no transaction to send"):
        tx.deliver(ports, plan(world, ledger))


def test_waiting_for_what_another_sent_sends_nothing(
    world: World, ports: Ports, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sends(_tx_bytes: str) -> t.NoReturn:
        raise AssertionError("it was sent")

    monkeypatch.setattr(world.chain, "broadcast", sends)
    intent = asked(ledger, world, world.chain.now)
    intent = ledger.apply(intent, Event.NOTE, tx_hash="CD" * 32)
    with pytest.raises(WaitTimeoutError, match="Nothing new is signed while that is open"):
        tx.await_outcome(ports, intent)
    failing = iter([True, True])
    look_up = world.chain.tx

    def sometimes(tx_hash: str) -> t.Any:
        if next(failing, False):
            raise TransportError("502", sent=True)
        return look_up(tx_hash)

    monkeypatch.setattr(world.chain, "tx", sometimes)
    world.chain.step(300)
    assert tx.await_outcome(world.ports(ledger), intent).state is State.EXPIRED


def test_an_included_create_without_its_event_is_no_escrow() -> None:
    assert tx.created_escrow(result()) == 12
    for events in ((), (TxEvent(type="devshard_escrow_created", attributes={}),)):
        with pytest.raises(ProtocolError, match="no create event"):
            tx.created_escrow(result(events=events))
