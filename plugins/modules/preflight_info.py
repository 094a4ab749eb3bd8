#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: preflight_info
short_description: Inspect what a deployment depends on, in one run
version_added: 0.4.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Inspects the user and the disks of a host, its Docker service, the key in its keyring, and asks the chain, the
    public API and, on request, the gateway. It changes nothing.
  - It needs only Python on the host. The chain is asked, and its answers are judged, as by the other modules.
  - The questions are asked at the same time. Each has a limit of its own, and one that fails hides no other.
  - Usually it is run by the playbook C(gonka.devshard.preflight).
options:
  folders:
    description:
      - Folders on whose disks there must be space. For a folder that does not exist, the disk of the folder that will
        hold it counts.
    type: list
    elements: path
    default: []
  address:
    description:
      - The creator's address, where the keyring has no key yet. Its balance is asked for.
    type: str
  ask_gateway:
    description:
      - Whether the gateway is asked for its escrows, with its admin key. Set it only where the program on the port of
        O(gateway_url) is proved to be the gateway, as RV(gonka.devshard.presence_info#module:presence.gateway_proved)
        says.
    type: bool
    default: false
  deadline_blocks:
    description:
      - An escrow that must be settled within this number of blocks is near its deadline.
    type: int
    default: 1000
  min_blocks_to_poc:
    description:
      - Escrows are created only while this many blocks are left to the next proof of compute.
      - If omitted, what the guide of the gateway's generation names.
    type: int
    version_added: 0.5.0
  time_limit:
    description:
      - Time limit of each question, in seconds. The escrows, which are several questions, have three times as much.
    type: int
    default: 10
extends_documentation_fragment:
  - gonka.devshard._attributes
  - gonka.devshard._attributes.info_module
  - gonka.devshard._admin
  - gonka.devshard._generation
  - gonka.devshard._chain
  - gonka.devshard._http
  - gonka.devshard._inferenced
  - gonka.devshard._ledger
seealso:
  - module: gonka.devshard.presence_info
  - module: gonka.devshard.escrow_info
"""

EXAMPLES = r"""
- name: Inspect what a deployment depends on
  gonka.devshard.preflight_info:
    chain_rest: https://node3.gonka.ai/chain-api
    chain_rpc: https://node3.gonka.ai/chain-rpc
    chain_id: gonka-mainnet
    public_api: https://node3.gonka.ai
    folders: [/, /var/lib/docker]
  register: found
  failed_when: not found.preflight.chain_rest.known
"""

RETURN = r"""
preflight:
  description:
    - The parts. Each has C(known), C(why), which says why it is not known, and C(value), which is V(null) then.
  returned: success
  type: dict
  contains:
    user:
      description: Number of the user as which the module runs.
      type: dict
      sample: {known: true, why: null, value: 0}
    disks:
      description: The disks of O(folders), each once, with what is free in MiB.
      type: dict
      sample: {known: true, why: null, value: [{path: /, free_mb: 20480}]}
    docker_service:
      description: The service C(docker) as systemd has it, and whether it could be started (C(startable)).
      type: dict
      sample: {known: true, why: null,
               value: {load: loaded, active: active, enabled: enabled, startable: false}}
    keyring:
      description: Address of the key in the keyring; V(null) where there is no such key.
      type: dict
      sample: {known: true, why: null, value: gonka1w508d6qejxtdg4y5r3zarvary0c5xw7k2gsyg6}
    chain_rest:
      description: The chain's REST interface, if a transaction could be signed now by what it says. Otherwise C(why)
        says what is wrong with it, or with the clock of the host.
      type: dict
      sample: {known: true, why: null, value: {chain_id: gonka-mainnet, height: 4712218}}
    chain_rpc:
      description: The chain's RPC, likewise.
      type: dict
      sample: {known: true, why: null, value: {chain_id: gonka-mainnet, height: 4712218}}
    public_api:
      description: The public API.
      type: dict
      sample: {known: true, why: null, value: {epoch: 214}}
    terms:
      description: What the chain asks of who creates an escrow. Amounts and the price of gas are in C(ngonka).
      type: dict
      sample:
        known: true
        why: null
        value:
          min_amount: 50000000
          max_amount: 100000000000
          allowed_creator_addresses: []
          approved_versions: [v4.1, v5]
          approved_known: true
          create_gas_price: 0
    create_window:
      description: Why no escrow is created at this moment of the epoch. V(null) when one may be.
      type: dict
      sample: {known: true, why: null, value: null}
    upgrade:
      description: Why nothing is signed now because the chain will be upgraded within the hour. V(null) when it is not.
      type: dict
      sample: {known: true, why: null, value: null}
    active_models:
      description: The models that hosts serve in this epoch.
      type: dict
      sample: {known: true, why: null, value: [some/model]}
    governance_models:
      description: The models of the network.
      type: dict
      sample: {known: true, why: null, value: [some/model]}
    balance:
      description: What of its balance the creator can spend now, in C(ngonka).
      type: dict
      sample: {known: true, why: null, value: 60000000000}
    deposits:
      description: The creator's escrows that the chain has and that are not settled, whichever gateway serves them.
        C(amount) is in C(ngonka), and C(in_ledger) says whether the ledger of the host has it.
      type: dict
      sample: {known: true, why: null, value: [{id: 4711, amount: 5000000000, in_ledger: true}]}
    escrows:
      description: What M(gonka.devshard.escrow_info) returns.
      type: dict
      sample: {known: false, why: the gateway is not proved to run, value: null}
"""

from ansible_collections.gonka.devshard.plugins.module_utils._adapter import run_module
from ansible_collections.gonka.devshard.plugins.module_utils._wiring.preflight_info import (
    SPEC,
    work,
)


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()
