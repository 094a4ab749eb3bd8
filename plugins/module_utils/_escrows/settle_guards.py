# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Everything that can refuse a settle, asked before the first step that cannot be taken back."""

from __future__ import annotations

import typing as t

from .._chain.fees import SETTLE_TYPE
from .._core.errors import (
    ConfigurationError,
    ProtocolError,
    UnknownStateError,
    UnsafeError,
    WaitTimeoutError,
)
from .._core.outcomes import Waiting
from .absence import not_shown_text
from .deadlines import DEADLINE_BLOCKS, due_in_upgrade
from .ledger.states import Via
from .payment import VERSIONS_UNKNOWN, refuse_fee, refuse_wallet
from .settle_rules import (
    SettleStep,
    SettleView,
    objections,
    refuse_quorum,
    refuse_settlement,
    version_unknown,
)

if t.TYPE_CHECKING:
    from .pool_rules import EscrowView
    from .settle_look import RoundLook, SettleLook
    from .settle_options import SettledEscrow, SettleRun
    from .settle_rules import Objection

_FEE: t.Final = "settlement_fee_amount (in a swap hot_swap_fee_amount)"


_BEFORE_FINALIZE: t.Final = (SettleStep.LOAD, SettleStep.DEACTIVATE, SettleStep.FINALIZE)


