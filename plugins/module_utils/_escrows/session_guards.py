# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Whether a session may begin, be activated or imported, without losing the escrow's deposit."""

from __future__ import annotations

import typing as t

from .._core.errors import UnknownStateError, UnsafeError
from .record_look import RecordLook

if t.TYPE_CHECKING:
    from .._chain.models import HostsNonce
    from .pool_rules import EscrowView
    from .ports import Ports
    from .record_options import DevshardOptions


class SessionGuards:
    """Refuse a session from scratch or from an older copy, which cannot be settled."""

    def __init__(
        self, ports: Ports, options: DevshardOptions, look: RecordLook | None = None
    ) -> None:
        self._ports = ports
        self._options = options
        self._look = look or RecordLook(ports, options.id)

    def must_be_on_chain(self, view: EscrowView) -> EscrowView:
        if view.settled:
            raise UnsafeError(f"escrow {view.id} is settled on the chain", escrow_id=view.id)
        if not view.on_chain:
            raise UnsafeError(
                f"the chain does not have escrow {view.id}: it was pruned two epochs after its "
                f"own, or never created",
                escrow_id=view.id,
            )
        return view

    def refuse_new_session(self, view: EscrowView) -> None:
        """Registering begins a session at nonce 0, which must be the escrow's first one."""
        self.must_be_on_chain(view)
        if self._options.model_id is not None and self._options.model_id != view.model:
            raise UnsafeError(
                f"escrow {view.id} is for model {view.model} on the chain, not for"
                f" {self._options.model_id}",
                escrow_id=view.id,
            )
        known = self._hosts(0)
        newest = max(known.nonce, self._look.marked_nonce())
        if newest > 0:
            raise UnsafeError(
                f"escrow {view.id} has a session up to nonce {newest} somewhere. A new one would"
                f" lose its deposit of {view.amount} ngonka: import the old one (state=imported)",
                escrow_id=view.id,
                nonce=newest,
                amount=view.amount,
            )
        if known.nobody_told:
            raise UnknownStateError(
                f"escrow {view.id} is not registered: none of its hosts could be asked whether it"
                " has a session already",
                escrow_id=view.id,
            )
        self._name_silent(view, known)

    def refuse_activation(self, view: EscrowView) -> None:
        self.must_be_on_chain(view)
        if view.phase not in (None, "active"):
            raise UnsafeError(
                f"escrow {view.id} cannot serve any more: its session is in phase {view.phase}."
                " Settle it",
                escrow_id=view.id,
                phase=view.phase,
            )
        if view.loaded:
            # loaded once and never again: what served elsewhere since then is not in it
            self.compare_with_hosts(view)

    def _hosts(self, since: int) -> HostsNonce:
        escrow = self._ports.chain.escrow(self._options.id)
        if escrow is None:
            raise UnsafeError(f"the chain does not have escrow {self._options.id}")
        return self._ports.hosts_nonce(escrow, since)

    def _compare_session(self, view: EscrowView) -> None:
        """The loaded session must be the one that the source last reported, never an older one."""
        nonce, balance = view.nonce or 0, view.balance or 0
        wanted_nonce, wanted_balance = self._options.expected_nonce, self._options.expected_balance
        risk = f"Do not activate it: its deposit of {view.amount} ngonka would be lost"
        if wanted_nonce is not None and nonce != wanted_nonce:
            raise UnsafeError(
                f"the session of escrow {view.id} is at nonce {nonce}, its source was at"
                f" {wanted_nonce}. {risk}",
                escrow_id=view.id,
                nonce=nonce,
                expected_nonce=wanted_nonce,
                amount=view.amount,
            )
        if wanted_balance is not None and balance != wanted_balance:
            raise UnsafeError(
                f"the session of escrow {view.id} has a balance of {balance}, its source had"
                f" {wanted_balance} at the same nonce. {risk}",
                escrow_id=view.id,
                balance=balance,
                expected_balance=wanted_balance,
                amount=view.amount,
            )
        if (marked := self._look.marked_nonce()) > nonce:
            raise UnsafeError(
                f"the session of escrow {view.id} is at nonce {nonce}, but the ledger saw it at"
                f" {marked}. {risk}",
                escrow_id=view.id,
                nonce=nonce,
                ledger_nonce=marked,
                amount=view.amount,
            )

    def compare_with_hosts(self, view: EscrowView) -> None:
        if not view.loaded:
            raise UnknownStateError(
                f"escrow {view.id} has a record but its session is not loaded", escrow_id=view.id
            )
        self._compare_session(view)
        if not view.unsettled:
            return
        known = self._hosts(view.nonce or 0)
        # its own background work may have gone on while the hosts were asked
        if known.nonce > (view.nonce or 0) and known.nonce > (self._look.view().nonce or 0):
            raise UnsafeError(
                f"the session of escrow {view.id} is at nonce {view.nonce or 0}, but a"
                f" host knows nonce {known.nonce}: it is an older copy, or something still serves"
                f" it. Do not activate it: its deposit of {view.amount} ngonka would be lost",
                escrow_id=view.id,
                nonce=view.nonce,
                hosts_nonce=known.nonce,
                amount=view.amount,
            )
        self._name_silent(view, known)

    def _name_silent(self, view: EscrowView, known: HostsNonce) -> None:
        if known.silent:
            self._ports.warn(
                f"escrow {view.id}: {len(known.silent)} of {known.asked} hosts did not report which"
                " nonce they know"
            )
