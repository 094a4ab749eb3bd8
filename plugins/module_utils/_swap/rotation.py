# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Rotation off before a swap, and back after it."""

from __future__ import annotations

import typing as t

from .._core.errors import UnknownStateError
from .._gateway.rotation_settings import patch_for, rotation_of
from .._gateway.settings import send
from .plan import gives_rotation_back
from .steps import Step

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .._escrows.commitments import CommitmentWatch
    from .journal import Notebook
    from .journal_model import Journal


class RotatingGateway(t.Protocol):
    """What is asked of a gateway here."""

    def settings(self) -> Mapping[str, t.Any]: ...

    def post_settings(self, patch: dict[str, t.Any], /) -> object: ...


def freeze_rotation(
    gateway: RotatingGateway,
    *,
    intend: Callable[[dict[str, t.Any]], object] = lambda _before: None,
    commitments: CommitmentWatch | None = None,
    check_mode: bool,
) -> dict[str, t.Any]:
    """Switch rotation off and return what it was. The answer comes after a running pass ended.

    ``intend`` is given what the rotation was, before anything is changed.
    """
    before = rotation_of(gateway.settings())
    wanted = {**before, "enabled": False}
    changed = before != wanted
    if changed and commitments is not None:
        commitments.before()
    intend(before)
    if changed and not check_mode:
        patch = {"escrow_rotation": {"enabled": False}}
        lost = send(gateway, patch)
        if rotation_of(gateway.settings())["enabled"]:
            raise lost or UnknownStateError(
                "the gateway accepted the settings but still rotates escrows"
            )
        if lost is not None:
            # It is off, and only an answer proves that no pass runs any more. Sent again it changes
            # nothing.
            gateway.post_settings(patch)
        if commitments is not None:
            commitments.after()
    return {"changed": changed, "before": before, "after": wanted}


def restore_rotation(
    gateway: RotatingGateway, saved: Mapping[str, t.Any], *, check_mode: bool
) -> dict[str, t.Any]:
    """Restore the previous settings exactly, field by field."""
    wanted = rotation_of({"escrow_rotation": dict(saved)})
    before = rotation_of(gateway.settings())
    patch = patch_for(before, wanted)
    if patch and not check_mode:
        lost = send(gateway, {"escrow_rotation": patch})
        found = rotation_of(gateway.settings())
        if differs := patch_for(found, wanted):
            raise lost or UnknownStateError(
                "the gateway accepted the rotation settings but shows others:"
                f" {', '.join(sorted(differs))}",
                wanted=wanted,
                found=found,
            )
    return {"changed": bool(patch), "before": before, "after": wanted}


def give_rotation_back(
    notebook: Notebook, gateway: Callable[[], RotatingGateway], *, check_mode: bool
) -> dict[str, t.Any] | None:
    """Restores the rotation of a gateway that serves although its swap has failed.

    First it is noted, so that a run that is interrupted in between is followed by one that freezes
    it again; what it was is forgotten only when it is back. None when it is not given back.
    """
    journal = notebook.read()
    if not gives_rotation_back(journal) or journal.data.rotation is None:
        return None
    notebook.undo(forget=_account_begun(journal))
    found = restore_rotation(gateway(), journal.data.rotation, check_mode=check_mode)
    notebook.undo(forget=("rotation",))
    return found


def _account_begun(journal: Journal) -> tuple[str, ...]:
    """What the account of a move begins with, while a rotation that is on can still change it.

    Once the swap itself may have paid, no other note holds what there was before.
    """
    return () if Step.SEED_TEMP in journal.started else ("balance", "origin_escrow_ids")
