# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Plans the swap of one host: what its containers and its edge show, joined with the journal."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace
from pathlib import Path

from .._core.errors import BusyError, ConfigurationError, UnsafeError
from .._host.image import described, digest_of, is_image, refused_form, same_image
from .journal_model import Journal
from .notes import Kind, Move, SwapNotes
from .plan import SwapPlan, begin_move, generation_of_tag, plan, roll_back
from .steps import Mode, Slot, SwapRefused, SwapSeen, TempEscrows

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from .._gateway.drift import Drift
    from .._host.docker import Container

STORAGE: t.Final = ".devshardctl"
"""How the collection names a storage in the deploy directory, followed by a protocol after a move."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RecreateWish:
    """What the play asks for. ``previous`` is by digest, and so is what ``resolve`` gives.

    ``resolve`` fails for an image that neither the host nor its registry has. ``recorded`` and
    ``recorded_asked`` are what the deploy record says of the container that runs.
    """

    run: str
    asked: str | None
    resolve: Callable[[str], str]
    previous: str | None
    previous_asked: str | None
    recorded: str | None
    recorded_asked: str | None
    rollback: bool
    mode: Mode
    temp_escrows: TempEscrows
    kind: Kind
    """The generation and the protocol that the inventory asks for."""
    temp_container: str
    """The name of the container in the other slot."""
    move: Move | None = None
    """Where another generation is wanted than that of the deploy record."""


def pinned(container: Container) -> str | None:
    """The image of a container by its digest; None when the engine knows no digest of it."""
    if digest_of(container.image) is not None:
        return container.image
    repository = container.image.rpartition("/")[2].partition(":")[0]
    fitting = [item for item in container.digests if f"/{repository}@" in f"/{item}"]
    return next(iter((*fitting, *container.digests)), None)


def observe(
    main: Container | None,
    temp: Container | None,
    slot: Slot,
    *,
    target: str | None,
    drift: Drift | None = None,
) -> SwapSeen:
    """``slot`` is the one in service. An image with the target's digest is the target."""
    image = None if main is None else pinned(main)
    if main is not None and is_image(target, main.image, main.digests):
        image = target
    return SwapSeen(
        main_image=image,
        main_running=main is not None and main.state == "running",
        temp_exists=temp is not None,
        temp_running=temp is not None and temp.state == "running",
        flag=slot,
        # one without a health check is not known to be down
        main_healthy=main is None or main.health in ("healthy", None),
        main_id=None if main is None else main.id,
        drift=() if drift is None else drift.variables,
        moved=() if drift is None else drift.moved,
    )


def refuse_generation(asked: str | None, profile: str) -> None:
    """An escrow belongs to one generation for life; another one cannot open these sessions."""
    named = None if asked is None else generation_of_tag(asked)
    if named is not None and named != profile:
        raise UnsafeError(
            f"{asked} is a gateway of generation {named}, and this directory belongs to {profile}:"
            " the new gateway could not open the sessions, and the deposits of their escrows would"
            " be stranded. To move to another generation, set devshard_profile to it and run the"
            " playbook gonka.devshard.generation_upgrade",
            generation=named,
        )


def lasting(journal: Journal | None) -> Journal | None:
    """The swap that has to be gone on with, or None.

    One that got no further than its preflight binds no run: nothing was begun. Nor does a finished
    swap whose journal was not archived.
    """
    return journal if journal is not None and journal.open and journal.touched else None


def make_plan(
    journal: Journal | None,
    main: Container | None,
    temp: Container | None,
    slot: Slot,
    wish: RecreateWish,
    drift: Drift | None = None,
) -> tuple[SwapPlan, Journal | None, SwapSeen]:
    """The steps to run, and the open journal as it has to be written before the first of them."""
    journal = lasting(journal)
    if journal is not None:
        _refuse_other_kind(journal, wish)
        _refuse_other_temp(journal, wish)
    begins = journal is None and wish.mode == "generation"
    if begins and (wish.move is None or wish.rollback):
        return _stays(wish)
    target = _target(journal, wish)
    seen = observe(main, temp, slot, target=target, drift=drift)
    try:
        if journal is not None and wish.rollback:
            journal = roll_back(journal, main_down=not seen.main_running)
            seen = observe(main, temp, slot, target=journal.target, drift=drift)
        found = _found(journal, seen, target, wish)
    except SwapRefused as exc:
        raise UnsafeError(f"no swap: {exc}") from exc
    if journal is not None:
        taken = journal if journal.data.run == wish.run else replace(journal, began=())
        return found, taken.remember(SwapNotes(run=wish.run)), seen
    if found.steps and seen.main_image is not None and digest_of(seen.main_image) is None:
        raise UnsafeError(
            "no swap: the image that runs now has no digest, so nothing could be rolled back to"
            " it; push it to a registry, and deploy it from there"
        )
    if found.steps:
        wish.resolve(found.target)
    return found, None, seen


