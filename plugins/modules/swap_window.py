#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: swap_window
short_description: Check, or wait, whether a hot swap may begin now
version_added: 0.1.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Internal to the role P(gonka.devshard.hot_swap#role), with which it changes.
  - A swap takes as long as the longest stream, and in between the gateway is restarted. It must not overlap a change of
    epoch, a PoC phase or a rotation, nor a running finalize, settle or create.
  - Also refuses where waiting does not help, that is with an active escrow that must be settled soon, a gateway that
    redirects its clients, a wallet that cannot pay for the escrows of the temporary gateway, a model that no gateway
    would serve meanwhile, or a disk that is nearly full.
  - An unknown state is refused too. Nothing is changed.
  - While it waits, it shows lines on the terminal with what closes the window and the time that is left, the first
    after 15 seconds and then less often, up to every 5 minutes.
options:
  min_blocks:
    description:
      - Number of blocks that must be left until the change of epoch, the next rotation, and the deadline of each active
        escrow.
    type: int
    default: 400
  wait:
    description:
      - Wait for the window, up to O(wait_timeout), instead of refusing.
    type: bool
    default: false
  resumed:
    description:
      - The wait continues from an earlier call. What waiting does not heal was checked then, and is checked again once
        the window is open, because a rotation that it waits for may change it meanwhile.
    type: bool
    default: false
  temp_escrows:
    description:
      - The escrows that the temporary gateway will need.
    type: list
    elements: dict
    default: []
    suboptions:
      model_id:
        description:
          - The model, exactly as the chain spells it.
        type: str
        required: true
      amount:
        description:
          - Deposit of each, in C(ngonka).
        type: int
        required: true
      count:
        description:
          - Their number.
        type: int
        default: 1
  image:
    description:
      - The image that the swap leads to. While the rotation is on, a release whose rotation empties the wallet is
        refused.
    type: str
    version_added: 0.6.0
  payment_profile:
    description:
      - Generation that O(temp_escrows) are for. By default that of the gateway, O(gateway_profile).
    type: str
    version_added: 0.6.0
  payment_protocol:
    description:
      - The protocol that O(temp_escrows) are made for, with O(payment_profile).
    type: str
    version_added: 0.6.0
  settle:
    description:
      - Whether O(temp_escrows) are settled within the swap. The wallet must then cover those fees too.
    type: bool
    default: false
  served_models:
    description:
      - Models that the temporary gateway gets an escrow for. A gateway that serves others is refused. If omitted, this
        is not checked, as another gateway serves meanwhile.
    type: list
    elements: str
  asked_models:
    description:
      - With O(served_models), models that the new container is asked to reply for. One without an escrow in use is
        refused.
    type: list
    elements: str
    default: []
  disks:
    description:
      - Folders on whose disks the swap writes.
    type: list
    elements: path
    default: []
  min_free_mb:
    description:
      - Space in MiB that must be free on each of O(disks).
    type: int
    default: 1024
  fee_amount:
    description:
      - The most that one transaction may cost, in C(ngonka).
    type: int
    default: 1000000
  max_total_locked:
    description:
      - Upper limit for the sum of all unsettled deposits of the creator, in C(ngonka). A swap whose O(temp_escrows)
        would exceed it is refused. If omitted, there is no limit.
    type: int
    version_added: 0.8.0
  creator:
    description:
      - Address of the creator. By default it is read from the keyring; when given, both must be equal.
    type: str
  wait_timeout:
    default: 21600
  wait_interval:
    default: 10
extends_documentation_fragment:
  - gonka.devshard._attributes
  - gonka.devshard._admin
  - gonka.devshard._generation
  - gonka.devshard._chain
  - gonka.devshard._http
  - gonka.devshard._inferenced
  - gonka.devshard._ledger
  - gonka.devshard._wait
attributes:
  action_group:
    description: The options of its connections can be set once with C(module_defaults).
    support: full
    membership:
      - gonka.devshard.admin
      - gonka.devshard.chain
      - gonka.devshard.inferenced
      - gonka.devshard.ledger
  check_mode:
    support: full
    details:
      - Refuses what the run would refuse. With O(wait=true) a closed window is shown and is not a failure, because the
        run would wait.
  diff_mode:
    support: N/A
    details:
      - This module only reads.
  idempotent:
    support: full
    details:
      - This module only reads.
seealso:
  - module: gonka.devshard.swap_step
"""

EXAMPLES = r"""
# What is not shown here is set once for all tasks, see the first example of gonka.devshard.escrow.
- name: Wait until a swap may begin
  gonka.devshard.swap_window:
    wait: true
    temp_escrows:
      - model_id: "{{ model }}"
        amount: 5000000000
"""

RETURN = r"""
window:
  description: The window.
  returned: success
  type: dict
  contains:
    open:
      description: Whether a swap may begin. Can be false in check mode with O(wait=true) only.
      type: bool
      sample: true
    looks:
      description: Number of checks.
      type: int
      sample: 1
    cost:
      description: Cost of O(temp_escrows), in C(ngonka), and in words.
      type: dict
      sample:
        escrows: 1
        deposits: 5000000000
        fees: 2000000
        text: 1 escrow(s) for the temporary gateway, 5 GNK of deposits
    waited:
      description: Time that was waited, in seconds.
      type: float
      sample: 0.1
    reasons:
      description: Why it is closed, in check mode.
      type: list
      elements: str
      sample: []
"""

import dataclasses
from pathlib import Path

from ansible_collections.gonka.devshard.plugins.module_utils import _argspec
from ansible_collections.gonka.devshard.plugins.module_utils._adapter import (
    Context,
    Outcome,
    run_module,
)
from ansible_collections.gonka.devshard.plugins.module_utils._clients.money import open_ports
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.image_plan import (
    rotation_danger,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.profiles import profile
from ansible_collections.gonka.devshard.plugins.module_utils._host.storage import free_space
from ansible_collections.gonka.devshard.plugins.module_utils._swap.window import (
    SwapWindow,
    TempNeed,
    WindowWish,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.window_rules import ModelsWish

SPEC = _argspec.ArgumentSpec(
    options={
        "min_blocks": {"type": "int", "default": 400},
        "wait": {"type": "bool", "default": False},
        "resumed": {"type": "bool", "default": False},
        "temp_escrows": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "model_id": {"type": "str", "required": True},
                "amount": {"type": "int", "required": True},
                "count": {"type": "int", "default": 1},
            },
        },
        "image": {"type": "str"},
        "payment_profile": {"type": "str"},
        "payment_protocol": {"type": "str"},
        "settle": {"type": "bool", "default": False},
        "served_models": {"type": "list", "elements": "str"},
        "asked_models": {"type": "list", "elements": "str", "default": []},
        "disks": {"type": "list", "elements": "path", "default": []},
        "min_free_mb": {"type": "int", "default": 1024},
        "fee_amount": {"type": "int", "default": 1_000_000},
        "max_total_locked": {"type": "int"},
        "creator": {"type": "str"},
    },
).merge(_argspec.signing(), _argspec.wait(21_600, 10))


def work(context: Context) -> Outcome:
    params = context.params
    context.positive("min_blocks", "fee_amount")
    served = params["served_models"]
    paid = context.profile
    if params["payment_profile"] is not None:
        paid = profile(params["payment_profile"], params["payment_protocol"])
    wish = WindowWish(
        min_blocks=params["min_blocks"],
        needs=[TempNeed(**need) for need in params["temp_escrows"]],
        fee_amount=params["fee_amount"],
        creator=params["creator"],
        wait=params["wait"],
        resumed=params["resumed"],
        rotation_danger=rotation_danger(params["image"], paid),
        payee="new generation" if params["payment_profile"] else "temporary gateway",
        settle=params["settle"],
        max_total_locked=params["max_total_locked"],
        models=None
        if served is None
        else ModelsWish(served=tuple(served), asked=tuple(params["asked_models"])),
        min_free_mb=params["min_free_mb"],
        disks=lambda: free_space(map(Path, params["disks"])),
    )
    with open_ports(context, None, signs=True, waits=True) as ports:
        ports = dataclasses.replace(ports, settlement_tag=paid.settlement_tag)
        found = SwapWindow(ports, wish).run()
    return Outcome(changed=False, values={"window": {"reasons": [], **found}})


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()
