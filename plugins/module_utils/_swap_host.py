# Copyright (c) 2026 The gonka.devshard authors
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection.

"""Plans the swap of one host: what its containers and its edge show, joined with the journal."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ._errors import ConfigurationError, UnsafeError
from ._swap import (
    Journal,
    Mode,
    Seen,
    Slot,
    SwapPlan,
    SwapRefused,
    TempEscrows,
    digest_of,
    generation_of_tag,
    plan,
    roll_back,
)
from ._swap_journal import RUN

if t.TYPE_CHECKING:
    from datetime import datetime

    from ._docker import Container


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What the play asks for. References in ``target`` and ``previous`` are by digest."""

    run: str
    target: str | None
    asked: str | None
    previous: str | None
    previous_asked: str | None
    origin_asked: str | None
    rollback: bool
    mode: Mode
    temp_escrows: TempEscrows
    profile: str


def pinned(container: Container) -> str | None:
    """The image of a container by its digest; None when the engine knows no digest of it."""
    if digest_of(container.image) is not None:
        return container.image
    repository = container.image.rpartition("/")[2].partition(":")[0]
    fitting = [item for item in container.digests if f"/{repository}@" in f"/{item}"]
    return next(iter((*fitting, *container.digests)), None)


def observe(
    main: Container | None, temp: Container | None, slot: Slot, *, target: str | None
) -> Seen:
    """``slot`` is the one in service. An image with the target's digest is the target.

    The same image may come from a mirror, under another name.
    """
    image = None if main is None else pinned(main)
    if main is not None and target is not None:
        digests = {digest_of(item) for item in (main.image, *main.digests)}
        if digest_of(target) in digests:
            image = target
    return Seen(
        main_image=image,
        main_running=main is not None and main.state == "running",
        temp_exists=temp is not None,
        temp_running=temp is not None and temp.state == "running",
        flag=slot,
    )


def refuse_generation(asked: str | None, profile: str) -> None:
    """An escrow belongs to one generation for life; another one cannot open these sessions."""
    named = None if asked is None else generation_of_tag(asked)
    if named is not None and named != profile:
        raise UnsafeError(
            f"{asked} is a gateway of generation {named}, and this directory belongs to {profile}:"
            " the new gateway could not open the sessions, and the deposits of their escrows would"
            " be stranded. Deploy the other generation side by side, with a directory, ports and"
            " escrows of its own, move the clients, and settle the old escrows here",
            generation=named,
        )


def make_plan(
    journal: Journal | None, main: Container | None, temp: Container | None, slot: Slot, wish: Wish
) -> tuple[SwapPlan, Journal | None, Seen]:
    """The steps to run, and the journal as it has to be written before the first of them."""
    target = _target(journal, wish)
    seen = observe(main, temp, slot, target=target)
    if journal is not None and wish.rollback:
        journal = roll_back(journal)
        seen = observe(main, temp, slot, target=journal.target)
    try:
        found = plan(
            journal,
            seen,
            target=target,
            previous=wish.previous,
            rollback=wish.rollback,
            mode=wish.mode,
            temp_escrows=wish.temp_escrows,
        )
    except SwapRefused as exc:
        raise UnsafeError(f"no swap: {exc}") from exc
    if journal is not None:
        return found, journal.remember({RUN: wish.run}), seen
    if found.steps and seen.main_image is not None and digest_of(seen.main_image) is None:
        raise UnsafeError(
            "no swap: the image that runs now has no digest, so nothing could be rolled back to"
            " it; push it to a registry, and deploy it from there"
        )
    return found, None, seen


def _target(journal: Journal | None, wish: Wish) -> str:
    """An open swap is finished with the image it began with, if that is what is asked for."""
    if journal is not None and (wish.rollback or wish.target is None):
        return journal.target
    target = wish.previous if wish.rollback and wish.target is None else wish.target
    if target is None:
        if wish.rollback:
            raise UnsafeError(
                "no swap: there is nothing to roll back to, no earlier image is recorded in the"
                " deploy directory"
            )
        raise ConfigurationError("target is needed: no swap is open")
    if digest_of(target) is None:
        raise ConfigurationError(
            f"target must be an image by digest (NAME@sha256:...), got {target}"
        )
    if not wish.rollback:
        refuse_generation(wish.asked, wish.profile)
    return target


def begin(found: SwapPlan, seen: Seen, wish: Wish, now: datetime) -> Journal:
    """The journal of a new swap. One that leads back cannot be turned around once more."""
    assert seen.main_image is not None
    asked = wish.previous_asked if wish.rollback else wish.asked
    return Journal(
        id=now.strftime("%Y%m%dT%H%M%SZ"),
        mode=wish.mode,
        temp_escrows=wish.temp_escrows,
        target=found.target,
        origin=seen.main_image,
        asked=asked or found.target,
        origin_asked=wish.origin_asked or seen.main_image,
        rolling_back=wish.rollback,
        data={RUN: wish.run, **({"failed_target": seen.main_image} if wish.rollback else {})},
    )
