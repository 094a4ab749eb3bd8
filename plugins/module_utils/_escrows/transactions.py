# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""A transaction that cannot happen twice: signed once, recorded, then sent as often as needed.

Its hash decides. Included: final. Not found, and a block later than its lifetime: it never
happened and never will. Anything else is not known yet, and nothing new may be signed.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import enum
import hashlib
import json
import shutil
import typing as t
from dataclasses import dataclass
from datetime import datetime, timedelta

from .._chain.fees import CREATE_TYPE, INSUFFICIENT_FEE, SETTLE_TYPE
from .._chain.limits import MAX_BLOCK_AGE
from .._chain.models import SettledEvent
from .._core.errors import (
    ChainRejectedError,
    ConfigurationError,
    DevshardError,
    ProtocolError,
    RateLimitedError,
    TransportError,
    UnknownStateError,
    WaitTimeoutError,
)
from .._core.files import private_folder, stamp, write_private
from .._core.reader import parse_time
from .ledger.states import Event, Intent, Kind, Via
from .ledger.store import Ledger

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .._chain.models import BroadcastReply, ChainHead, TxResult
    from .._chain.ports import ChainPort, SignerPort
    from .ports import Ports

EXPIRY_MARGIN: t.Final = timedelta(seconds=MAX_BLOCK_AGE)
"""The index may lag the blocks, and a node behind one address may be behind another one by as much
as a node may be that is used at all; only after that is a hash called void."""
GATEWAY_LIFETIME: t.Final = timedelta(minutes=9)
GATEWAY_SIGNS_WITHIN: t.Final = timedelta(seconds=430)
"""The gateway may be held up before it signs, but it signs nothing once its caller is gone; this
is a little more than the longest call."""
GATEWAY_NOTICES_WITHIN: t.Final = timedelta(seconds=30)
"""How long after the end of a call the gateway may still sign for it."""
GATEWAY_MARGIN: t.Final = timedelta(minutes=2)

_SENT: t.Final = frozenset({0, 19})
"""Accepted, and already known to this node: both mean that the bytes are on their way."""
_STILL_POSSIBLE: t.Final = frozenset({18, 19, 42})
"""Refusals of a copy that say nothing about the first one: time slot used, seen, too late."""


class TxOutcome(enum.Enum):
    INCLUDED = "included"
    REJECTED = "rejected"
    EXPIRED = "expired"
    PENDING = "pending"


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedTx:
    tx_bytes: str
    tx_hash: str
    timeout_at: str


def lifetime_end(intent: Intent) -> datetime | None:
    """When the chain can no longer include this intent's transaction."""
    if intent.timeout_at is None:
        return None
    if intent.via is Via.SIGNED:
        return parse_time(intent.timeout_at) + EXPIRY_MARGIN
    return _last_lifetime(intent.timeout_at, intent) + GATEWAY_MARGIN


def _last_lifetime(timeout_at: str, intent: Intent) -> datetime:
    """The latest end of lifetime of what the gateway signed; sooner when its call has ended.

    A settle that collects signatures again may take longer than any create. It was signed before the
    answer that has its hash.
    """
    latest = parse_time(timeout_at)
    ended = (intent.result or {}).get("call_ended")
    if ended is None:
        return latest
    by_call = parse_time(ended) + GATEWAY_NOTICES_WITHIN + GATEWAY_LIFETIME
    return min(latest, by_call) if intent.tx_hash is None else by_call


def judge(
    tx: TxResult | None, head_time: datetime, ends: datetime | None, index_on: bool
) -> TxOutcome:
    """What is certain about a hash. ``head_time`` was read before the hash was looked up."""
    if tx is not None:
        return TxOutcome.INCLUDED if tx.code == 0 else TxOutcome.REJECTED
    if ends is None or head_time <= ends or not index_on:
        return TxOutcome.PENDING
    return TxOutcome.EXPIRED


@dataclass(frozen=True, kw_only=True, slots=True)
class TxFinding:
    outcome: TxOutcome
    tx: TxResult | None
    head: ChainHead


