# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: whether a restart of the gateway would cut a client."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

NOBODY: t.Final = 204
SOMEBODY: t.Final = 503


def restart_refusals(gateway: object, edge_status: object) -> list[str]:
    """Return why it is not proved that no client is left; empty means that it is proved."""
    if not isinstance(gateway, Mapping) or not isinstance(gateway.get("disabled"), bool):
        raise AnsibleFilterError("restart_refusals: the gateway as gateway_info has it is needed")
    reasons = []
    if not gateway["disabled"]:
        reasons.append(
            "the gateway serves clients (turn them away first with the playbook"
            " gonka.devshard.redirect)"
        )
    serving = [
        str(item["id"])
        for item in gateway["devshards"]
        if item["phase"] == "finalizing" or (item["active"] and not item["loaded"])
    ]
    if serving:
        reasons.append(f"a restart could lose escrow(s) {', '.join(serving)}")
    if edge_status == SOMEBODY:
        reasons.append("the edge still holds a client's connection for the gateway")
    elif edge_status != NOBODY:
        reasons.append(
            f"the edge does not say whether it holds a connection for the gateway ({edge_status})"
        )
    return reasons
