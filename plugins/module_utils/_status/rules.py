# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What the state of a gateway means: findings, and whether all is well. Pure.

The observed state comes as plain data: ``presence`` from the module presence_info, ``seen`` from
gateway_status. Unknown is never well: a part that did not answer is a finding of its own.
"""

from __future__ import annotations

from .client_rules import accounting_findings, client_findings, clients_of
from .host_rules import (
    certificate_findings,
    container_findings,
    disk_findings,
    edge_findings,
    host_findings,
    key_findings,
    part_findings,
    swap_findings,
)
from .idle_rules import idle_findings
from .model_rules import access_findings, model_row
from .money_rules import (
    absent_findings,
    alarms,
    danger_findings,
    escrow_findings,
    last_epoch_findings,
    money_findings,
    network_findings,
)
from .rotation_rules import rotation_findings, rotation_state
from .scene import ORDER, Scene, StatusVerdict


def judge(scene: Scene) -> StatusVerdict:
    """Everything that is to be said about one host, the worst first."""
    models = tuple(model_row(scene, model) for model in scene.wish.models if model.count > 0)
    clients = clients_of(scene, models)
    rules = (
        part_findings,
        host_findings,
        disk_findings,
        swap_findings,
        container_findings,
        key_findings,
        edge_findings,
        certificate_findings,
        escrow_findings,
        last_epoch_findings,
        absent_findings,
        idle_findings,
        danger_findings,
        money_findings,
        network_findings,
    )
    found = [item for rule in rules for item in rule(scene)]
    if scene.deployed is not False and not scene.retired:
        found += client_findings(scene, clients)
        found += accounting_findings(scene, clients)
        found += [item for model in models for item in model["findings"]]
        found += [*access_findings(scene), *rotation_findings(scene)]
    found.sort(key=lambda item: ORDER.index(item.severity))
    return StatusVerdict(
        findings=tuple(dict.fromkeys(found)),
        clients=clients,
        models=tuple({k: v for k, v in model.items() if k != "findings"} for model in models),
        rotation=rotation_state(scene),
        escrows=scene.rows,
        alarms=tuple(alarms(scene)),
        slot=scene.serving,
    )
