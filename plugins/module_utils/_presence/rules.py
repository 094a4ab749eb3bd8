# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Which playbook may run on a host, given what is there. Pure; every playbook asks it first."""

from __future__ import annotations

import typing as t
from pathlib import PurePosixPath

from .._gateway.instance import Instance
from .model import swap_options

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from .._swap.notes import Kind
    from .model import Play, Presence, Swap

SITE: t.Final = "the playbook gonka.devshard.site"
ADOPT: t.Final = "the playbook gonka.devshard.adopt"
SWAP: t.Final = "the playbook gonka.devshard.hot_swap"
MOVE: t.Final = "the playbook gonka.devshard.generation_upgrade"
REDIRECT: t.Final = "the playbook gonka.devshard.redirect"
RETIRE: t.Final = "the playbook gonka.devshard.retire"

# They begin something, or only look.
_ANYWHERE: t.Final = ("site", "preflight")
# They change neither containers nor escrows. The kill switch must work at any time: it changes the
# edge alone while a swap is open. What site refuses preflight refuses too.
_SWAPS: t.Final = ("hot_swap", "rotate_keys", "generation_upgrade")
_DURING_A_SWAP: t.Final = (*_SWAPS, "status", "backup", "redirect")
# They judge the difference themselves, or work on no escrow.
_ANY_KIND: t.Final = ("site", "preflight", "generation_upgrade", "status", "backup", "redirect")
# They cannot do without a gateway that answers.
_NEED_GATEWAY: t.Final = ("escrow", "rotation", *_SWAPS)
# They stop, start or remove containers, or rely on one that runs.
_NEED_ENGINE: t.Final = ("escrow", "rotation", *_SWAPS, "retire", "restore")
# They show the gateway a key, and do nothing useful without it.
_SHOW_KEY: t.Final = ("site", "escrow", "rotation", *_SWAPS, "settle", "retire", "restore")
# They work on the storage that the deploy record names.
_USE_STORAGE: t.Final = ("settle", "retire", "backup", "restore", "escrow", "rotation", *_SWAPS)


def refuse(
    play: Play, presence: Presence, *, unretire: bool = False, wanted: Kind | None = None
) -> str | None:
    """Why this playbook must not run here, and what to do instead; None when it may."""
    if play == "monitoring":
        # it reports whatever there is, and its removal must work where nothing is left
        return _unreadable(play, presence) or _other_instance(presence)
    return (
        _unreadable(play, presence)
        or _other_instance(presence)
        or _second_ledger(presence)
        or _not_deployed(play, presence)
        or _retired(play, presence, unretire=unretire)
        or _swapping(play, presence)
        or _of_another_kind(play, presence, wanted)
        or _edge_taken(play, presence)
        or _foreign(play, presence)
        or _temp_port(play, presence)
        or _not_running(play, presence)
        or _redirected(play, presence)
    )


def notes(play: Play, presence: Presence, *, wanted: Kind | None = None) -> list[str]:
    """What the operator of a playbook has to know, although it goes on."""
    found = []
    if play in ("status", "backup", "redirect") and (text := other_kind(presence, wanted)):
        found.append(text)
    if presence.redirect.edge:
        found.append(f"clients are redirected to {_target(presence)} by {REDIRECT}")
    swap = presence.swaps.binding
    if swap is not None and play not in _SWAPS:
        found.append(f"{swap.place}. {way_on(swap)}")
    if play != "restore":
        found += [
            f"the restore of the backup {name} was interrupted, and the gateway may have the rotation"
            " of the backup, which could pay for escrows a second time. To finish it, run the"
            f" playbook gonka.devshard.restore with backup_name={name}"
            for name in presence.restoring
        ]
    if play in ("site", "preflight") and (text := keys_wait(presence.waiting_keys.names)):
        found.append(f"{text}. To take it into use, run {SWAP}")
    return found


def keys_wait(names: Iterable[str]) -> str | None:
    """That new keys are not in use yet; None where none waits."""
    named = " and ".join(names)
    if not named:
        return None
    return (
        f"a new value of {named} waits for a container: the running one has the earlier value, which"
        " is valid until then"
    )