class SettleGuards:
    def __init__(self, run: SettleRun, look: SettleLook) -> None:
        self._run = run
        self._ports = run.ports
        self._options = run.options
        self._look = look

    def refuse_foreign(self, seen: SettleView, round_look: RoundLook) -> None:
        view = seen.view
        if view.creator is not None and view.creator != self._run.creator:
            raise self._refusal(view, self._objections(seen, round_look)[0])

    def refuse_step(self, step: SettleStep, seen: SettleView) -> None:
        view = seen.view
        if step is SettleStep.NOT_SHOWN:
            raise UnknownStateError(not_shown_text(view.id), escrow_id=view.id)
        if step is SettleStep.LOST:
            raise UnsafeError(
                f"the chain does not have escrow {view.id}, and nothing proves that it was settled:"
                " either it was pruned two epochs after its own and its deposit went to the hosts,"
                " or it never existed on this chain",
                escrow_id=view.id,
            )
        if step is SettleStep.TOO_LATE:
            now = None if self._run.clock is None else self._run.clock.effective
            raise UnsafeError(
                f"escrow {view.id} is of epoch {view.epoch}, the chain is in epoch {now} and"
                " settles only the current and the previous one: its deposit of"
                f" {view.amount} ngonka goes to the hosts",
                escrow_id=view.id,
                epoch=view.epoch,
                current_epoch=now,
                objection="too_late",
            )
        if step is SettleStep.FINALIZE and not view.loaded:
            raise UnsafeError(
                f"the gateway has not loaded the session of escrow {view.id}, so it cannot settle"
                f" it. Its settlement is kept in {self._run.files.path(view.id)}: settle it with"
                " settlement_via: signed",
                escrow_id=view.id,
            )
        if step is SettleStep.NO_SOURCE:
            raise UnsafeError(
                f"escrow {view.id} ({view.amount} ngonka) has no settlement in"
                f" {self._run.files.path(view.id)} and this gateway has not loaded its session. Bring"
                " the session back (start the gateway that has it, import it, or restore a backup"
                " that is at the newest nonce) and run this again before its deadline",
                escrow_id=view.id,
                objection="no_session",
            )

    def ask_first(
        self, step: SettleStep, seen: SettleView, round_look: RoundLook
    ) -> Waiting | None:
        """Everything that can refuse a settle, before the first step that cannot be taken back.

        What passes by itself, hosts that do not answer, is returned as a reason to wait.
        """
        round_look.check_node()
        self._refuse_key()
        if found := self._objections(seen, round_look):
            raise self._refusal(seen.view, found[0])
        self._refuse_blind_settle(seen, round_look)
        self._refuse_in_upgrade(seen.view, round_look)
        self._refuse_payment(seen.view, round_look)
        if step not in _BEFORE_FINALIZE or not self._options.ask_hosts:
            return None
        escrow = self._ports.chain.escrow(seen.view.id)
        if seen.view.phase != "active" or escrow is None:
            return None
        reason = refuse_quorum(self._ports.voices(escrow))
        if reason is None:
            return None
        waiting = WaitTimeoutError(
            f"escrow {seen.view.id} is not settled{_untouched(seen.view)}: {reason}. Run this "
            f"again when more hosts answer. Where only this host cannot reach them, "
            f"settlement_ask_hosts:"
            " false (ask_hosts) leaves that to the gateway",
            escrow_id=seen.view.id,
        )
        if self._ports.check_mode:
            raise waiting
        return Waiting(waiting)

    def _refuse_key(self) -> None:
        if self._options.settle_via is Via.GATEWAY:
            known, name = self._options.known_env, self._options.private_key_env
            if known is not None and name not in known:
                raise ConfigurationError(
                    f"the gateway's environment has no {name}, so the gateway cannot sign"
                    " (private_key_env)"
                )
        elif self._ports.signer is None:
            raise ConfigurationError(
                "there is no inferenced at devshard_inferenced_path, so this host cannot sign. Install"
                " it with the role gonka.devshard.inferenced, or set settlement_via: gateway"
            )
        elif self._ports.signer.address() is None:
            raise ConfigurationError(
                "the keyring has no key of this name (devshard_keyring_dir, devshard_key_name), so"
                " this host cannot sign. Import it with gonka.devshard.creator_key"
            )

    def _refuse_blind_settle(self, seen: SettleView, round_look: RoundLook) -> None:
        """Nothing serving is stopped for a settlement that the chain may refuse.

        Near its deadline trying is all that is left, and what is out of service stays so.
        """
        view = seen.view
        if not version_unknown(view, round_look.terms, seen.settlement):
            return
        near = view.deadline is None or view.deadline.blocks_left < DEADLINE_BLOCKS
        if _untouched(view) and not near:
            raise UnknownStateError(
                f"escrow {view.id} is not settled{_untouched(view)}: {VERSIONS_UNKNOWN}",
                escrow_id=view.id,
            )
        self._ports.warn(f"escrow {view.id} is settled all the same: {VERSIONS_UNKNOWN}")

    def _refuse_in_upgrade(self, view: EscrowView, round_look: RoundLook) -> None:
        """A settle that times out in an upgrade is not lost, a deadline that passes is."""
        if round_look.upgrade is None:
            return
        plan, reason = round_look.upgrade
        if view.deadline is None or due_in_upgrade(plan, view.deadline):
            self._ports.warn(
                f"escrow {view.id} is settled all the same, for its deadline: {reason}"
            )
            return
        raise UnsafeError(
            f"escrow {view.id} is not settled{_untouched(view)}: {reason}", escrow_id=view.id
        )

    def _objections(self, seen: SettleView, round_look: RoundLook) -> tuple[Objection, ...]:
        kept = seen.settlement if seen.settlement and seen.settlement.has_quorum else None
        return objections(seen.view, round_look.terms, kept)

    @staticmethod
    def _refusal(view: EscrowView, objection: Objection) -> UnsafeError:
        return UnsafeError(
            f"escrow {view.id} is not settled{_untouched(view)}: {objection.text}",
            escrow_id=view.id,
            objection=objection.kind,
        )

    def _refuse_payment(self, view: EscrowView, round_look: RoundLook) -> None:
        fees, gas, most = round_look.params.fees, self._options.gas_limit, self._options.fee_amount
        need = fees.required(SETTLE_TYPE, gas)
        reason = refuse_fee(most, gas, need, _FEE) or refuse_wallet(
            self._run.creator,
            round_look.balance,
            fees.offer(SETTLE_TYPE, gas, most),
            what="the transaction costs",
        )
        if reason is not None:
            raise UnsafeError(
                f"escrow {view.id} is not settled{_untouched(view)}: {reason}", escrow_id=view.id
            )

    @staticmethod
    def stuck(view: EscrowView) -> UnsafeError:
        return UnsafeError(
            f"the session of escrow {view.id} ({view.amount} ngonka) is stuck in phase finalizing: "
            f"a finalize is still running or was interrupted, and no call ends that phase. The "
            f"other escrows are not affected. If a finalize may still be running, wait and run "
            f"this again. Otherwise keep its session directory, do not delete the record, and "
            f"contact the network's developers before its deadline, after which its deposit goes "
            f"to the hosts",
            escrow_id=view.id,
            phase=view.phase,
            objection="stuck",
        )

    def refuse_pay_out(self, outcome: SettledEscrow, seen: SettleView) -> None:
        """Checked again for each escrow: what was settled before it changed the wallet."""
        now = self._look.round()
        settlement = seen.settlement
        if settlement is None:
            raise ProtocolError(f"escrow {outcome.id} has no settlement to pay out")
        if (paid := self._look.paid_by_us(outcome.id)) is not None:
            raise UnknownStateError(
                f"transaction {paid.tx_hash} settled escrow {outcome.id}, but the chain shows it as"
                " unsettled: this node is behind, or it is another chain of the same name. Nothing"
                " is signed again",
                escrow_id=outcome.id,
                tx_hash=paid.tx_hash,
            )
        reason = refuse_settlement(settlement, seen.view, now.terms)
        if reason is not None:
            raise UnsafeError(
                f"escrow {outcome.id} is not settled, the chain would refuse it and take the fee:"
                f" {reason}",
                escrow_id=outcome.id,
            )
        self._refuse_in_upgrade(seen.view, now)
        self._refuse_payment(seen.view, now)


def _untouched(view: EscrowView) -> str:
    """Said only where it is so: an earlier run may have taken it out of service."""
    return " and continues to serve" if view.active and view.loaded else ""
