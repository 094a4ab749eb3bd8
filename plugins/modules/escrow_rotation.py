#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: escrow_rotation
short_description: Set the gateway's escrow rotation
version_added: 0.1.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Switches escrow rotation on or off. Around each change of epoch a gateway with rotation creates temporary escrows,
    retires the others, and creates new regular ones.
  - Enabling is refused unless each model has a usable escrow in this gateway, the wallet covers a whole epoch of all
    gateways that share the creator, and the window fits the epoch. Otherwise rotation would lock deposits
    twice or stop serving.
  - Settings are compared first, and nothing is sent when nothing differs. Afterwards the gateway's settings are
    compared with the requested ones.
options:
  enabled:
    description:
      - Whether rotation is on. Switching it off waits for a pass that is running, which can take minutes.
      - If omitted, it stays as it is, and RV(rotation) shows it.
    type: bool
  settlement_enabled:
    description:
      - Whether rotation settles the escrows it retires. Required with O(enabled=true), because the gateway's default is
        V(false), which loses every retired deposit that is not settled before the end of the next epoch.
    type: bool
  pre_poc_blocks:
    description:
      - Number of blocks before the change of epoch at which temporary escrows are created. Must not be more than the
        blocks between the start of PoC and the change of epoch.
      - If omitted, the gateway's value is kept. If that value cannot be enabled, it is 300, or the largest number that
        the epoch has room for.
    type: int
  models:
    description:
      - The models to rotate. They are merged by O(models[].model_id) with the existing ones.
    type: list
    elements: dict
    default: []
    suboptions:
      model_id:
        description:
          - The model, exactly as the chain spells it.
        type: str
        required: true
      temp_count:
        description:
          - Number of temporary escrows.
        type: int
        default: 1
      target_count:
        description:
          - Number of regular escrows.
        type: int
        default: 1
      amount:
        description:
          - Deposit of each, in C(ngonka), a whole number.
        type: int
        required: true
      private_key_env:
        description:
          - Name of the variable in the gateway's environment that holds the creator's key.
        type: str
        default: DEVSHARD_PRIVATE_KEY
  purge_models:
    description:
      - Remove models that O(models) does not name.
    type: bool
    default: false
  other_gateways_need:
    description:
      - Amount that the rotation of all other gateways with the same creator needs, in C(ngonka). It is added to the
        need of this gateway. RV(rotation.funding_needed) of their runs returns it, and so does the filter
        P(gonka.devshard.funding_needed#filter).
    type: int
    default: 0
  fee_amount:
    description:
      - Fee of one transaction of the gateway, in C(ngonka), for the funding that is needed. The gateway always offers
        the same one, which is charged in full whatever the chain asks for.
    type: int
    default: 1000000
  creator:
    description:
      - Address of the creator. By default it is read from the keyring; when given, both must be equal.
    type: str
  image:
    description:
      - The image of the gateway, by the tag that its deploy record names. A release whose rotation is known to empty
        the wallet is refused.
    type: str
    version_added: 0.4.0
  storage_dir:
    description:
      - The folder on this host where the gateway keeps its C(gateway.db). Before rotation is switched off, it is read
        for creates whose outcome the gateway does not know yet, and the module waits until there is none. Such an
        escrow gets no record while rotation is off.
      - If omitted, they are not looked for.
    type: path
    version_added: 0.5.0
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
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: gonka.devshard.escrow
  - module: gonka.devshard.escrow_settle
"""

EXAMPLES = r"""
# What is not shown here is set once for all tasks, see the first example of gonka.devshard.escrow.
- name: Rotate one model and settle what is retired
  gonka.devshard.escrow_rotation:
    enabled: true
    settlement_enabled: true
    pre_poc_blocks: 300
    models:
      - model_id: "{{ model }}"
        temp_count: 1
        target_count: 2
        amount: 5000000000

- name: Get the rotation settings
  gonka.devshard.escrow_rotation:
  register: found

- name: Switch rotation off
  gonka.devshard.escrow_rotation:
    enabled: false
    storage_dir: /srv/gonka/devshard-gateway/.devshardctl
"""

RETURN = r"""
rotation:
  description: The settings after this run.
  returned: success
  type: dict
  contains:
    enabled:
      description: Whether rotation is on.
      type: bool
      sample: true
    settlement_enabled:
      description: Whether rotation settles the escrows that it retires.
      type: bool
      sample: true
    pre_poc_blocks:
      description: Number of blocks before the change of epoch at which the window opens.
      type: int
      sample: 300
    models:
      description: The models, ordered by id.
      type: list
      elements: dict
      sample:
        - model_id: some/model
          temp_count: 1
          target_count: 2
          amount: 5000000000
          private_key_env: DEVSHARD_PRIVATE_KEY
    funding_needed:
      description:
        - Amount that the wallet must have free for this gateway's rotation, in C(ngonka). It covers, for each model,
          all temporary and regular deposits of an epoch, one more for a depleted escrow, and two transaction fees for
          each.
      type: int
      sample: 20008000000
actions:
  description: What was done, in order.
  returned: success
  type: list
  elements: str
  sample:
    - set escrow_rotation.enabled
"""

from ansible_collections.gonka.devshard.plugins.module_utils._adapter import run_module
from ansible_collections.gonka.devshard.plugins.module_utils._wiring.escrow_rotation import (
    SPEC,
    work,
)


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()