def swap_ways(*, asked: str, mode: str, slot: str, way_back: bool) -> list[tuple[str, ...]]:
    """The variables that finish an open swap, then those that go back where that is possible."""
    more = swap_options(mode, slot)
    finish = (f"hot_swap_image={asked}", *more)
    return [finish] if not way_back else [finish, ("hot_swap_rollback=true", *more)]


def way_on(swap: Swap) -> str:
    """How to finish an open swap and how to go back, in words that work when followed."""
    ways = swap_ways(
        asked=swap.asked,
        mode=swap.mode,
        slot=swap.slot,
        way_back=not (swap.rolling_back or swap.only_forward),
    )
    finish, *back = (" ".join(way) for way in ways)
    play = MOVE if swap.mode == "generation" else SWAP
    return f"To finish it, run {play} with {finish}." + "".join(
        f" To roll back, run it with {way}." for way in back
    )


def _target(presence: Presence) -> str:
    return presence.redirect.base_url or "an address that cannot be read"


def _unreadable(play: Play, presence: Presence) -> str | None:
    record, swaps = presence.record, presence.swaps
    if record.error is not None:
        return record.error
    if record.exists is None:
        return f"{record.path} may not be read. Run this with become: true."
    if swaps.error is not None and play not in ("status", "monitoring", "backup"):
        return swaps.error
    return None


def _other_instance(presence: Presence) -> str | None:
    """Another name means other notes: an open swap or a redirect would be lost from sight."""
    record = presence.record.content
    if record is None or (record.instance or "") == presence.instance:
        return None
    recorded = Instance(record.instance or "")
    return (
        f"The gateway in {presence.deploy_dir} is {recorded.text}, and devshard_instance asks for"
        f" {Instance(presence.instance).text}. A gateway keeps its name for life. Set"
        f" devshard_instance: '{recorded.name}', or for another gateway set devshard_deploy_dir to"
        " a directory of its own"
    )


def _edge_taken(play: Play, presence: Presence) -> str | None:
    """Two edges on a port would answer for each other, to clients and to the probes of a swap."""
    if play not in _ANYWHERE or not presence.other_edges:
        return None
    path, port = presence.other_edges[0]
    return (
        f"The edge of another gateway of this host, {path}, listens on port {port}. Set"
        " edge_http_port, and edge_https_port with TLS, to a port of its own for this gateway"
    )


def _second_ledger(presence: Presence) -> str | None:
    """A ledger that starts from scratch does not know what the first one has paid for."""
    if not presence.record.exists or not presence.other_ledgers:
        return None
    first = presence.other_ledgers[0]
    return (
        f"The gateway in {presence.deploy_dir} keeps its ledger in {first}, but "
        f"{presence.ledger.path} is wanted. A second ledger does not know what the first one has"
        f" paid for. Set devshard_state_dir: {PurePosixPath(first).parent}"
    )


def traces(presence: Presence) -> list[str]:
    """What of a gateway is here beside a deploy record, in words."""
    found = []
    if presence.container.container is not None:
        found.append(presence.container.container.text)
    found += [one.text for one in presence.others or ()]
    if presence.storage.exists:
        found.append(f"database {presence.storage.path}")
    if presence.env_file.exists:
        found.append(f"environment file {presence.env_file.path}")
    if presence.keyring.exists:
        found.append(f"key {presence.keyring.path}")
    if presence.ledger.exists:
        found.append(f"ledger {presence.ledger.path}")
    found += [f"ledger {path}" for path in presence.other_ledgers]
    found += [f"swap journal {swap.path}" for swap in presence.swaps.found]
    return found


