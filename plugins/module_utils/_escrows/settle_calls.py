# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Takes an escrow out of service and gets its settlement from the gateway."""

from __future__ import annotations

import typing as t

from .._core.errors import (
    BusyError,
    ConflictError,
    DevshardError,
    NotFoundError,
    ProtocolError,
    TransportError,
    UnknownStateError,
    WaitTimeoutError,
)
from .._core.outcomes import Waiting
from .gateway_replies import store_is_busy
from .settle_rules import Settlement

if t.TYPE_CHECKING:
    from .pool_rules import EscrowView
    from .settle_look import SettleLook
    from .settle_options import SettleRun, Work


def _work(view: EscrowView) -> str:
    requests = f"{view.active_requests or 0} active request(s)"
    return (
        f"{requests} and {view.background} of work after replies" if view.background else requests
    )


class SettleCalls:
    def __init__(self, run: SettleRun, look: SettleLook) -> None:
        self._run = run
        self._ports = run.ports
        self._look = look

    def deactivate(self, view: EscrowView) -> Waiting | None:
        self._mark(view)
        try:
            self._ports.gateway.deactivate(str(view.id))
        except TransportError as exc:
            if exc.details.get("sent") is False:
                raise
            # The next look tells whether it was done.
            return Waiting(exc)
        self._run.result.actions.append(f"deactivated escrow {view.id}")
        return None

    def still_busy(self, view: EscrowView) -> Waiting:
        limit = self._ports.limits.longest_request
        reason = BusyError(
            f"escrow {view.id} still has {_work(view)}; it is deactivated and gets no new requests."
            f" The gateway ends each of them at the latest {limit // 60} minutes after it began, even"
            " if its client is gone. Run this again to continue",
            escrow_id=view.id,
            active_requests=view.active_requests,
            longest_request=limit,
        )
        return Waiting(reason)

    def load(self, work: Work, view: EscrowView) -> Waiting | None:
        """Bring back a session that went with the service; its store may be open for a moment."""
        # a lost answer may have loaded it
        work.loaded = True
        try:
            self._ports.gateway.activate(str(view.id))
        except ProtocolError as exc:
            if not store_is_busy(exc):
                raise
            return Waiting(exc)
        except TransportError as exc:
            if exc.details.get("sent") is False:
                raise
            return Waiting(exc)
        self._run.result.actions.append(f"loaded escrow {view.id}")
        return None

    def put_back(self, work: Work) -> None:
        """One that was loaded to be finalized, and was not, does not stay in service."""
        number = str(work.id)
        try:
            if any(
                one.id == number and one.active for one in self._ports.gateway.state().devshards
            ):
                self._ports.gateway.deactivate(number)
                self._run.result.actions.append(f"deactivated escrow {number}")
        except DevshardError as exc:
            self._ports.warn(
                f"escrow {number} was loaded to be settled, could not be, and may be in service again:"
                f" {exc}. Run this again, or take it out of service with gonka.devshard.devshard"
                " (state: inactive)"
            )

    def left_to_gateway(self, view: EscrowView) -> Waiting:
        reason = BusyError(
            f"escrow {view.id} is out of service ({_work(view)}), and its gateway settles it by itself"
            " when its work has ended. Nothing is sent a second time. Run this again to see its refund",
            escrow_id=view.id,
            active_requests=view.active_requests,
        )
        return Waiting(reason)

    def _refused_busy(self, view: EscrowView, exc: DevshardError) -> Waiting:
        """A request or work that no field shows came first. What still serves is taken out of
        service, so that no further one comes."""
        if view.active:
            self.deactivate(view)
        reason = BusyError(
            f"escrow {view.id} cannot be finalized yet: its gateway still works on it"
            f" ({exc.details.get('server_message') or exc}), which may take up to"
            f" {self._ports.limits.longest_request // 60} minutes after a broken stream although no"
            " request is shown. It is deactivated and gets no new requests. Run this again to continue",
            escrow_id=view.id,
            active_requests=view.active_requests,
            longest_request=self._ports.limits.longest_request,
        )
        return Waiting(reason)

    def _mark(self, view: EscrowView) -> None:
        if view.nonce is not None:
            self._ports.record().mark_session(
                view.id, self._ports.gateway_id, view.nonce, view.balance, view.phase
            )

    def finalize(self, work: Work, view: EscrowView) -> Waiting | None:
        """Try once to get a settlement with quorum into our own folder; else why it has to wait."""
        number = work.id
        self._mark(view)
        last: DevshardError | None = None
        document: dict[str, t.Any] | None
        try:
            document = self._ports.gateway.finalize(str(number))
        except (TransportError, ProtocolError) as exc:
            if (waiting := self._refused(view, exc)) is not None:
                return waiting
            last, document = exc, self._finalized(number)
        if document is None:
            return self._unfinished(number, last)
        settlement = Settlement.parse(document, f"the finalize of escrow {number}")
        if settlement.escrow_id != number:
            raise ProtocolError(
                f"the finalize of escrow {number} names escrow {settlement.escrow_id}"
            )
        if not settlement.has_quorum:
            return self._unfinished(
                number,
                UnknownStateError(
                    f"insufficient signatures: {settlement.signatures} of {settlement.slots} slots"
                    f" signed, {settlement.quorum} are needed"
                ),
            )
        self._run.files.keep(settlement)
        work.finalized = True
        self._run.result.actions.append(f"finalized escrow {number}")
        return None

    def _refused(self, view: EscrowView, exc: TransportError | ProtocolError) -> Waiting | None:
        """Why to wait after a finalize that failed; None where its settlement may be there."""
        reloads = self._ports.limits.reloads
        if isinstance(exc, TransportError):
            return None
        if isinstance(exc, ConflictError):
            return self._refused_busy(view, exc) if reloads else None
        if isinstance(exc, NotFoundError) and reloads:
            # it was unloaded since the look; the next one loads it
            return Waiting(exc)
        if exc.details.get("http_status") not in ((500, 502) if reloads else (500,)):
            raise exc
        return None

    def _finalized(self, number: int) -> dict[str, t.Any] | None:
        """The settlement of a session that already is in phase settlement."""
        try:
            return self._ports.gateway.finalized(str(number))
        except (ConflictError, TransportError):
            return None

    def _unfinished(self, number: int, last: DevshardError | None) -> Waiting:
        record = self._look.records().get(number)
        phase = record.runtime.phase if record and record.runtime else "unknown"
        reason = WaitTimeoutError(
            f"escrow {number} could not be finalized in time (phase {phase}): {last}. Its deposit "
            f"is not lost: run this again, which collects the missing signatures",
            escrow_id=number,
            phase=phase,
        )
        return Waiting(reason)
