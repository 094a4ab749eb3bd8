# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The calls that change one record of the gateway, each with what a lost answer left behind."""

from __future__ import annotations

import typing as t

from .._core.errors import BusyError, ProtocolError, TransportError
from .gateway_replies import store_is_busy
from .ledger.states import Event, Intent, Kind, Subject, Via

if t.TYPE_CHECKING:
    from .._gateway.models import Devshard
    from .pool_rules import EscrowView
    from .ports import Ports
    from .record_look import RecordLook
    from .record_options import DevshardOptions

LOOKS: t.Final = 5
"""How often the records are looked at after an answer was lost; these calls take moments."""


class RecordCalls:
    def __init__(self, ports: Ports, options: DevshardOptions, look: RecordLook) -> None:
        self._ports = ports
        self._options = options
        self._look = look

    def register(self, view: EscrowView) -> None:
        model = self._options.model_id or view.model
        self._ports.gateway.add(
            str(self._options.id), private_key_env=self._options.private_key_env, model=model
        )

    def activate(self) -> None:
        """Activate a record; where that loads its session, the store may be open for a moment."""
        self._await_unload()
        while True:
            try:
                self._ports.gateway.activate(str(self._options.id))
            except ProtocolError as exc:
                if not store_is_busy(exc) or not self._ports.deadline.pause(self._ports.interval):
                    raise
            else:
                return

    def _await_unload(self) -> None:
        """One that was deactivated while it worked is unloaded when its work ends, also if it was
        activated before: its record would be active, and it would serve nothing."""

        def works(record: Devshard | None) -> bool:
            runtime = None if record is None or record.active else record.runtime
            return runtime is not None and runtime.work > 0

        if not self._ports.limits.reloads:
            return
        while works(self._look.record()):
            if not self._ports.deadline.pause(self._ports.interval):
                raise BusyError(
                    f"escrow {self._options.id} was deactivated and still works, after which its"
                    " gateway unloads it, also if it is activated before. Run this again when its"
                    " work has ended",
                    escrow_id=self._options.id,
                )

    def deactivate(self) -> None:
        self._mark()
        self._ports.gateway.deactivate(str(self._options.id))

    def _mark(self) -> None:
        record = self._look.record()
        if record is not None and record.runtime is not None:
            runtime = record.runtime
            self._ports.record().mark_session(
                self._options.id,
                self._ports.gateway_id,
                runtime.nonce,
                runtime.balance,
                runtime.phase,
            )

    def _subject(self, view: EscrowView, model: str | None) -> Subject:
        return Subject(
            gateway=self._ports.gateway_id,
            chain_id=self._ports.chain_id,
            creator=view.creator or "",
            model=model,
            amount=view.amount,
            escrow_id=view.id,
        )

    def import_session(self, view: EscrowView, path: str) -> None:
        model = self._options.model_id or view.model
        if model is None:
            raise ProtocolError(f"escrow {view.id} has no model")
        ledger = self._ports.record()
        intent = ledger.plan(
            Kind.IMPORT,
            Via.GATEWAY,
            self._subject(view, model),
        )
        intent = ledger.apply(intent, Event.ASK, {"storage_path": path})
        try:
            self._ports.gateway.import_session(
                str(view.id),
                storage_path=path,
                private_key_env=self._options.private_key_env,
                model=model,
                perf_path=self._options.perf_path,
            )
        except (TransportError, ProtocolError) as exc:
            self._after_failure(intent, exc, there=True)
        else:
            ledger.apply(intent, Event.FINISH)

    def delete(self, view: EscrowView) -> None:
        ledger = self._ports.record()
        intent = ledger.plan(
            Kind.DELETE,
            Via.GATEWAY,
            self._subject(view, view.model),
        )
        intent = ledger.apply(intent, Event.ASK)
        try:
            self._ports.gateway.delete(str(view.id))
        except (TransportError, ProtocolError) as exc:
            self._after_failure(intent, exc, there=False)
            if exc.details.get("http_status") == 500:
                self._ports.warn(
                    f"the record of escrow {view.id} is deleted, its folder {view.storage_path} was"
                    f" left: {exc}"
                )
        else:
            ledger.apply(intent, Event.FINISH)

    def reached(self) -> bool:
        """Whether a call whose answer was lost, or that came second, had its effect."""
        wanted = self._options.state
        if wanted in ("present", "active"):
            return self.await_record(lambda record: record is not None and record.active)
        if wanted == "inactive":
            return self.await_record(lambda record: record is not None and not record.active)
        return False

    def _after_failure(
        self, intent: Intent, exc: TransportError | ProtocolError, *, there: bool
    ) -> None:
        """Done all the same if the record came or went; else raise what the call said."""
        why = {"why": str(exc)[:300]}
        lost = isinstance(exc, TransportError) and exc.details.get("sent") is not False
        if self.await_record(
            lambda record: (record is not None) is there, looks=LOOKS if lost else 1
        ):
            self._ports.record().apply(intent, Event.FINISH, why)
            return
        if not lost:
            self._ports.record().apply(intent, Event.DROP, why)
        raise exc

    def await_record(
        self, reached: t.Callable[[Devshard | None], bool], looks: int = LOOKS
    ) -> bool:
        for _unused in range(looks - 1):
            if reached(self._look.record()):
                return True
            if not self._ports.deadline.pause(self._ports.interval):
                return False
        return reached(self._look.record())