def _not_deployed(play: Play, presence: Presence) -> str | None:
    if presence.record.exists or presence.retired.exists:
        return None
    main = presence.container.container
    if main is not None and main.record_path is not None:
        elsewhere = PurePosixPath(main.record_path).parent
        return (
            f"There is no deploy record in {presence.deploy_dir}, and {main.text} is deployed in"
            f" {elsewhere}. Set devshard_deploy_dir: {elsewhere}. For another gateway on this host"
            " set devshard_instance to a name of its own, and devshard_gateway_url,"
            " devshard_temp_url and edge_http_port to ports that are free"
        )
    if play in _ANYWHERE:
        return None
    found = traces(presence)
    gateways = [one for one in (main, *(presence.others or ())) if one is not None]
    recorded = [one for one in gateways if one.record_path is not None]
    unasked = "" if presence.engine.answers is not None else f" {_engine(presence)}"
    if recorded:
        places = ", ".join(str(PurePosixPath(one.record_path or "").parent) for one in recorded)
        return (
            f"There is no deploy record in {presence.deploy_dir}. Gateways of this collection are"
            f" deployed in {places}. Correct devshard_deploy_dir, or deploy another gateway with"
            f" {SITE}.{unasked}"
        )
    if not found:
        return (
            f"No gateway is deployed in {presence.deploy_dir}, and nothing of one was found on this"
            f" host. Deploy it with {SITE}.{unasked}"
        )
    return (
        f"There is no deploy record in {presence.deploy_dir}, but this host has:"
        f" {'; '.join(found)}. If the directory is wrong, correct devshard_deploy_dir. If the record"
        f" was lost or the gateway was made by hand, take it over with {ADOPT}."
        f"{unasked}"
    )


def _engine(presence: Presence) -> str:
    error = presence.engine.error or "The Docker Engine of this host did not answer"
    return f"{error[:1].upper()}{error[1:]}, so it is unknown which containers run here."


def _retired(play: Play, presence: Presence, *, unretire: bool) -> str | None:
    if not presence.is_retired or play in ("status", "retire"):
        return None
    if play in ("site", "preflight") and unretire:
        return None
    if play == "backup" and presence.storage.exists:
        return None
    if presence.retired.archived is False:
        return (
            f"The retirement of the gateway in {presence.deploy_dir} is not finished: everything is"
            f" settled, and its state is not archived yet. Finish it with {RETIRE}. To bring the gateway"
            f" back instead, run {SITE} with gateway_unretire=true"
        )
    why = {
        "settle": "it settled its escrows. What the chain still holds is shown by the playbook"
        " gonka.devshard.status",
        "backup": "its storage was removed. The archive of the retirement is kept",
        "site": "this would start it again and pay for new escrows",
        "preflight": "site would start it again and pay for new escrows",
    }
    reason = why.get(play, "there is no gateway to work on")
    return (
        f"The gateway in {presence.deploy_dir} is retired, and {reason}. To bring it back, run"
        f" {SITE} with gateway_unretire=true"
    )


def _swapping(play: Play, presence: Presence) -> str | None:
    swap = presence.swaps.binding
    if swap is None:
        return None
    if play in _SWAPS and (swap.mode == "generation") != (play == "generation_upgrade"):
        return f"Another kind of swap is not finished: {swap.place} ({swap.path}). {way_on(swap)}"
    if play in _DURING_A_SWAP:
        return None
    return (
        f"A hot swap is not finished: {swap.place} ({swap.path}). Until then two gateways hold the"
        f" escrows of this host, and {'site' if play == 'preflight' else play} could harm one that"
        f" serves. {way_on(swap)}"
    )


def _of_another_kind(play: Play, presence: Presence, wanted: Kind | None) -> str | None:
    """Another generation has other rules of settling, other limits, and another version that must be
    approved: none of them fits the gateway that runs."""
    if (
        play in _ANY_KIND
        or presence.is_retired
        or (differs := other_kind(presence, wanted)) is None
    ):
        return None
    return f"{differs}. Until then run this with the earlier settings"