def look(chain: ChainPort, intent: Intent) -> TxFinding:
    """Ask the chain about an intent's hash; the order of the questions matters (see judge)."""
    if intent.tx_hash is None:
        raise ProtocolError(f"intent {intent.id} has no transaction hash to look up")
    head = chain.head()
    ends = lifetime_end(intent)
    tx = chain.tx(intent.tx_hash)
    index_on = True
    if tx is None and ends is not None and head.time > ends:
        index_on = chain.tx_indexer_on()
        if not index_on:
            raise UnknownStateError(
                f"transaction {intent.tx_hash} is not found, but this node keeps no index of"
                " transactions, so that proves nothing. Use a node whose indexer is on",
                tx_hash=intent.tx_hash,
            )
        refuse_young_node(chain, intent)
    return TxFinding(outcome=judge(tx, head.time, ends, index_on), tx=tx, head=head)


def refuse_young_node(chain: ChainPort, intent: Intent) -> None:
    """Not found proves nothing on a node that never saw the blocks in which it could be."""
    if intent.seen_height is None:
        return
    first = chain.begins_after(intent.seen_height)
    if first is not None:
        raise UnknownStateError(
            f"{_what(intent)} is not found, but this node has no block before {first} and intent"
            f" {intent.id} was written at block {intent.seen_height}, so that proves nothing. Use a"
            " node with older blocks",
            tx_hash=intent.tx_hash,
            seen_height=intent.seen_height,
            first_block=first,
        )


def record(ledger: Ledger, intent: Intent, finding: TxFinding) -> Intent:
    """Write a final outcome; an open one changes nothing."""
    tx = finding.tx
    if finding.outcome is TxOutcome.EXPIRED:
        return ledger.apply(intent, Event.EXPIRE, {"height": finding.head.height})
    if tx is None:
        return intent
    facts: dict[str, t.Any] = {"height": tx.height, "gas_used": tx.gas_used}
    if intent.kind is Kind.SETTLE and intent.escrow_id is not None:
        event = SettledEvent.from_tx(tx, intent.escrow_id)
        facts |= {} if event is None else event.accounts
    if finding.outcome is TxOutcome.REJECTED:
        facts |= {"code": tx.code, "codespace": tx.codespace, "raw_log": tx.raw_log[:500]}
        return ledger.apply(intent, Event.REJECT, facts, result=facts)
    if intent.kind is not Kind.CREATE:
        return ledger.apply(intent, Event.INCLUDE, facts, result=facts)
    number = created_escrow(tx)
    return ledger.apply(intent, Event.INCLUDE, facts, result=facts, escrow_id=number)


def sign_create(ports: Ports, intent: Intent, lifetime: timedelta) -> SignedTx:
    """Sign the creation of one escrow. Nothing is sent."""
    signer = _signer(ports)
    unsigned = signer.generate_create(
        intent.amount,
        intent.model,
        chain_id=ports.chain_id,
        fee=intent.fee,
        gas=intent.gas,
        lifetime=int(lifetime.total_seconds()),
    )
    wanted = {
        "@type": "/inference.inference.MsgCreateDevshardEscrow",
        "creator": intent.creator,
        "amount": str(intent.amount),
        "model_id": intent.model,
    }
    return _sign(ports, intent, unsigned, wanted)


def sign_settle(ports: Ports, intent: Intent, settlement: Path, lifetime: timedelta) -> SignedTx:
    """Sign the settlement of one escrow from its kept document. Nothing is sent."""
    signer = _signer(ports)
    unsigned = signer.generate_settle(
        str(settlement),
        chain_id=ports.chain_id,
        fee=intent.fee,
        gas=intent.gas,
        lifetime=int(lifetime.total_seconds()),
    )
    wanted = {
        "@type": "/inference.inference.MsgSettleDevshardEscrow",
        "settler": intent.creator,
        "escrow_id": str(intent.escrow_id),
    }
    return _sign(ports, intent, unsigned, wanted)