def _refuse_other_kind(journal: Journal, wish: RecreateWish) -> None:
    """Each container of a move gets its environment from the inventory, which has to name where the
    move leads. On the way back none is made any more."""
    move = journal.data.move
    if move is None or wish.mode != "generation":
        return
    fitting = (move.target, move.origin) if _leads_back(journal, wish) else (move.target,)
    if wish.kind in fitting:
        return
    wanted = " and ".join(f"{name}: {value}" for name, value in _variables(move.target) if value)
    raise UnsafeError(
        f"the move {journal.id} to {move.target.text} is not finished, and the inventory asks for"
        f" {wish.kind.text}. Set {wanted}, as when the move began, and run this again"
    )


def _refuse_other_temp(journal: Journal, wish: RecreateWish) -> None:
    """Under another name the temporary gateway would not be found, and a second one would be started
    beside it, with its escrows."""
    noted = journal.data.temp_container
    if noted not in (None, wish.temp_container):
        raise UnsafeError(
            f"the swap {journal.id} is not finished, and its temporary gateway is the container {noted},"
            f" but hot_swap_temp_container is {wish.temp_container}. Set hot_swap_temp_container: {noted}"
            " and devshard_temp_url as when the swap began, and run this again"
        )


def _leads_back(journal: Journal, wish: RecreateWish) -> bool:
    return journal.rolling_back or (wish.rollback and not journal.only_forward)


def _variables(kind: Kind) -> tuple[tuple[str, str | None], ...]:
    return ("devshard_profile", kind.profile), ("devshard_protocol", kind.protocol)


def _found(journal: Journal | None, seen: SwapSeen, target: str, wish: RecreateWish) -> SwapPlan:
    if journal is None and wish.move is not None:
        return begin_move(seen, target, wish.move)
    return plan(
        journal,
        seen,
        target=target,
        previous=wish.previous,
        rollback=wish.rollback,
        mode=wish.mode,
        temp_escrows=wish.temp_escrows,
        asked=wish.asked,
    )


def _stays(wish: RecreateWish) -> tuple[SwapPlan, None, SwapSeen]:
    """Nothing is looked at where the generation is the wanted one."""
    if wish.rollback:
        raise UnsafeError(
            "no move is open, so there is none to go back from. There is no way back to an earlier"
            " generation either, since its escrows are settled"
        )
    reason = f"the gateway is of generation {wish.kind.profile} already"
    seen = SwapSeen(
        main_image=wish.recorded,
        main_running=True,
        temp_exists=False,
        temp_running=False,
        flag="main",
    )
    return SwapPlan((), wish.recorded or "", reason), None, seen


def _target(journal: Journal | None, wish: RecreateWish) -> str:
    """The wanted image by digest. The registry is asked only where nothing else names it."""
    if journal is not None and (wish.rollback or wish.asked in (None, journal.asked)):
        return journal.target
    if wish.rollback:
        if wish.previous is None:
            raise UnsafeError(
                "no swap: there is nothing to roll back to, no earlier image is recorded in the"
                " deploy directory"
            )
        return wish.previous
    if wish.asked is None:
        raise ConfigurationError(
            "no image is wanted, and no swap is open; give hot_swap_image (or gateway_image)"
        )
    if (why := refused_form(wish.asked)) is not None:
        raise ConfigurationError(
            f"the image '{wish.asked}' (hot_swap_image or gateway_image) {why}"
        )
    refuse_generation(wish.asked, wish.kind.profile)
    if digest_of(wish.asked) is not None:
        return wish.asked
    return wish.resolve(wish.asked)


