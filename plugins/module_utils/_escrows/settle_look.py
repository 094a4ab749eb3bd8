# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What settling looks at: the gateway once per round, the chain for each escrow, files, ledger."""

from __future__ import annotations

import functools
import typing as t

from .._core.errors import TransportError, UnknownStateError
from .absence import Absence, absence_of, settled_by
from .deadlines import not_pruned, refuse_upgrade
from .ledger.states import Intent, Kind, State
from .mint_terms import minted_terms
from .observe import look_for_absent, session_of, view_of
from .pool_rules import spent
from .settle_rules import SettleTerms, SettleView, dangers

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from .._chain.models import EscrowParams
    from .._chain.releases import UpgradePlan
    from .._gateway.models import Devshard
    from .mint_terms import MintTerms
    from .pool_rules import EscrowView
    from .settle_options import SettleRun


class RoundLook:
    """What one round sees. Each thing is asked once, when it is needed first."""

    def __init__(self, look: SettleLook, run: SettleRun) -> None:
        self._look = look
        self._run = run
        self._node_checked = False

    @functools.cached_property
    def records(self) -> Mapping[int, Devshard]:
        return self._look.records()

    def check_node(self) -> None:
        """Refuse what nothing may be signed with: the node's faults and this host's clock."""
        if not self._node_checked:
            self._run.ports.chain.signing_head()
            self._node_checked = True

    @functools.cached_property
    def params(self) -> EscrowParams:
        return self._run.ports.chain.escrow_params()

    @functools.cached_property
    def balance(self) -> int:
        return self._run.ports.chain.balance(self._run.creator)

    @functools.cached_property
    def upgrade(self) -> tuple[UpgradePlan, str] | None:
        """The upgrade of the chain that is near, if there is one, and why nothing is signed then."""
        chain = self._run.ports.chain
        plan = chain.upgrade_plan()
        if plan is None:
            return None
        reason = refuse_upgrade(plan, chain.head().height, chain.block_seconds())
        return None if reason is None else (plan, reason)

    @functools.cached_property
    def creates(self) -> list[Intent]:
        ports = self._run.ports
        if ports.ledger is None:
            return []
        return ports.ledger.intents(kind=Kind.CREATE, chain_id=ports.chain_id)

    @functools.cached_property
    def minted(self) -> Mapping[int, MintTerms]:
        return minted_terms(self.creates)

    @functools.cached_property
    def made(self) -> Mapping[int, int]:
        """The epochs of the creator's escrows, also of those that a rotation made."""
        try:
            created = self._run.ports.chain.created_by(self._run.creator)
        except UnknownStateError:
            return {}
        return {event.escrow_id: event.epoch_index for event in created}

    @property
    def terms(self) -> SettleTerms:
        """What every settle depends on."""
        return SettleTerms(
            creator=self._run.creator,
            params=self.params,
            settlement_tag=self._run.ports.settlement_tag,
            minted=self.minted,
        )