def check_unsigned(text: str, wanted: dict[str, t.Any]) -> str:
    """The end of the lifetime, if the CLI made what it was asked for and nothing else."""
    try:
        body = json.loads(text)["body"]
        (message,) = body["messages"]
        ends = body["timeout_timestamp"]
        unordered = body["unordered"]
    except (ValueError, KeyError, TypeError) as exc:
        raise ProtocolError(f"inferenced made no unordered transaction: {exc}") from exc
    wrong = {key: message.get(key) for key, value in wanted.items() if message.get(key) != value}
    if wrong or unordered is not True:
        raise ProtocolError(
            f"inferenced made a different transaction than requested: {wrong or 'ordered'}"
        )
    parse_time(ends)
    return str(ends)


def hash_of(tx_bytes: str) -> str:
    """The transaction hash of base64 bytes: upper-case hexadecimal SHA-256."""
    try:
        raw = base64.b64decode(tx_bytes, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise ProtocolError("inferenced did not encode the transaction as base64") from exc
    if not raw:
        raise ProtocolError("inferenced encoded an empty transaction")
    return hashlib.sha256(raw).hexdigest().upper()


def _signer(ports: Ports) -> SignerPort:
    if ports.signer is None:
        raise ConfigurationError("signing on this host needs inferenced and its keyring")
    return ports.signer


def _sign(ports: Ports, intent: Intent, unsigned: str, wanted: dict[str, t.Any]) -> SignedTx:
    signer = _signer(ports)
    ends = check_unsigned(unsigned, wanted)
    ports.chain.signing_head()
    account = ports.chain.account(intent.creator)
    if account is None:
        raise ConfigurationError(
            f"the chain has no account {intent.creator} yet: send ngonka to it first"
        )
    with _scratch(ports.record()) as folder:
        plain, signed = folder / "unsigned.json", folder / "signed.json"
        write_private(plain, unsigned)
        write_private(
            signed,
            signer.sign(str(plain), account_number=account.account_number, chain_id=ports.chain_id),
        )
        tx_bytes = signer.encode(str(signed)).strip()
    return SignedTx(tx_bytes=tx_bytes, tx_hash=hash_of(tx_bytes), timeout_at=ends)


@contextlib.contextmanager
def _scratch(ledger: Ledger) -> Iterator[Path]:
    """A private folder for the CLI's files; what a killed run left there is removed first."""
    folder = ledger.folder / "signing"
    if folder.exists():
        shutil.rmtree(folder)
    private_folder(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def sign_and_send(ports: Ports, intent: Intent, sign: Callable[[], SignedTx]) -> Intent:
    """Sign once, record, then send. What could not be signed was not sent: its intent is dropped."""
    ledger = ports.record()
    try:
        signed = sign()
    except DevshardError as exc:
        ledger.apply(intent, Event.DROP, {"why": str(exc)[:300]})
        raise
    intent = ledger.apply(
        intent,
        Event.SIGN,
        tx_hash=signed.tx_hash,
        tx_bytes=signed.tx_bytes,
        timeout_at=signed.timeout_at,
    )
    return deliver(ports, intent)


def deliver(ports: Ports, intent: Intent) -> Intent:
    """Send the recorded bytes until the chain has decided about them.

    Sending the same bytes again is harmless, also before and after inclusion, so it is done at
    every look as long as nothing is decided: a node may forget what it has accepted.
    """
    ledger, chain = ports.record(), ports.chain
    if intent.tx_bytes is None:
        raise ProtocolError(f"intent {intent.id} has no transaction to send")
    accepted = False
    while True:
        finding = _look_in_time(ports, intent)
        if finding.outcome is not TxOutcome.PENDING:
            return record(ledger, intent, finding)
        try:
            reply = chain.broadcast(intent.tx_bytes)
        except (TransportError, ProtocolError, RateLimitedError) as exc:
            ledger.apply(intent, Event.NOTE, {"broadcast": str(exc)[:300]})
        else:
            if not accepted or reply.code not in _SENT:
                ledger.apply(
                    intent,
                    Event.NOTE,
                    {"broadcast": reply.code, "codespace": reply.codespace, "log": reply.raw_log},
                )
            accepted = accepted or reply.code in _SENT
            if not accepted and reply.code not in _STILL_POSSIBLE:
                raise _refused_by_node(chain, intent, reply)
        if not ports.deadline.pause(ports.interval):
            raise WaitTimeoutError(pending_text(intent), intent=intent.to_result())


def _refused_by_node(chain: ChainPort, intent: Intent, reply: BroadcastReply) -> ChainRejectedError:
    """Checked and not taken: nothing happened, so there is nothing to wait for.

    The bytes stay recorded, and a later run sends the same ones until their lifetime is over: that
    another node took an earlier copy of them can never be excluded.
    """
    fee = _fee_now(chain, intent) if reply.code == INSUFFICIENT_FEE else ""
    return ChainRejectedError(
        f"the node refuses transaction {intent.tx_hash}: {reply.raw_log} (code"
        f" {reply.code}).{fee} Nothing was locked or paid, but the transaction could still be"
        f" included until {intent.timeout_at}: correct the cause and run this again; "
        f"after that time a new one is signed",
        tx_hash=intent.tx_hash,
        code=reply.code,
        codespace=reply.codespace,
        raw_log=reply.raw_log,
    )


def _fee_now(chain: ChainPort, intent: Intent) -> str:
    """The price may have changed since it was signed; it is read once more, and not tried again."""
    what = CREATE_TYPE if intent.kind is Kind.CREATE else SETTLE_TYPE
    try:
        need = chain.escrow_params().fees.required(what, intent.gas or 0)
    except DevshardError as exc:
        return f" It offers {intent.fee} ngonka, and the price could not be read again ({exc})."
    return (
        f" It offers {intent.fee} ngonka, and by its parameters the chain asks for {need} ngonka for"
        f" its gas limit of {intent.gas} now."
    )


def _look_in_time(ports: Ports, intent: Intent) -> TxFinding:
    """Look; a node that does not answer for a while is asked again until the deadline."""
    while True:
        try:
            return look(ports.chain, intent)
        except (TransportError, ProtocolError) as exc:
            if not ports.deadline.pause(ports.interval):
                raise WaitTimeoutError(
                    f"{pending_text(intent)}. The chain does not answer: {exc}",
                    intent=intent.to_result(),
                ) from exc
        except UnknownStateError:
            if not ports.deadline.pause(ports.interval):
                raise


def await_outcome(ports: Ports, intent: Intent) -> Intent:
    """Wait until the chain has decided about a transaction that another program sent."""
    ledger = ports.record()
    while True:
        finding = _look_in_time(ports, intent)
        if finding.outcome is not TxOutcome.PENDING:
            return record(ledger, intent, finding)
        if not ports.deadline.pause(ports.interval):
            raise WaitTimeoutError(pending_text(intent), intent=intent.to_result())


def pending_text(intent: Intent) -> str:
    ends = lifetime_end(intent)
    until = (
        ""
        if ends is None
        else f"; it is decided at the latest after {stamp(ends)}, run this again then"
    )
    return (
        f"the outcome of {_what(intent)} is not known yet ({intent.kind.value}"
        f"{f' for model {intent.model}' if intent.model else ''}, intent {intent.id})."
        f" Nothing new is signed while that is open{until}"
    )


def _what(intent: Intent) -> str:
    return f"transaction {intent.tx_hash}" if intent.tx_hash else "the call to the gateway"


def fee_for_gateway(offer: int) -> int:
    """0 makes the gateway offer its own default, which would be charged in full."""
    return max(offer, 1)


def gateway_timeout(now: datetime) -> str:
    """The latest end of lifetime that a transaction can have which the gateway is asked for now."""
    return stamp(now + GATEWAY_SIGNS_WITHIN + GATEWAY_LIFETIME)


def signing_window(intent: Intent) -> tuple[datetime, datetime] | None:
    """Between which ends of lifetime the gateway's transaction for this intent must lie."""
    if intent.timeout_at is None:
        return None
    first = parse_time(intent.timeout_at) - GATEWAY_SIGNS_WITHIN - timedelta(seconds=1)
    return first, _last_lifetime(intent.timeout_at, intent)


def created_escrow(tx: TxResult) -> int:
    """The id that the create event of an included transaction names."""
    for event in tx.events:
        if event.type == "devshard_escrow_created":
            number = event.attributes.get("escrow_id", "")
            if number.isdigit():
                return int(number)
    raise ProtocolError(f"transaction {tx.txhash} is included but has no create event")