def move_of(
    record: Mapping[str, t.Any], target: Kind, folder: Path, *, generations: Sequence[str]
) -> Move | None:
    """The move that leads from the deploy record to the wanted generation; None where it is there.

    ``generations`` are the known ones, from the oldest to the newest.
    """
    origin = Kind(profile=record.get("profile") or target.profile, protocol=record.get("protocol"))
    if target.has(record.get("profile"), record.get("protocol")):
        return None
    if origin.profile not in generations:
        raise UnsafeError(
            f"no move: the gateway in {folder} is of generation {origin.profile}, which this version"
            f" of the collection does not know. It knows: {', '.join(generations)}"
        )
    if generations.index(target.profile) < generations.index(origin.profile):
        raise UnsafeError(
            f"no move: the gateway in {folder} is of generation {origin.profile}, and the earlier"
            f" {target.profile} is wanted (devshard_profile). A move leads to a newer generation"
        )
    name = target.protocol or target.profile
    storage = Path(record.get("storage") or folder / STORAGE)
    # what gateway_storage_dir names may hold more than a gateway, the new storage even
    ours = storage.parent == folder and storage.name.partition("-")[0] == STORAGE
    return Move(
        origin=origin,
        target=target,
        origin_storage=str(storage),
        storage=str(folder / f"{STORAGE}-{name}"),
        ours=ours and not record.get("adopted") and not record.get("volume"),
    )


def refuse_record(
    record: Mapping[str, t.Any] | None, folder: Path, profile: str | None
) -> dict[str, t.Any]:
    """The deploy record, refused where there is no gateway to swap.

    ``profile`` is None for a move, which leads to another one.
    """
    if record is None:
        raise ConfigurationError(
            f"no gateway is deployed in {folder}. Deploy it with the playbook gonka.devshard.site"
        )
    if profile is not None and record.get("profile") not in (None, profile):
        raise UnsafeError(
            f"{folder} belongs to a gateway of generation {record['profile']}, and {profile} is"
            " asked for. An escrow belongs to one generation for life, so this would strand its"
            " deposit. To move to the other generation run the playbook"
            " gonka.devshard.generation_upgrade"
        )
    if not record.get("digest"):
        raise ConfigurationError(
            f"the gateway in {folder} was never started. Run the playbook gonka.devshard.site"
        )
    return dict(record)


def refuse_another_image(journal: Journal, main: Container | None, name: str) -> None:
    """Refuses to note a container that is not what the journal leads to."""
    if main is not None and is_image(journal.target, main.image, main.digests):
        return
    found = "there is no such container" if main is None else f"it has {main.image}"
    raise UnsafeError(
        f"{name} should have the image {described(journal.asked, journal.target)}, but {found}. "
        f"Run this again"
    )


def refuse_drift(drift: Drift | None, name: str) -> None:
    """Refuses a container that was started and is not what its environment file asks for."""
    if drift is not None and drift.reasons:
        raise UnsafeError(
            f"the container {name} was started, but it differs from the wanted one:"
            f" {'; '.join(drift.reasons)}. Check its compose file and other programs that start "
            f"this container, then run this again"
        )


def refuse_overtaken(journal: Journal | None) -> None:
    """Refuses to begin a swap beside one that another run began while this one waited."""
    if (other := lasting(journal)) is not None:
        raise BusyError(
            f"another run began the swap {other.id} meanwhile; this one stops and changes nothing"
        )


def begin(found: SwapPlan, seen: SwapSeen, wish: RecreateWish, now: datetime) -> Journal:
    """The journal of a new swap. One that leads back cannot be turned around once more."""
    if seen.main_image is None:
        raise UnsafeError("no swap: the image of slot main is not known")
    asked = wish.previous_asked if wish.rollback else wish.asked
    notes = SwapNotes(
        run=wish.run,
        replaced_container=seen.main_id,
        failed_target=seen.main_image if wish.rollback else None,
        standby=True if seen.flag == "temp" else None,
        move=wish.move,
        temp_container=wish.temp_container,
    )
    # a record that a run before wrote too early does not name what runs
    truthful = same_image(wish.recorded, seen.main_image)
    return Journal(
        id=now.strftime("%Y%m%dT%H%M%SZ"),
        mode=wish.mode,
        temp_escrows=wish.temp_escrows,
        target=found.target,
        origin=seen.main_image,
        asked=asked or found.target,
        origin_asked=(wish.recorded_asked if truthful else None) or seen.main_image,
        rolling_back=wish.rollback,
        data=notes,
    )


def record_repaired(
    wish: RecreateWish, seen: SwapSeen, record: Mapping[str, t.Any]
) -> dict[str, t.Any]:
    """The deploy record where no step is to be run: what runs is the truth."""
    if seen.main_image is None or same_image(wish.recorded, seen.main_image):
        return dict(record)
    asked = wish.previous_asked if wish.rollback else wish.asked
    return {**record, "image": asked or seen.main_image, "digest": seen.main_image}
