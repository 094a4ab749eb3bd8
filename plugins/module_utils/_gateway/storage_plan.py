# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Which folder a gateway gets as its storage, and what forbids it. Pure."""

from __future__ import annotations

import typing as t

from .plan_model import RECORDED, SETTING, SIBLING, Folder, GatewaySeen, GatewayWish, Use

if t.TYPE_CHECKING:
    from collections.abc import Sequence


def plan_storage(wish: GatewayWish, seen: GatewaySeen) -> tuple[Folder, list[str]]:
    """What the container has is the gateway's storage, whatever a file says."""
    if seen.own is not None and seen.own.storage is not None:
        chosen = seen.own.storage
        if seen.own.moved:
            return chosen, [
                (
                    f"the container {wish.container} has a different folder as its storage than "
                    f"the one that {chosen.path} leads to now. Make that path lead to the folder "
                    f"of the container, or a new container would start without its sessions"
                )
            ]
        given = next((folder for folder in seen.folders if folder.says == SETTING), None)
        if given is not None and given.key != chosen.key:
            return chosen, [
                (
                    f"gateway_storage_dir is {given.path}, but the container {wish.container} has its"
                    f" storage in {chosen.path}. Omit gateway_storage_dir to keep that one"
                )
            ]
        others = _holding(seen.folders, chosen)
        # one that runs on its own storage starts nothing
        empty = not chosen.database and seen.own.container.state != "running"
        return chosen, _lost(wish, chosen, others) if empty and others else []
    named = [folder for folder in seen.folders if folder.says != SIBLING]
    recorded = [folder for folder in named if folder.says in (SETTING, RECORDED)]
    holding = _holding(named)
    if recorded:
        chosen = recorded[0]
    elif len(holding) == 1:
        chosen = holding[0]
    else:
        chosen = next(iter(named), seen.default)
    others = _holding(seen.folders, chosen)
    if len(holding) > 1 and not recorded:
        return chosen, [_several(wish, holding)]
    if not chosen.database and others:
        return chosen, _lost(wish, chosen, others)
    return chosen, []


def _holding(folders: Sequence[Folder], other_than: Folder | None = None) -> list[Folder]:
    """Those with a database, each once."""
    found: dict[object, Folder] = {}
    for folder in folders:
        if folder.database and (other_than is None or folder.key != other_than.key):
            found.setdefault(folder.key, folder)
    return list(found.values())


def _lost(wish: GatewayWish, chosen: Folder, others: Sequence[Folder]) -> list[str]:
    return [
        (
            f"the gateway would start on {chosen.text}, which holds no gateway.db, but"
            f" {'; '.join(folder.text for folder in others)}, holds one. Its escrows would not be"
            f" served and could not be settled. Set gateway_storage_dir to the right folder, or "
            f"move the other one out of {wish.deploy_dir}"
        )
    ]


def _several(wish: GatewayWish, holding: Sequence[Folder]) -> str:
    return (
        "several folders hold a gateway.db, and it is not known which one is the storage of the"
        f" gateway in {wish.deploy_dir}: {'; '.join(folder.text for folder in holding)}. Set "
        f"gateway_storage_dir to the right one"
    )


def first_limits(wish: GatewayWish) -> list[str]:
    """A gateway accepts any at its first start, and then refuses every change of its settings."""
    limits = [
        wish.environment.get(f"GATEWAY_{name}", "")
        for name in ("DEFAULT_MAX_TOKENS", "MAX_TOKENS_CAP")
    ]
    if not all(value.isdecimal() for value in limits) or int(limits[0]) <= int(limits[1]):
        return []
    return [
        (
            f"gateway_default_max_tokens is {limits[0]}, more than gateway_max_tokens_cap, which is"
            f" {limits[1]}. Set gateway_max_tokens_cap to at least {limits[0]}"
        )
    ]


def rivals(storage: Folder, uses: Sequence[Use]) -> list[str]:
    """Two gateways on one storage write the same sessions: the hosts see a fork."""
    refused = []
    for use in uses:
        if not use.writable or (use.relation == "around" and not use.gateway):
            # a monitor that has the whole host, say, serves nothing
            continue
        how = {
            "same": "is already served by",
            "inside": f"holds {use.folder}, which is used by",
            "around": f"lies in {use.folder}, which is used by",
            "unknown": "may be what is used by",
        }[use.relation]
        refused.append(
            f"{storage.path} {how} the container {use.container}. Two gateways on one storage write"
            " the same sessions, and the deposits of their escrows are lost. If it is this "
            "gateway, give its name as gateway_container_name; otherwise set devshard_deploy_dir "
            "to another directory"
        )
    return refused