def other_kind(presence: Presence, wanted: Kind | None) -> str | None:
    """That the inventory asks for another generation or protocol than the gateway has, in words."""
    record = presence.record.content
    if record is None or wanted is None or wanted.has(record.profile, record.protocol):
        return None
    there = record.profile if record.protocol is None else f"{record.profile} ({record.protocol})"
    asked = wanted.profile if wanted.protocol is None else f"{wanted.profile} ({wanted.protocol})"
    return (
        f"The gateway in {presence.deploy_dir} is of generation {there}, and the inventory asks for"
        f" {asked} (devshard_profile, devshard_protocol). To move it, run {MOVE}"
    )


def _foreign(play: Play, presence: Presence) -> str | None:
    """No key is shown to what is not proved to be this gateway."""
    if presence.is_retired:
        return None
    slot, port = presence.container, presence.port("gateway")
    main, record = slot.container, presence.record
    if main is not None and slot.ours is False and record.exists and play in _USE_STORAGE:
        recorded = None if record.content is None else record.content.storage
        return (
            f"The {main.text} does not use the storage of the deploy record, {recorded}."
            f" It is unknown which of the two holds the escrows, so nothing is done. Run {SITE}, "
            f"which names the difference and changes nothing by itself"
        )
    if port is None or play not in _SHOW_KEY:
        return None
    mine = port.owner is not None and main is not None and port.owner.container == main
    if port.owner is not None and port.state != "ours" and not (play == "site" and mine):
        if play == "site" and presence.engine.answers is None:
            # it starts the engine, and asks again
            return None
        unknown = "" if port.state == "foreign" else " It cannot be proved to be this gateway."
        return (
            f"Port {port.port} is taken by {port.owner.text}.{unknown} No key is sent to it. Stop it,"
            " or set devshard_gateway_url to the port of the gateway"
        )
    return None


def _temp_port(play: Play, presence: Presence) -> str | None:
    """The edge sends requests to this port, and a swap starts a gateway there."""
    port = presence.port("temp")
    if play not in _SWAPS or port is None or port.owner is None or port.state != "foreign":
        return None
    found = port.owner.container
    if found is not None and found.record_path is not None:
        # another gateway of the collection, for hot_swap_mode=pool
        return None
    return (
        f"Port {port.port} of the temporary gateway is taken by {port.owner.text}. Stop it, or set"
        f" devshard_temp_url to a port that is free and run {SITE}, which updates the edge. With"
        " hot_swap_mode=pool, the gateway on this port must be one that site has deployed, with its"
        " deploy record beside its storage"
    )


def _not_running(play: Play, presence: Presence) -> str | None:
    if presence.is_retired:
        return None
    slot, port = presence.container, presence.port("gateway")
    if not slot.known and play in _NEED_ENGINE:
        return f"{_engine(presence)} Start it, for example with 'systemctl start docker'."
    if play not in _NEED_GATEWAY:
        return None
    if presence.swaps.binding is not None:
        # a swap that is continued may find its gateway stopped
        return None
    start = f"Start it with {SITE}"
    if play == "generation_upgrade":
        # site refuses the new generation
        start = (
            f"Start it on the host with 'docker start {slot.name}'"
            if slot.container is not None
            else f"Put the earlier settings back and run {SITE}, and move it then"
        )
    if slot.container is None:
        return f"The container {slot.name} does not exist. {start}"
    if not slot.container.running:
        return f"The {slot.container.text} does not run. {start}"
    if port is not None and port.owner is None:
        published = ", ".join(str(one) for one in slot.container.published) or "no port"
        return (
            f"The container {slot.name} is published on {published}, and devshard_gateway_url names"
            f" {port.port}. Correct devshard_gateway_url"
        )
    return None


def _redirected(play: Play, presence: Presence) -> str | None:
    if play not in _SWAPS or not presence.redirect.edge or presence.swaps.binding is not None:
        return None
    return (
        f"Clients are redirected to {_target(presence)} by {REDIRECT}, so the gateway has no "
        f"clients to serve during a swap. Let them in again with {REDIRECT} and "
        f"redirect_enabled=false, and swap then. Or"
        " replace the container in place, which cuts the requests that are still running:"
        f" {SITE} with gateway_allow_recreate=true"
    )
