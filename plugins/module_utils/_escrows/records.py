# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The gateway's records: registered, active, inactive, imported or gone, each guarded.

A record is money as long as its escrow is unsettled: deleting it wipes the session that settling
needs, and a session that starts from scratch or from an older copy cannot be settled at all.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from .._core.errors import (
    BusyError,
    ConfigurationError,
    ConflictError,
    DevshardError,
    TransportError,
    UnknownStateError,
    UnsafeError,
)
from .ledger.states import Event, Kind, State
from .record_calls import RecordCalls
from .record_look import RecordLook
from .session_guards import SessionGuards
from .session_loss import SessionLoss

if t.TYPE_CHECKING:
    from .pool_rules import EscrowView
    from .ports import Ports
    from .record_options import DevshardOptions, Wanted


class SetDevshard:
    """One run of the module for one escrow."""

    def __init__(self, ports: Ports, options: DevshardOptions) -> None:
        self._ports = ports
        self._options = options
        self._look = RecordLook(ports, options.id)
        self._guards = SessionGuards(ports, options, self._look)
        self._loss = SessionLoss(ports, options, self._look)
        self._calls = RecordCalls(ports, options, self._look)
        self._actions: list[str] = []

    def run(self) -> dict[str, t.Any]:
        self._options.check()
        self._ports.chain.head()
        before = view = self._look.view()
        if not self._ports.check_mode and self._close_open_intents():
            view = self._look.view()
        reach: dict[Wanted, t.Callable[[EscrowView], None]] = {
            "present": self._present,
            "active": self._active,
            "inactive": self._inactive,
            "imported": self._imported,
            "absent": self._absent,
        }
        reach[self._options.state](view)
        after = self._after(before, view)
        return {
            "changed": bool(self._actions),
            "devshard": _shown(after)
            if self._ports.check_mode and self._actions
            else after.to_result(),
            "actions": self._actions,
            "before": _shown(before),
            "after": _shown(after),
        }

    def _after(self, before: EscrowView, view: EscrowView) -> EscrowView:
        if self._ports.check_mode:
            return self._predict(before)
        return self._look.view() if self._actions else view

    def _predict(self, before: EscrowView) -> EscrowView:
        """What is known without doing it: whether there is a record, and whether it is active."""
        wanted = self._options.state
        if not self._actions:
            return before
        return replace(before, recorded=wanted != "absent", active=wanted in ("present", "active"))

    def _close_open_intents(self) -> bool:
        """What an earlier run left open in this gateway: only the record shows its outcome."""
        closed = False
        for intent in self._look.intents(Kind.DELETE, Kind.IMPORT):
            if not intent.open or intent.gateway != self._ports.gateway_id:
                continue
            there = self._look.record() is not None
            done = there is (intent.kind is Kind.IMPORT)
            if intent.state is State.ASKED and done:
                self._ports.record().apply(intent, Event.FINISH, {"found": "by the next run"})
            else:
                self._ports.record().apply(intent, Event.DROP, {"why": "it did not happen"})
            closed = True
        return closed

    # registered and active

    def _present(self, view: EscrowView) -> None:
        if view.recorded:
            return
        self._guards.refuse_new_session(view)
        self._do(f"registered escrow {view.id}", lambda: self._calls.register(view))

    def _active(self, view: EscrowView) -> None:
        if not view.recorded:
            self._present(view)
            return
        if view.active and view.loaded:
            return
        self._guards.refuse_activation(view)
        self._do(f"activated escrow {view.id}", self._calls.activate)
        if not view.loaded and not self._ports.check_mode:
            self._check_loaded()

    def _check_loaded(self) -> None:
        """A session that was loaded only now may turn out to be an empty or an older one."""
        view = self._look.view()
        try:
            self._guards.compare_with_hosts(view)
        except UnsafeError as exc:
            try:
                self._ports.gateway.deactivate(str(view.id))
            except DevshardError as lost:
                if not self._calls.await_record(
                    lambda record: record is not None and not record.active
                ):
                    exc.details["still_active"] = str(lost)
                    self._ports.warn(
                        f"escrow {view.id} may still be active with a session that hosts do not"
                        f" accept. Deactivate it with state=inactive before clients use it: {lost}"
                    )
            raise

    # inactive

    def _inactive(self, view: EscrowView) -> None:
        if not view.recorded:
            raise ConfigurationError(
                f"the gateway has no record of escrow {view.id} that could be inactive",
                escrow_id=view.id,
            )
        if not view.active:
            return
        if view.loadable:
            # its unloading was postponed when it was activated; a second time repairs that
            self._do(f"loaded escrow {view.id}", self._calls.activate)
        elif not view.loaded:
            raise UnknownStateError(
                f"escrow {view.id} is active in the records but its session is not loaded; the"
                " gateway only deactivates what it has loaded",
                escrow_id=view.id,
            )
        self._do(f"deactivated escrow {view.id}", self._calls.deactivate)

    # the state imported

    def _imported(self, view: EscrowView) -> None:
        path = self._options.storage_path
        if path is None:
            raise ConfigurationError("state=imported needs storage_path")
        if view.recorded:
            if view.storage_path != path:
                raise UnsafeError(
                    f"the gateway already has escrow {view.id} with its session in"
                    f" {view.storage_path}, not in {path}. If it was never activated and that"
                    " folder holds no session, delete the record and import again",
                    escrow_id=view.id,
                    storage_path=view.storage_path,
                )
            self._guards.compare_with_hosts(view)
            return
        self._guards.must_be_on_chain(view)
        if self._options.expected_nonce is None and self._look.marked_nonce() == 0:
            raise ConfigurationError(
                "state=imported needs expected_nonce, the last nonce that the source reported: the "
                "gateway answers 200 even for a folder without a session"
            )
        self._do(f"imported escrow {view.id}", lambda: self._calls.import_session(view, path))
        if not self._ports.check_mode:
            self._guards.compare_with_hosts(self._look.view())

    # absent

    def _absent(self, view: EscrowView) -> None:
        if not view.recorded:
            return
        self._loss.refuse(view)
        if view.active and view.loaded:
            self._do(f"deactivated escrow {view.id}", self._calls.deactivate)
        if view.work > 0:
            after = f" and {view.background} of work after replies" if view.background else ""
            raise BusyError(
                f"escrow {view.id} still has {view.active_requests} active request(s){after}",
                escrow_id=view.id,
                active_requests=view.active_requests,
            )
        self._do(f"deleted escrow {view.id}", lambda: self._calls.delete(view))

    # doing

    def _do(self, what: str, act: t.Callable[[], object]) -> None:
        self._actions.append(what)
        if self._ports.check_mode:
            return
        try:
            act()
        except (TransportError, ConflictError):
            if not self._calls.reached():
                raise


def _shown(view: EscrowView) -> dict[str, t.Any]:
    return {"id": view.id, "recorded": view.recorded, "active": view.active}
