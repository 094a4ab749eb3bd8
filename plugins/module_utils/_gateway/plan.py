# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What the role ``gateway`` would do on a host, and what it refuses: judged before it writes.

Pure: :mod:`_presence.gateway` looks at the host.
"""

from __future__ import annotations

import typing as t

from .beyond import beyond_faults
from .drift import PROJECT, Wanted, find_drift, same_value
from .image_plan import plan_image, running_digest, running_tag
from .plan_model import OWN_SERVICE, SERVICE, GatewayPlan, GatewaySeen, GatewayWish, Own
from .storage_plan import first_limits, plan_storage, rivals

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from .drift import Drift
    from .profiles import Profile


def make(wish: GatewayWish, seen: GatewaySeen, profile: Profile) -> GatewayPlan:
    """Everything that would be refused is named in one message, before anything is written."""
    refused = [
        *_directory(wish, seen),
        *_generation(wish, seen, profile),
        *_locked(wish, seen, profile),
    ]
    own = seen.own
    if own is not None and seen.record is None:
        refused += beyond_faults(own.container.name, own.beyond)
    storage, why = plan_storage(wish, seen)
    refused += why
    refused += rivals(storage, seen.uses)
    if own is None and not storage.database:
        refused += first_limits(wish)
    pinned, why = plan_image(wish, seen)
    refused += why
    if own is None or own.container.state != "running":
        refused += _port(wish, seen)
    wanted = Wanted(
        image=pinned or wish.image,
        environment=wish.environment,
        storage=storage.path,
        address=f"127.0.0.1:{wish.port}",
        accounting_port=wish.accounting_port,
    )
    drift = find_drift(None if own is None else own.container, wanted, profile)
    if own is not None and not refused:
        refused += _recreate(wish, own, drift, profile)
    labels: Mapping[str, str] = {} if own is None else own.container.labels
    return GatewayPlan(
        refused=tuple(refused),
        unknown=seen.engine,
        engine=seen.answers,
        drift=drift,
        storage=storage,
        pinned=pinned,
        adopting=(seen.record is None and bool(seen.files or own))
        or (seen.record is not None and seen.record.adopted),
        project=labels.get(PROJECT) or (seen.record.project if seen.record else None),
        service=labels.get(SERVICE)
        or (seen.record.service if seen.record else None)
        or OWN_SERVICE,
        runs_image=None if own is None else running_tag(own.container, seen.record),
        runs_digest=None if own is None else running_digest(own.container, wish.image),
    )


def _directory(wish: GatewayWish, seen: GatewaySeen) -> list[str]:
    if seen.record is not None or wish.adopt or not seen.files:
        return []
    return [
        (
            f"{wish.deploy_dir} holds a deployment that this collection did not make"
            f" ({', '.join(seen.files)}). To take it over with its secrets and its storage, run the"
            " playbook gonka.devshard.adopt. Otherwise set devshard_deploy_dir to another directory"
        )
    ]


def _generation(wish: GatewayWish, seen: GatewaySeen, profile: Profile) -> list[str]:
    there = None if seen.record is None else seen.record.profile
    if there is None:
        return []
    noted = None if seen.record is None else seen.record.protocol
    if there == profile.name:
        if noted in (None, profile.settlement_tag):
            return []
        return [
            (
                f"{wish.deploy_dir} belongs to a gateway for protocol {noted}, but"
                f" {profile.settlement_tag} is wanted (devshard_protocol). An escrow belongs to one"
                " protocol for life, so this would strand its deposit. To move to the other protocol,"
                " run the playbook gonka.devshard.generation_upgrade"
            )
        ]
    return [
        (
            f"{wish.deploy_dir} belongs to a gateway of generation {there}, but {profile.name} is "
            f"wanted (devshard_profile). An escrow belongs to one generation for life, so this "
            "would strand its deposit. To move to the other generation, run the playbook"
            " gonka.devshard.generation_upgrade"
        )
    ]


def _locked(wish: GatewayWish, seen: GatewaySeen, profile: Profile) -> list[str]:
    """A variable that the escrows of this directory live by; whether it has any is not asked."""
    if not any(name in seen.variables for name in profile.locked_variables):
        return []
    return [
        (
            f"{name} is {seen.variables.get(name) or 'not set'} in the gateway of {wish.deploy_dir}, and"
            f" {wish.environment[name]} is wanted, but {why}. Keep it here, and deploy another gateway"
            " side by side, in a directory and on ports of its own"
        )
        for name, why in sorted(profile.locked_variables.items())
        if name in wish.environment
        and not same_value(name, wish.environment[name], seen.variables.get(name), profile)
    ]


def _port(wish: GatewayWish, seen: GatewaySeen) -> list[str]:
    if seen.engine is not None:
        # its owner may be the very container, when the engine could not be asked
        return []
    taken = []
    if seen.accounting_owner is not None:
        taken.append(
            f"port {wish.accounting_port} on 127.0.0.1 is taken by {seen.accounting_owner}. Set"
            " gateway_accounting_port to a free port"
        )
    if seen.port_owner is None:
        return taken
    return [
        *taken,
        (
            f"port {wish.port} on 127.0.0.1 is taken by {seen.port_owner}, which is not the container"
            f" {wish.container}. If it is this gateway, give its name as gateway_container_name; "
            f"otherwise set devshard_gateway_url to a free port"
        ),
    ]


def _recreate(wish: GatewayWish, own: Own, drift: Drift, profile: Profile) -> list[str]:
    if not drift.reasons:
        return []
    why = "; ".join(drift.reasons)
    if own.storage is None:
        return [
            (
                f"the container {wish.container} keeps its storage in itself ({own.inside} is not mounted"
                f" from the host), and it must be recreated, because {why}. Its sessions would be "
                f"deleted with it. Stop it, copy the folder out with 'docker cp', and start it "
                f"with the"
                " copy mounted there"
            )
        ]
    if own.inside != profile.storage_dir:
        return [
            (
                f"the container {wish.container} has its storage at {own.inside}, and the collection has"
                f" it at {profile.storage_dir}. Its records hold paths below {own.inside}, so a "
                f"recreated gateway would not find its sessions. It must be recreated, because "
                f"{why}"
            )
        ]
    if wish.allow_recreate or wish.recreate_later:
        return []
    return [
        (
            f"the container {wish.container} must be recreated, which would cut every stream that "
            f"it serves, because {why}. Use the playbook gonka.devshard.hot_swap, which cuts no "
            f"stream, or set"
            " gateway_allow_recreate: true to recreate it in place"
        )
    ]