class SettleLook:
    def __init__(self, run: SettleRun) -> None:
        self._run = run
        self._ports = run.ports
        self._options = run.options
        self._gateway_gone = False

    def round(self) -> RoundLook:
        return RoundLook(self, self._run)

    def records(self) -> dict[int, Devshard]:
        if self._gateway_gone:
            return {}
        try:
            return {int(item.id): item for item in self._ports.gateway.state().devshards}
        except TransportError as exc:
            # A settlement that was kept needs no gateway; without one the chosen escrow says so.
            self._gateway_gone = True
            self._ports.warn(
                f"the gateway does not answer, only kept settlements can be used: {exc}"
            )
            return {}

    def at(self, escrow_id: int, seen: RoundLook) -> SettleView:
        """One escrow. The chain is asked at its turn, since others' turns may take long."""
        view = self._view(escrow_id, seen.records.get(escrow_id), seen, absent=True)
        return SettleView(view=view, settlement=self._run.files.read(escrow_id))

    def _born(self, escrow_id: int, seen: RoundLook) -> bool:
        """Whether the chain's index has its create, too late for it to be pruned."""
        clock = self._run.clock
        made = None if clock is None else seen.made.get(escrow_id)
        return clock is not None and made is not None and not_pruned(made, clock)

    def _view(
        self, escrow_id: int, record: Devshard | None, seen: RoundLook, *, absent: bool = False
    ) -> EscrowView:
        """``absent``: whether the chain's index is asked for the outcome of one that it does not have."""
        ports, clock = self._ports, self._run.clock
        escrow = ports.chain.escrow(escrow_id)
        session = session_of(ports.gateway, record, escrow, ports.limits, ports.warn)
        absence = None
        if escrow is None:
            known, born = self._ledger(), self._born(escrow_id, seen)
            absence = (
                look_for_absent(ports.chain, escrow_id, known, clock, born=born)
                if absent
                else absence_of(escrow_id, known, clock, born=born)
            )
        return view_of(
            escrow_id, record, escrow, clock, ports.limits, session=session, absence=absence
        )

    # the ledger

    def _ledger(self, kind: Kind | None = None) -> list[Intent]:
        ledger = self._ports.ledger
        if ledger is None:
            return []
        return ledger.intents(kind=kind, chain_id=self._ports.chain_id)

    def intents(self) -> list[Intent]:
        return self._ledger(Kind.SETTLE)

    def of_escrow(self, escrow_id: int) -> list[Intent]:
        return [intent for intent in self.intents() if intent.escrow_id == escrow_id]

    def paid_by_us(self, escrow_id: int) -> Intent | None:
        """Our own settle that the chain executed, if there is one."""
        return settled_by(escrow_id, self.intents())

    # choosing

    def chosen(self, seen: RoundLook) -> list[int]:
        if self._options.ids:
            return list(dict.fromkeys(self._options.ids))
        views = [self._view(number, record, seen) for number, record in seen.records.items()]
        if self._gateway_gone:
            raise UnknownStateError(
                "the gateway does not answer, so which escrows it has is not known. Start it with"
                " gonka.devshard.site, or name escrows whose settlement is kept (settle_ids)"
            )
        # One that an earlier run began may be settled by now, but its intent is still open.
        begun = {
            intent.escrow_id
            for intent in self.intents()
            if intent.open and intent.escrow_id is not None and intent.creator == self._run.creator
        }
        # One whose session is gone from the gateway can still be settled from what was kept.
        known = {view.id for view in views} | {
            intent.escrow_id
            for intent in self.intents()
            if intent.state in (State.INCLUDED, State.DONE)
        }
        views += [
            self._view(number, None, seen)
            for number in self._run.files.kept()
            if number not in known
        ]
        left = set(self._options.leave)
        views = [view for view in views if view.id not in left]
        return sorted((begun - left) | {view.id for view in views if self._selected(view, seen)})

    def _selected(self, view: EscrowView, seen: RoundLook) -> bool:
        if not view.unsettled:
            # one that the chain cannot have pruned yet is named, and not passed over
            wanted = self._options.model_id in (None, view.model)
            return wanted and view.absence is Absence.NOT_SHOWN
        if view.creator != self._run.creator:
            self._run.result.foreign.append(
                {
                    "id": view.id,
                    "creator": view.creator,
                    "amount": view.amount,
                    "deadline": None if view.deadline is None else view.deadline.to_result(),
                }
            )
            return self._options.select == "all" and not self._options.leave_foreign
        if self._options.model_id is not None and view.model != self._options.model_id:
            return False
        if self._options.select == "expiring":
            if view.deadline is None:
                raise UnknownStateError("select=expiring needs the deadlines, and none is known")
            return view.deadline.blocks_left < self._options.deadline_blocks
        if self._options.select == "at_risk":
            kept = self._run.files.read(view.id)
            return bool(dangers(view, seen.terms, self._options.deadline_blocks, kept))
        if self._options.select == "depleted":
            return view.loaded and bool(spent(view, self._ports.limits))
        if self._options.select == "inactive_unsettled":
            return not view.active
        return True
