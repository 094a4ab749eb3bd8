# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The states of an intent, as a pure state machine."""

from __future__ import annotations

import enum
import typing as t
from dataclasses import dataclass, fields


class Kind(enum.Enum):
    CREATE = "create"
    SETTLE = "settle"
    DELETE = "delete"
    IMPORT = "import"


class Via(enum.Enum):
    """Who signs and sends: this host, or the gateway when we ask it."""

    SIGNED = "signed"
    GATEWAY = "gateway"


class State(enum.Enum):
    PLANNED = "planned"
    """Written down. Nothing has left the host."""
    SIGNED = "signed"
    """The bytes are recorded. They may have been sent, any number of times."""
    ASKED = "asked"
    """The gateway is about to be asked, or was. What it did is not known yet."""
    INCLUDED = "included"
    """The chain executed the transaction with success; our follow-up is not proved yet."""
    DONE = "done"
    """Everything that was wanted is proved."""
    REJECTED = "rejected"
    """The chain executed the transaction and refused it: the fee is spent, nothing else."""
    EXPIRED = "expired"
    """The lifetime ended on the chain's clock without inclusion: it never happened."""
    DROPPED = "dropped"
    """It is certain that nothing was sent."""
    LOST = "lost"
    """The chain paid the deposit to the hosts before it was settled."""


class Event(enum.Enum):
    SIGN = "sign"
    ASK = "ask"
    NOTE = "note"
    INCLUDE = "include"
    REJECT = "reject"
    EXPIRE = "expire"
    DROP = "drop"
    FINISH = "finish"
    LOSE = "lose"


TERMINAL: t.Final = frozenset(
    {State.DONE, State.REJECTED, State.EXPIRED, State.DROPPED, State.LOST}
)


ON_CHAIN: t.Final = frozenset({Kind.CREATE, Kind.SETTLE})


_ALWAYS: t.Final[dict[tuple[State, Event], State]] = {
    (State.PLANNED, Event.DROP): State.DROPPED,
}


_SIGNED: t.Final[dict[tuple[State, Event], State]] = {
    (State.PLANNED, Event.SIGN): State.SIGNED,
    (State.SIGNED, Event.INCLUDE): State.INCLUDED,
    (State.SIGNED, Event.REJECT): State.REJECTED,
    (State.SIGNED, Event.EXPIRE): State.EXPIRED,
}


_ASKED_CHAIN: t.Final[dict[tuple[State, Event], State]] = {
    (State.PLANNED, Event.ASK): State.ASKED,
    (State.ASKED, Event.INCLUDE): State.INCLUDED,
    (State.ASKED, Event.REJECT): State.REJECTED,
    (State.ASKED, Event.EXPIRE): State.EXPIRED,
    (State.ASKED, Event.DROP): State.DROPPED,
}


_INCLUDED: t.Final[dict[tuple[State, Event], State]] = {
    (State.INCLUDED, Event.FINISH): State.DONE,
    (State.INCLUDED, Event.LOSE): State.LOST,
}


_ASKED_LOCAL: t.Final[dict[tuple[State, Event], State]] = {
    (State.PLANNED, Event.ASK): State.ASKED,
    (State.ASKED, Event.FINISH): State.DONE,
    (State.ASKED, Event.DROP): State.DROPPED,
}


class IllegalTransition(ValueError):
    """The ledger refuses a step that its state machine does not know: a bug in the caller."""


def transitions(kind: Kind, via: Via) -> dict[tuple[State, Event], State]:
    """All steps an intent of this kind may make."""
    if kind not in ON_CHAIN:
        return {**_ALWAYS, **_ASKED_LOCAL}
    return {**_ALWAYS, **(_SIGNED if via is Via.SIGNED else _ASKED_CHAIN), **_INCLUDED}


def advance(kind: Kind, via: Via, state: State, event: Event) -> State:
    """The state after ``event``. Pure; a step that is not allowed raises."""
    if event is Event.NOTE and state not in TERMINAL:
        return state
    try:
        return transitions(kind, via)[state, event]
    except KeyError:
        raise IllegalTransition(
            f"{kind.value} via {via.value}: {event.value} is not allowed in state {state.value}"
        ) from None


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What an intent is about, as it is known before anything is done for it."""

    gateway: str
    chain_id: str
    creator: str
    model: str | None = None
    amount: int | None = None
    escrow_id: int | None = None
    fee: int | None = None
    gas: int | None = None
    seen_height: int | None = None
    seen_time: str | None = None
    terms: dict[str, t.Any] | None = None
    """What the chain asked and promised then."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Intent:
    id: int
    kind: Kind
    via: Via
    state: State
    gateway: str
    chain_id: str
    creator: str
    run_id: str
    created_at: str
    updated_at: str
    model: str | None = None
    amount: int | None = None
    escrow_id: int | None = None
    fee: int | None = None
    gas: int | None = None
    tx_hash: str | None = None
    tx_bytes: str | None = None
    timeout_at: str | None = None
    seen_height: int | None = None
    seen_time: str | None = None
    result: dict[str, t.Any] | None = None

    @property
    def open(self) -> bool:
        return self.state not in TERMINAL

    @property
    def terms(self) -> dict[str, t.Any] | None:
        """What was noted of the chain when it was planned; None in what 0.3.0 and earlier wrote."""
        return (self.result or {}).get("terms")

    def to_result(self) -> dict[str, t.Any]:
        """For people and results: everything but the bytes, which only the chain needs."""
        hidden = {"tx_bytes", "result"}
        shown: dict[str, t.Any] = {
            f.name: getattr(self, f.name) for f in fields(self) if f.name not in hidden
        }
        shown |= {"kind": self.kind.value, "via": self.via.value, "state": self.state.value}
        return {**shown, "open": self.open, "result": self.result or {}}


@dataclass(frozen=True, kw_only=True, slots=True)
class HistoryEntry:
    """One line of an intent's history."""

    intent: int
    at: str
    run_id: str
    event: str
    before: str | None
    after: str
    detail: dict[str, t.Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionMark:
    """The newest nonce and balance this host ever saw of an escrow's session."""

    escrow_id: int
    gateway: str
    nonce: int
    balance: int | None
    phase: str | None
    seen_at: str
